"""Finds dates, times of day, and numbers with their unit of time in a text."""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import Final

from deployments.llm.rules.numbers import HOMOPHONES, ordinal, parse

_UNITS_S: Final = {"second": 1, "sec": 1, "minute": 60, "min": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS: Final = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november"),
    "december",
)
_ORDINALS: Final = {ordinal(day): day for day in range(1, 32)} | {
    ordinal(day).replace("-", " "): day for day in range(21, 32)
}
_NTH: Final = rf"(?:\d{{1,2}}(?:st|nd|rd|th)?|{'|'.join(sorted(_ORDINALS, key=len, reverse=True))})"
_MONTH: Final = rf"(?:{'|'.join(_MONTHS)})"
_DATE: Final = re.compile(
    r"\b(?:\d{4}-\d{2}-\d{2}|day after tomorrow|today|tonight|tomorrow|yesterday|"
    rf"(?:(?:next|this) )?(?:{'|'.join(_WEEKDAYS)})|next (?:week|month|year)|"
    rf"(?:the )?{_NTH}(?: of)? {_MONTH}|{_MONTH} (?:the )?{_NTH})\b",
    re.IGNORECASE,
)


def _half_day(number: int) -> str:
    """Which half of the day is meant; group names must differ within one expression."""
    return rf"(?: ?(?P<half{number}>[ap])\.? ?m\b\.?| in the (?P<part{number}>morning|afternoon|evening)| o'clock)"


_TIME: Final = re.compile(
    rf"\b(?P<hour1>\d{{1,2}})[:.](?P<minute1>\d{{2}}){_half_day(1)}?|"
    rf"\b(?P<distance>half|quarter|\w+(?: minutes?)?) (?P<way>past|to) (?P<hour2>\w+)\b{_half_day(2)}?|"
    rf"\b(?P<hour3>\w+)(?: (?P<minute3>thirty|fifteen|forty[- ]five))?{_half_day(3)}|"
    r"\b(?P<word>noon|midnight)\b|"
    r"\bat (?P<hour4>\w+)(?: (?P<minute4>thirty|fifteen|forty[- ]five))?\b(?! ?(?:[ap]\.? ?m\b|:|past|to ))",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Amount:
    """A number in a text."""

    value: Fraction
    unit_s: int
    """Seconds in the unit of time that follows, 0 where none does."""
    around: frozenset[str]
    """The words before and after it."""


def unit_s(word: str) -> int:
    """Seconds in a unit of time, 0 for any other word."""
    return _UNITS_S.get(word.lower().removesuffix("s"), 0)


def amounts_in(text: str) -> list[Amount]:
    """Every number, those of one length of time ("an hour and five minutes") added up."""
    words = re.findall(r"\d+(?:\.\d+)?|[^\W\d_]+|[-%]", text.lower().replace(",", ""))
    found: list[Amount] = []
    at = ended = 0
    while at < len(words):
        number = _number(words, at)
        if number is None:
            at += 1
            continue
        value, after = number
        unit = unit_s(words[after]) if after < len(words) else 0
        amount = Amount(value, unit, frozenset(words[max(at - 3, 0) : at] + words[after : after + 1]))
        joined = found and words[ended:at] in ([], ["and"]) and 0 < unit < found[-1].unit_s
        if joined:
            whole = found.pop()
            amount = Amount(whole.value + value * unit / whole.unit_s, whole.unit_s, whole.around)
        found.append(amount)
        at = ended = after + (unit > 0)
    return found


def _number(words: list[str], at: int) -> tuple[Fraction, int] | None:
    timed = at + 1 < len(words) and unit_s(words[at + 1]) > 0
    if words[at] in HOMOPHONES and timed:
        return Fraction(HOMOPHONES[words[at]]), at + 1
    if words[at] in ("a", "an") and timed:
        return Fraction(1, 2 if at and words[at - 1] == "half" else 1), at + 1
    return parse(words, at) if words[at] != "-" else None


def without_times(text: str) -> str:
    """A text without its dates and times of day, whose numbers count nothing."""
    return _TIME.sub(lambda found: found[0] if _clock(found) is None else " ", _DATE.sub(" ", text))


def is_date(text: str) -> bool:
    return bool(_DATE.fullmatch(text))


def date_in(text: str) -> str | None:
    """The first date, as said."""
    found = _DATE.search(text)
    return found[0] if found else None


def iso_date(said: str, today: date) -> str | None:
    """A date as YYYY-MM-DD; of days without a year the next one."""
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
    nth = re.search(_NTH, " ".join(word for word in words if word not in _MONTHS))
    if not month or not nth:
        return None
    day = _ORDINALS.get(nth[0]) or int(re.sub(r"\D", "", nth[0]))
    try:
        this_year = date(today.year, month, day)
        return (this_year if this_year >= today else date(today.year + 1, month, day)).isoformat()
    except ValueError:
        return None


def time_in(text: str) -> tuple[str, str] | None:
    """The first time of day: as HH:MM, and as said."""
    for found in _TIME.finditer(text):
        if clock := _clock(found):
            return clock, found[0]
    return None


def _clock(found: re.Match[str]) -> str | None:
    if found["word"]:
        return "12:00" if found["word"].lower() == "noon" else "00:00"
    hour = parse((_any(found, "hour1", "hour2", "hour3", "hour4"),))
    minute = _minute(found)
    if hour is None or minute is None or not 0 <= hour[0] <= 24 or hour[0].denominator != 1:
        return None
    half = _any(found, "half1", "half2", "half3") or _any(found, "part1", "part2", "part3")
    whole = int(hour[0]) % 24
    if half in ("p", "afternoon", "evening") and whole < 12:
        whole += 12
    if half in ("a", "morning") and whole == 12:
        whole = 0
    if _any(found, "way") == "to":
        whole, minute = whole - 1, 60 - minute
    return f"{whole % 24:02d}:{minute:02d}"


def _any(found: re.Match[str], *names: str) -> str:
    return next((found[name] for name in names if found[name]), "").lower()


def _minute(found: re.Match[str]) -> int | None:
    if distance := _any(found, "distance"):
        number = parse((distance.split()[0],))
        named = {"half": 30, "quarter": 15}.get(distance)
        return named or (int(number[0]) if number and 0 < number[0] < 60 else None)
    word = _any(found, "minute1", "minute3", "minute4")
    if word.isdecimal():
        return int(word) if int(word) < 60 else None
    return {"": 0, "thirty": 30, "fifteen": 15}.get(word, 45)
