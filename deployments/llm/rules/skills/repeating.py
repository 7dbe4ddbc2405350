"""Says after the user: "repeat after me: good morning", "say cheese", "repeat that"."""

import re
from typing import Final

from deployments.llm.rules.tools.spans import quoted
from deployments.llm.rules.turn import Reply, Turn
from deployments.llm.rules.words import sentence

_POLITE: Final = r"(?:(?:please|can you|could you|would you|will you|now|and|then|okay|ok|i want you to)[ ,]+)*"
_AFTER_ME: Final = re.compile(
    rf"^{_POLITE}(?:repeat(?: (?:after|with) me)?|say(?: after me)?)(?: the (?:words?|sentence|phrase))?(?: please)?"
    r"\s*[:,]?\s+(?P<what>.+)",
    re.IGNORECASE,
)
_AGAIN: Final = (
    r"(?:(?:can|could|would) you |please )*(?:repeat|say)(?: that| it| this| yourself)?(?: again| once more| please)*",
    r"what did you (?:just )?say(?: again)?",
    r"(?:sorry |pardon )?(?:come again|pardon|pardon me|what|huh|sorry what|what was that|once more|again)",
    r"i did not (?:catch|hear|get|understand) (?:that|you|it)",
)
_OTHER: Final = re.compile(
    r"(?:something|anything|a few|more|what|who|why|how|that again|it again|hello to me|goodbye to me|my name|"
    r"your name|the (?:time|date)|again)\b",
    re.IGNORECASE,
)


def answer(turn: Turn) -> Reply | None:
    if turn.match(*_AGAIN):
        return Reply(turn.last_reply.text if turn.last_reply else "I have not said anything yet.")
    found = _AFTER_ME.match(turn.raw)
    if not found or (_OTHER.match(found["what"]) and "after me" not in turn.text):
        return None
    inside = quoted(found["what"]) if found["what"][0] in "\"'“" else []
    what = inside[0] if inside else found["what"].strip().removesuffix(" please")
    return Reply(sentence(what)) if any(char.isalnum() for char in what) else None
