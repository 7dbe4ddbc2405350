"""Who it is and what it can do, as its instructions say."""

from typing import Final

from deployments.llm.rules.instructions import persona
from deployments.llm.rules.turn import Reply, Turn

_WHO: Final = (
    r".*\bwho are you(?: then| exactly| really)?",
    r".*\bwhat (?:is|was) your name(?: again| please)?",
    r".*\bwhat are you(?: called| exactly)?",
    r".*\b(?:introduce|tell me (?:something )?about) yourself",
    r".*\bwhat (?:should|can|do|may) i call you",
    r".*\bdo you have a name",
    r".*\bwho am i (?:talking|speaking) (?:to|with)",
)
_MACHINE: Final = (
    r".*\bare you (?:a |an )?(?:real|human|person|robot|machine|computer|program|bot|alive|man|woman|model)\b.*",
    r".*\bwhat (?:language )?model are you\b.*",
    r".*\bwho (?:made|built|created|wrote) you\b.*",
)
_HELP: Final = (
    r".*\bwhat (?:can|could) (?:you|i) (?:do|say|ask|help)\b.*",
    r".*\bwhat (?:do|are) you (?:know|able to do|good at|capable of)\b.*",
    r"(?:can you |could you |would you )?help(?: me)?(?: please| out)*",
    r"i need (?:some |your )?help",
    r"how (?:can|could|do) you help(?: me)?",
)


def answer(turn: Turn) -> Reply | None:
    name, role = persona(turn)
    if turn.match(*_WHO):
        return Reply(f"I am {name}{f', {role}' if role else ', a voice that answers by simple rules'}.")
    if turn.match(*_MACHINE):
        return Reply(f"I am {name}, a computer program that answers by simple rules.")
    if turn.match(*_HELP):
        tools = [tool.name.replace("_", " ") for tool in turn.request.tools[:3]]
        more = f" I can also use {' and '.join(tools)}." if tools else ""
        return Reply(
            "I can do sums, tell the time and the date, count, spell, tell a story, repeat after you and remember what "
            f"you tell me about yourself.{more} What would you like?"
        )
    return None
