"""Times of day: 14:30, 2:30 pm, 14 Uhr, 14h30."""

import re
from collections.abc import Callable, Iterator
from functools import partial

from deployments.media.speakable.languages import Language
from deployments.media.speakable.numerals import cardinal
from deployments.media.speakable.spoken import Change

_CLOCK = re.compile(
    r"(?<![\w.,:/])(?P<h>[01]?\d|2[0-4]):(?P<m>[0-5]\d)(?::(?P<s>[0-5]\d))?"
    r"(?:\s?(?P<half>[aApP])\.?\s?[mM]\b\.?(?=\W|$))?(?P<uhr>\s?Uhr\b|\s?h\b)?(?![\w:]|[.,]\d)"
)
_HOUR = re.compile(r"(?<![\w.,:/])(?P<h>1[0-2]|[1-9])\s?(?P<half>[aApP])\.?[mM]\b")
_FRENCH = re.compile(r"(?<![\w.,:/])(?P<h>[01]?\d|2[0-4])\s?h\s?(?P<m>[0-5]\d)?(?![\w])")
_UHR = re.compile(r"(?<![\w.,:/])(?P<h>[01]?\d|2[0-4])(?:\.(?P<m>[0-5]\d))?\sUhr\b")


def finders(language: Language) -> tuple[Callable[[str], Iterator[Change]], ...]:
    """In the order in which they are to be asked."""
    found: list[Callable[[str], Iterator[Change]]] = [partial(_find, pattern=_CLOCK, language=language)]
    for code, pattern in (("en", _HOUR), ("fr", _FRENCH), ("de", _UHR)):
        if language.code == code:
            found.append(partial(_find, pattern=pattern, language=language))
    return tuple(found)


def _find(text: str, *, pattern: re.Pattern[str], language: Language) -> Iterator[Change]:
    for match in pattern.finditer(text):
        groups = match.groupdict()
        if groups.get("s"):
            parts = [groups["h"], groups["m"], groups["s"]]
            words = ", ".join(cardinal(int(part), language.code) for part in parts)
        else:
            words = _words(int(groups["h"]), int(groups.get("m") or 0), groups.get("half"), language)
        ends_sentence = match[0].endswith(".") and not text[match.end() :].strip()
        yield Change(match.start(), match.end(), words + "." * ends_sentence)


def _words(hour: int, minute: int, half: str | None, language: Language) -> str:
    def say(value: int) -> str:
        return cardinal(value, language.code)

    if language.code == "en":
        return _english(hour, minute, half)
    if language.code == "de":
        hours = "ein Uhr" if hour == 1 else f"{say(hour)} Uhr"
        return f"{hours} {say(minute)}" if minute else hours
    if language.code == "fr":
        hours = "une heure" if hour == 1 else f"{_feminine(say(hour))} heure{'s' * (hour > 1)}"
        return f"{hours} {_feminine(say(minute))}" if minute else hours
    hours = {"es": "una", "it": "una"}[language.code] if hour == 1 else _feminine(say(hour))
    if language.code == "es":
        return f"{hours} y {say(minute)}" if minute else f"{hours} en punto"
    return f"{hours} e {say(minute)}" if minute else hours


def _feminine(words: str) -> str:
    """Hours and minutes are feminine: twenty-one of them end in one."""
    if words.endswith(("vingt et un", "-et-un")):
        return words + "e"
    return "veintiuna" if words == "veintiuno" else words


def _english(hour: int, minute: int, half: str | None) -> str:
    ending = f" {half.lower()} m" if half else ""
    if minute == 0:
        if hour in (0, 24) and not half:
            return "midnight"
        hours = cardinal(hour, "en")
        return hours + (ending or (" o'clock" if hour <= 12 else " hundred hours"))
    minutes = cardinal(minute, "en") if minute > 9 else f"oh {cardinal(minute, 'en')}"
    return f"{cardinal(hour, 'en')} {minutes}{ending}"
