"""Finds stretches of a text that may be an argument: what follows a preposition, what is in quotes."""

import re
from collections.abc import Iterable
from typing import Final

from deployments.llm.rules.numbers import parse
from deployments.llm.rules.tools import times
from deployments.llm.rules.words import vocabulary

_PREPOSITIONS: Final = vocabulary("in at for to from on by with of near about into until between around under than via")
_ENDS: Final = vocabulary(
    "please today tomorrow tonight yesterday now right this next what is are was will would can could how who when "
    "where saying that says and or but then also if because tell me it be like set again thanks thank "
    "using instead do does currently looking going be"
)
_JOINTS: Final = ("and", "or", ",", "&")
_ARTICLES: Final = ("the", "a", "an")
_NO_SPANS: Final = vocabulary(
    "moment morning evening afternoon night noon midnight week weekend month once me you it us them i am pm"
)
_WORD: Final = re.compile(r"[^\s,;:!?\"]+|[,:]")


def spans_after(text: str, leads: Iterable[str]) -> list[str]:
    """What follows one of these prepositions, up to the next one; "in Paris and London" gives two."""
    words = _WORD.findall(text)
    wanted = frozenset(leads)
    found: list[str] = []
    at = 0
    while at < len(words):
        if words[at].lower() not in wanted:
            at += 1
            continue
        at += 1
        while at < len(words):
            span, at = _span(words, at)
            if span and not is_time_like(span):
                found.append(span)
            if at + 1 < len(words) and words[at].lower() in _JOINTS and _begins_span(words[at + 1]) and span:
                at += 1
                continue
            break
    return list(dict.fromkeys(found))


def _span(words: list[str], at: int) -> tuple[str, int]:
    if at < len(words) and words[at].lower() in _ARTICLES:
        at += 1
    start = at
    while at < len(words) and _begins_span(words[at]):
        at += 1
    return " ".join(words[start:at]).rstrip(".'"), at


def _begins_span(word: str) -> bool:
    return word.lower() not in _PREPOSITIONS and word.lower() not in _ENDS and word not in _JOINTS and word != ":"


def is_time_like(span: str) -> bool:
    """A date, a time or a length of time, which is no place and nobody's name."""
    words = span.lower().split()
    return times.is_date(span) or any(map(times.unit_s, words)) or bool(parse(words)) or span.lower() in _NO_SPANS


def quoted(text: str) -> list[str]:
    """Stretches in quotation marks."""
    return [a or b for a, b in re.findall(r"[\"“]([^\"”]+)[\"”]|(?<!\w)'([^']+)'(?!\w)", text)]
