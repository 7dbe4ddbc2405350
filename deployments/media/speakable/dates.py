"""Dates: written with figures (2026-11-21, 11/21/2026, 21.11.2026) or with the month's name."""

import re
from collections.abc import Callable, Iterator
from datetime import date
from functools import lru_cache, partial

from babel import Locale

from deployments.media.speakable.languages import Language
from deployments.media.speakable.numerals import cardinal, ordinal, year
from deployments.media.speakable.spoken import Change

_ISO = re.compile(r"(?<![\w.,/-])(?P<y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})(?![\w-]|\.\d)")
_FIGURES = re.compile(
    r"(?<![\w.,/-])(?P<a>\d{1,2})(?P<mark>[./])(?P<b>\d{1,2})(?P=mark)(?P<y>\d{4}|\d{2})(?![\w/]|\.\d)"
)
_GERMAN_CASE = re.compile(r"\b(?:am|vom|zum|beim|im|dem|den|des|seit|bis|ab|nach|vor)\s$", re.IGNORECASE)
_GERMAN_ARTICLE = re.compile(r"\b(?:der|dieser|jeder|jener)\s$", re.IGNORECASE)
_FIRST = {"fr": "premier", "es": "primero", "it": "primo"}
_OF = {"es": " de "}


def finders(language: Language) -> tuple[Callable[[str], Iterator[Change]], ...]:
    """In the order in which they are to be asked."""
    named = _named_pattern(language.code)
    return (
        partial(_iso, language=language),
        partial(_figures, language=language),
        partial(_named, pattern=named, language=language),
    )


def _iso(text: str, *, language: Language) -> Iterator[Change]:
    for match in _ISO.finditer(text):
        yield from _change(text, match, int(match["d"]), int(match["m"]), int(match["y"]), language)


def _figures(text: str, *, language: Language) -> Iterator[Change]:
    for match in _FIGURES.finditer(text):
        day, month = int(match["a"]), int(match["b"])
        # 11/21/2026 is how Americans write; what cannot be a month is a day anywhere.
        if (language.code == "en" and match["mark"] == "/" and month >= 1 and day <= 12) or month > 12:
            day, month = month, day
        years = int(match["y"])
        if len(match["y"]) == 2:
            years += 2000 if years < 70 else 1900
        yield from _change(text, match, day, month, years, language)


def _named(text: str, *, pattern: re.Pattern[str], language: Language) -> Iterator[Change]:
    months = _months(language.code)
    for match in pattern.finditer(text):
        groups = match.groupdict()
        day, name, written_year = (groups[key] or groups.get(f"{key}2") for key in ("d", "m", "y"))
        if day is not None and not 1 <= int(day) <= 31:
            continue
        month = months[name.lower().rstrip(".")] if name else 0
        years = int(written_year) if written_year else None
        words = _words(text[: match.start()], int(day) if day else None, month, years, language)
        yield Change(match.start(), match.end(), words)


def _change(text: str, match: re.Match[str], day: int, month: int, years: int, language: Language) -> Iterator[Change]:
    try:
        date(years, month, day)
    except ValueError:
        return
    yield Change(match.start(), match.end(), _words(text[: match.start()], day, month, years, language))


def _words(before: str, day: int | None, month: int, years: int | None, language: Language) -> str:
    name = _month_names(language.code)[month]
    of = _OF.get(language.code, " ")
    parts = name if day is None else _day_and_month(before, day, name, of, language)
    if years is None:
        return parts
    if language.code == "en":
        return f"{parts}, {year(years, 'en')}"
    return f"{parts}{of}{year(years, language.code)}"


def _day_and_month(before: str, day: int, name: str, of: str, language: Language) -> str:
    if language.code == "en":
        return f"{name} {ordinal(day, 'en')}"
    if language.code == "de":
        ending = "n" if _GERMAN_CASE.search(before) else "" if _GERMAN_ARTICLE.search(before) else "r"
        return f"{ordinal(day, 'de')}{ending} {name}"
    words = _FIRST[language.code] if day == 1 else cardinal(day, language.code)
    return f"{words}{of}{name}"


@lru_cache(maxsize=8)
def _month_names(code: str) -> dict[int, str]:
    return dict(Locale(code).months["format"]["wide"])


@lru_cache(maxsize=8)
def _months(code: str) -> dict[str, int]:
    """Names and what they are shortened to, in lower case, without a full stop."""
    wide, short = Locale(code).months["format"]["wide"], Locale(code).months["format"]["abbreviated"]
    names = {name.lower().rstrip("."): number for table in (short, wide) for number, name in table.items()}
    return names | ({"sept": 9} if code == "en" else {})


@lru_cache(maxsize=8)
def _named_pattern(code: str) -> re.Pattern[str]:
    # "may" and "mar" are words of their own: a month is one beside a day or, with its name in full, a year.
    names = "|".join(sorted(map(re.escape, _months(code)), key=len, reverse=True))
    name = rf"(?:{names})"
    if code == "en":
        pattern = (
            rf"\b(?P<m>{name})\.?\s(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s(?P<y>\d{{4}}))?(?![\w:/%-]|[.,]\d)"
            rf"|(?<![\w.,])(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?\s(?:of\s)?(?P<m2>{name})\b(?:,?\s(?P<y2>\d{{4}})\b)?"
        )
    elif code == "de":
        pattern = rf"(?<![\w.,])(?P<d>\d{{1,2}})\.\s?(?P<m>{name})\b(?:\s(?P<y>\d{{4}})\b)?"
    else:
        of = r"(?:de\s|del\s)" if code == "es" else ""
        first = "(?:er)?" if code == "fr" else "[º°]?"
        pattern = (
            rf"(?<![\w.,])(?P<d>\d{{1,2}}){first}\s{of and of + '?'}(?P<m>{name})\b"
            rf"(?:\s{of and of + '?'}(?P<y>\d{{4}})\b)?"
        )
    return re.compile(pattern, re.IGNORECASE)
