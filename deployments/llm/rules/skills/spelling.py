"""Spells a word, letter by letter."""

import re
from typing import Final

from deployments.llm.rules.turn import Reply, Turn

_ASKED: Final = re.compile(
    r"\b(?:spell|spelling of)(?: out)?(?: for me)?(?: the words?| the name)? (?P<what>[\w' -]+?)"
    r"(?: for me| please| out| again)*$|"
    r"\bhow is (?P<how>[\w'-]+) (?:spelt|spelled|written)",
    re.IGNORECASE,
)


def answer(turn: Turn) -> Reply | None:
    found = _ASKED.search(turn.said.rstrip(".!? \"'"))
    if not found:
        return None
    what = (found["what"] or found["how"]).strip(" '\"-")
    if what.lower().startswith("my "):
        fact = turn.known.get(what[3:].lower())
        if fact is None:
            return Reply(f"You have not told me your {what[3:]} yet.")
        what = fact.value
    elif what.lower().startswith(("a ", "an ", "the ")):
        what = what.partition(" ")[2]
    words = what.split()[:5]
    letters = ", then ".join(", ".join(char.upper() for char in word if char.isalnum()) for word in words)
    shown = " ".join(words)
    return Reply(f"{shown[:1].upper()}{shown[1:]} is spelt {letters}.") if letters else None
