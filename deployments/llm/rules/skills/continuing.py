"""Goes on where it was interrupted: with the story or the count, from the first word that was not heard."""

import re
from collections.abc import Callable
from typing import Final

from deployments.llm.contract import Message
from deployments.llm.rules.turn import Reply, Turn

_GO_ON: Final = re.compile(
    r"(?:(?:yes|no|and|sorry|now|please|you can|can you|could you|would you) )*"
    r"(?:continue|go on|carry on|keep going|keep on|go ahead|resume|proceed|and then|next|finish|"
    r"what (?:happened|happens|comes) next|where were (?:we|you)|what were you saying|keep (?:counting|talking))"
    r"(?: (?:with|the|your|that|it|please|then|story|count|counting|on|now|from|where|you|stopped|left|off))*"
)


def answer(turn: Turn, answer_before: Callable[[Turn], Reply]) -> Reply | None:
    """`answer_before` gives the reply to an earlier turn, so that what was cut off is known."""
    if not _GO_ON.fullmatch(turn.text):
        return None
    before = enumerate(turn.messages[: turn.asked_at])
    said = [i for i, m in before if m.role == "assistant" and (m.text.strip() or m.interrupted)]
    cut_off = next((i for i in reversed(said[-3:]) if turn.messages[i].interrupted), None)
    if cut_off is None:
        return Reply("I had finished. What would you like next?" if said else "What shall I go on with?")
    whole = answer_before(turn.at(_asked_before(turn, cut_off))).text
    rest = _unheard(whole, turn.messages[cut_off])
    if rest is None:
        return Reply("I am afraid I lost the thread. Would you ask me again?")
    return Reply(rest or "That was all.")


def _asked_before(turn: Turn, index: int) -> int:
    return max((i for i in range(index) if turn.messages[i].role in ("user", "tool")), default=-1)


def _unheard(whole: str, heard: Message) -> str | None:
    """What follows the heard words in the whole; None where they are not its beginning."""
    words = re.findall(r"\S+", whole)
    count = 0
    for word in re.findall(r"\S+", heard.text):
        if count >= len(words):
            return ""
        if _key(word) != _key(words[count]):
            # The last word may have been cut off in the middle.
            if count or _key(words[count]).startswith(_key(word)):
                break
            return None
        count += 1
    rest = " ".join(words[count:])
    return rest[:1].upper() + rest[1:]


def _key(word: str) -> str:
    return "".join(char for char in word.lower() if char.isalnum())
