"""Counts aloud: "count from three to ten", "count down from ten", "count to twenty by twos"."""

import re
from typing import Final

from deployments.llm.rules.numbers import HOMOPHONES, parse, parse_tolerant, say
from deployments.llm.rules.turn import Reply, Turn
from deployments.llm.rules.words import sentence

MOST: Final = 100
"""Numbers counted at one request."""
_STEPS: Final = {
    "ones": 1,
    "twos": 2,
    "threes": 3,
    "fours": 4,
    "fives": 5,
    "sixes": 6,
    "sevens": 7,
    "eights": 8,
    "nines": 9,
    "tens": 10,
    "twenties": 20,
    "fifties": 50,
    "hundreds": 100,
}
_UNTIL: Final = ("to", "till", "until", "through", "and", "too", "two", "up", "down", "2")


def answer(turn: Turn) -> Reply | None:
    found = re.search(r"\b(?:count|counting)\b(?! on\b| the\b| how\b| me\b| my\b)(.*)", turn.text)
    if not found:
        return None
    words = [
        word
        for word in found[1].replace(" for me", "").split()
        if word not in ("aloud", "loud", "out", "slowly", "please")
    ]
    down = any(word in ("down", "backwards", "backward", "back") for word in words)
    step, words = _step([word for word in words if word not in ("down", "backwards", "backward", "back", "up")])
    start, end = _range(words, down)
    if start is None and end is not None:
        start = min(step, end)
    if start is None or end is None:
        return Reply("From which number to which shall I count?") if turn.words[0] == "count" else None
    return Reply(_counted(start, end, step))


def _step(words: list[str]) -> tuple[int, list[str]]:
    """ "by twos", "in steps of five", taken out of the words."""
    for at, word in enumerate(words):
        if word in ("by", "in") and at + 1 < len(words):
            if words[at + 1] in _STEPS:
                return _STEPS[words[at + 1]], words[:at] + words[at + 2 :]
            after = at + 3 if words[at + 1 : at + 3] == ["steps", "of"] else at + 1
            number = parse(words, after)
            if number and number[0] >= 1:
                return int(number[0]), words[:at] + words[number[1] :]
    return 1, words


def _range(words: list[str], down: bool) -> tuple[int | None, int | None]:
    """First and last number. "to" may be heard as "two", and a number as "to" or "for"."""
    first: int | None = None
    at = 0
    if "from" in words:
        number = parse_tolerant(words, words.index("from") + 1)
        if number is None:
            return None, None
        first, at = int(number[0]), number[1]
    rest = words[at:]
    while len(rest) > 1 and rest[0] in _UNTIL:
        rest = rest[1:]
    number = parse_tolerant(rest) if rest and (rest[0] in HOMOPHONES or parse(rest)) else None
    last = int(number[0]) if number else None
    if first is None and number and len(rest) > number[1] and not down:
        # "count one to five", without a "from".
        tail = rest[number[1] :]
        while len(tail) > 1 and tail[0] in _UNTIL:
            tail = tail[1:]
        if second := parse_tolerant(tail):
            return last, int(second[0])
    if down:
        return (first, 1 if last is None else last) if first is not None else (last, 1)
    return first, last


def _counted(start: int, end: int, step: int) -> str:
    signed = step if end >= start else -step
    count = abs(end - start) // step + 1
    text = sentence(", ".join(say(start + at * signed) for at in range(min(count, MOST))))
    return text if count <= MOST else f"{text} I will stop there, after {say(MOST)} numbers."
