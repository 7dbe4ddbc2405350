"""Finds stretches of a text that may be an argument: a place, a person, a date, a number with its unit."""

import re
from collections.abc import Iterable
from datetime import date, timedelta
from fractions import Fraction
from typing import Final

from deployments.llm.rules.numbers import HOMOPHONES, parse
from deployments.llm.rules.words import vocabulary

_PREPOSITIONS: Final = vocabulary("in at for to from on by with of near about into until between around under than via")
_ENDS: Final = vocabulary(
    "please today tomorrow tonight yesterday now right this next what is are was will would can could how who when "
    "where saying that says and or but then also if because tell me it be like set again thanks thank "
    "using instead do does currently looking"
)
_JOINTS: Final = ("and", "or", ",", "&")
_ARTICLES: Final = ("the", "a", "an")
_UNITS_S: Final = {"second": 1, "sec": 1, "minute": 60, "min": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS: Final = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november"),
    "december",
)
_DATE: Final = re.compile(
    r"\b(?:\d{4}-\d{2}-\d{2}|day after tomorrow|today|tonight|tomorrow|yesterday|"
    rf"(?:(?:next|this) )?(?:{'|'.join(_WEEKDAYS)})|next (?:week|month|year)|"
    rf"(?:the )?\d{{1,2}}(?:st|nd|rd|th)?(?: of)? (?:{'|'.join(_MONTHS)})|"
    rf"(?:{'|'.join(_MONTHS)}) \d{{1,2}}(?:st|nd|rd|th)?)\b",
    re.IGNORECASE,
)
_TIME: Final = re.compile(
    r"\b(?P<h>\d{1,2})[:.](?P<m>\d{2})(?: ?(?P<ap>[ap])\.?m\b)?|"
    r"\b(?P<h2>\w+)(?: (?P<m2>thirty|fifteen|forty[- ]five))? ?(?:(?P<ap2>[ap])\.? ?m\b|o'clock)|"
    r"\b(?P<words>noon|midnight)\b|"
    r"\bat (?P<h3>\w+)(?! ?(?:[ap]\.? ?m\b|o'clock|thirty|fifteen|forty|:|\w))",
    re.IGNORECASE,
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
    return bool(_DATE.fullmatch(span) or any(_unit_s(word) for word in words) or parse(words)) or span.lower() in (
        *("moment", "morning", "evening", "afternoon", "night", "noon", "midnight", "week", "weekend", "month", "once"),
        *("me", "you", "it", "us", "them", "i"),
    )


def _unit_s(word: str) -> int:
    return _UNITS_S.get(word.removesuffix("s"), 0)


def numbers_in(text: str) -> list[tuple[Fraction, int, str]]:
    """Each number, the length in seconds of a unit of time after it or 0, and the words before it."""
    words = re.findall(r"\d+(?:\.\d+)?|[^\W\d_]+|[-%]", text.lower().replace(",", ""))
    found = []
    at = 0
    while at < len(words):
        number = parse(words, at) if words[at] != "-" else None
        after = words[at + 1] if at + 1 < len(words) else ""
        if number is None and words[at] in HOMOPHONES and _unit_s(after):
            number = Fraction(HOMOPHONES[words[at]]), at + 1
        if number is None and words[at] in ("a", "an", "one") and _unit_s(after):
            number = Fraction(1, 2 if at and words[at - 1] == "half" else 1), at + 1
        if number is None:
            at += 1
            continue
        before = " ".join(words[max(at - 3, 0) : at])
        at = number[1]
        found.append((number[0], _unit_s(words[at]) if at < len(words) else 0, before))
    return found


def date_in(text: str) -> str | None:
    """The first date, as said."""
    found = _DATE.search(text)
    return found[0] if found else None


def iso_date(said: str, today: date) -> str | None:
    """A date as YYYY-MM-DD."""
    words = said.lower().replace("tonight", "today").split()
    shifts = {"today": 0, "tomorrow": 1, "yesterday": -1}
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", said):
        return said
    if "after" in words:
        return (today + timedelta(days=2)).isoformat()
    if words[-1] in shifts:
        return (today + timedelta(days=shifts[words[-1]])).isoformat()
    if words[-1] in _WEEKDAYS:
        ahead = (_WEEKDAYS.index(words[-1]) - today.weekday() - 1) % 7 + 1
        return (today + timedelta(days=ahead)).isoformat()
    month = next((_MONTHS.index(word) + 1 for word in words if word in _MONTHS), 0)
    day = re.search(r"\d{1,2}", said)
    if month and day and 1 <= int(day[0]) <= 28 + 3 * (month != 2):
        year = today.year + ((month, int(day[0])) < (today.month, today.day))
        return f"{year:04d}-{month:02d}-{int(day[0]):02d}"
    return None


def time_in(text: str) -> tuple[str, str] | None:
    """The first time of day: as HH:MM, and as said."""
    for found in _TIME.finditer(text):
        if found["words"]:
            return "12:00" if found["words"].lower() == "noon" else "00:00", found[0]
        hour_word = found["h"] or found["h2"] or found["h3"]
        hour = parse((hour_word.lower(),))
        if hour is None or not 0 <= hour[0] <= 24:
            continue
        minute = found["m"] or {"thirty": "30", "fifteen": "15"}.get(
            (found["m2"] or "").lower(), "45" if found["m2"] else "00"
        )
        half = (found["ap"] or found["ap2"] or "").lower()
        whole = int(hour[0]) % 24
        if half == "p" and whole < 12:
            whole += 12
        if half == "a" and whole == 12:
            whole = 0
        return f"{whole:02d}:{minute}", found[0]
    return None


def quoted(text: str) -> list[str]:
    """Stretches in quotation marks."""
    return [a or b for a, b in re.findall(r"[\"“]([^\"”]+)[\"”]|(?<!\w)'([^']+)'(?!\w)", text)]
