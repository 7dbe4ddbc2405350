"""The other ways in which people put a sum: "add two and three", and symbols on paper."""

import re
from collections.abc import Sequence
from typing import Final

from deployments.llm.rules.expressions import INFIX, phrase, word
from deployments.llm.rules.numbers import parse, parse_tolerant, written
from deployments.llm.rules.words import split

_LISTS: Final = (
    (r"\b(?:the )?sum of ", "plus"),
    (r"\b(?:the )?product of ", "times"),
    (r"\b(?:the )?difference (?:between|of) ", "minus"),
    (r"\badd ", "plus"),
    (r"\bmultiply ", "times"),
)
_PAIRS: Final = (
    (r"\badd ", "to", "{1} plus {0}"),
    (r"\b(?:subtract|take) ", "from", "{1} minus {0}"),
    (r"\bmultiply ", "by", "{0} times {1}"),
    (r"\bmultiply ", "with", "{0} times {1}"),
    (r"\bdivide ", "by", "{0} divided by {1}"),
)


def infixed(text: str) -> str:
    """ "subtract three from ten" as "ten minus three": verbs and nouns that stand before all their operands."""
    for lead, joint, form in _PAIRS:
        if found := re.search(lead, text):
            rest = text[found.end() :].split()
            left = parse_tolerant(rest)
            right = parse_tolerant(rest, left[1] + 1) if left and word(rest, left[1]) == joint else None
            if left and right:
                operands = " ".join(rest[: left[1]]), " ".join(rest[left[1] + 1 : right[1]])
                return " ".join([text[: found.start()], form.format(*operands), *rest[right[1] :]]).strip()
    for lead, sign in _LISTS:
        if found := re.search(lead, text):
            rest = text[found.end() :].split()
            operands_listed, end = _listed(rest)
            if len(operands_listed) > 1:
                return " ".join([text[: found.start()], f" {sign} ".join(operands_listed), *rest[end:]]).strip()
    return text


def _listed(words: Sequence[str]) -> tuple[list[str], int]:
    """The numbers that follow each other, with or without "and", and the index after the last."""
    operands: list[str] = []
    at = end = 0
    while number := parse(words, at):
        operands.append(" ".join(words[at : number[1]]))
        end = number[1]
        at = end + (word(words, end) in ("and", "with"))
    return operands, end


def symbols(text: str) -> str:
    """The longest stretch of numbers and operations as it is written down: "2 + 3 * 4"; "" where there is none."""
    words = split(infixed(text.lower()))
    best: list[str] = []
    current: list[str] = []
    at = 0
    while at < len(words):
        sign = phrase(words, at, INFIX)
        number = None if sign else parse_tolerant(words, at) if current else parse(words, at)
        if number:
            value, at = number
            current.append(written(value))
        elif sign and current:
            current.append({"mod": "%"}.get(sign[0], sign[0]))
            at = sign[1]
        elif words[at] in ("(", ")"):
            current.append(words[at])
            at += 1
        else:
            current, at = [], at + 1
        best = list(current) if len(current) > len(best) and (number or current[-1:] == [")"]) else best
    return " ".join(best) if len(best) >= 3 else ""
