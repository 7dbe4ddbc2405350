"""Plain numbers: signs, percent, ordinals, ranges, sums, fractions, years, versions and telephone numbers."""

import re
from collections.abc import Callable, Iterator
from functools import partial

from deployments.media.speakable.languages import Language
from deployments.media.speakable.numerals import cardinal, in_words, number_pattern, one_by_one, ordinal, read, year
from deployments.media.speakable.spoken import Change

Finder = Callable[[str], Iterator[Change]]

_BEFORE = r"(?<![\w.,])"
_AFTER = r"(?!\w|[.,:]\d)"
_PHONE = re.compile(r"(?<![\w.])\+?(?:\(\d{1,5}\)[ -]?)?\d{1,4}(?:[ -]\d{2,4}){2,5}(?![\w-])")
_LEAST_PHONE_DIGITS = 9
_VERSION = re.compile(r"(?<![\w.])(?P<v>v)?\d+(?:\.\d+){2,}(?![\w.]\d|\w)")
_ORDINALS = {
    "en": re.compile(r"(?<![\w.,])(\d{1,6})(?:st|nd|rd|th)\b"),
    "fr": re.compile(r"(?<![\w.,])(\d{1,6})(?:er|re|e|ème|eme)\b"),
    "es": re.compile(r"(?<![\w.,])(\d{1,3})\.?[ºª]"),
    "it": re.compile(r"(?<![\w.,])(\d{1,6})[º°ª](?!\s?[CF])"),
}
_YEAR_WORDS = re.compile(r"\b(?:in|since|of|year|by|from|until|till|before|after|around|and|to)\s$", re.IGNORECASE)
_VULGAR = {"1/2": "½", "1/3": "⅓", "2/3": "⅔", "1/4": "¼", "3/4": "¾"}
_DECADE = re.compile(r"(?<![\w.,])(1[1-9]|20)(\d0)s\b")


def finders(language: Language) -> tuple[Finder, ...]:
    """In the order in which they are to be asked."""
    number = number_pattern(language)
    ordered = _ORDINALS.get(language.code)
    patterns = {
        _ranges: rf"{_BEFORE}(?P<a>\d{{1,4}})\s?[–-]\s?(?P<b>\d{{1,4}})(?P<percent>\s?%)?(?![\w-]|[.,:]\d)",
        _percents: rf"{_BEFORE}(?P<sign>[-−+])?(?P<n>{number})\s?%",
        _sums: r"(?<=[\d)])\s?(?P<sign>[+×÷·=≈<>]|(?<=\s)[-−*/](?=\s)|(?<=\d)\*(?=\d))\s?(?=[-−(]?\d)",
        _fractions: r"(?P<whole>\d+)?\s?(?P<part>[½⅓⅔¼¾])|(?<![\w/.,])(?P<slashed>1/2|1/3|2/3|1/4|3/4)(?![\w/]|[.,]\d)",
        _plain: rf"(?:(?<![\w.,)])(?P<sign>[-−])|(?P<hash>#)|{_BEFORE})(?P<n>{number}){_AFTER}",
    }
    found: list[Finder] = [
        partial(_telephones, language=language),
        partial(_versions, language=language),
        *(partial(find, pattern=re.compile(pattern), language=language) for find, pattern in patterns.items()),
    ]
    if ordered is not None:
        found.insert(2, partial(_ordinals, pattern=ordered, language=language))
    if language.code == "en":
        found.insert(2, _decades)
    return tuple(found)


def _telephones(text: str, *, language: Language) -> Iterator[Change]:
    for match in _PHONE.finditer(text):
        groups = re.findall(r"\d+", match[0])
        if sum(map(len, groups)) >= _LEAST_PHONE_DIGITS and not (language.code != "en" and _is_grouped(match[0])):
            plus = f"{language.signs['+']} " if match[0].startswith("+") else ""
            yield Change(match.start(), match.end(), plus + ", ".join(one_by_one(group, language) for group in groups))


def _is_grouped(text: str) -> bool:
    """A large number written with spaces, as in French."""
    return re.fullmatch(r"\d{1,3}(?: \d{3})+", text) is not None


def _versions(text: str, *, language: Language) -> Iterator[Change]:
    for match in _VERSION.finditer(text):
        if "." in language.group_marks and re.fullmatch(r"\d{1,3}(?:\.\d{3})+", match[0]):
            continue  # one million
        parts = re.findall(r"\d+", match[0])
        words = f" {language.point if language.code == 'en' else language.dot} ".join(
            cardinal(int(part), language.code) if len(part) < 10 else one_by_one(part, language) for part in parts
        )
        yield Change(match.start(), match.end(), f"version {words}" if match["v"] else words)


def _decades(text: str) -> Iterator[Change]:
    for match in _DECADE.finditer(text):
        words = year(int(match[1] + match[2]), "en")
        yield Change(match.start(), match.end(), words[:-1] + "ies" if words.endswith("y") else words + "s")


def _ordinals(text: str, *, pattern: re.Pattern[str], language: Language) -> Iterator[Change]:
    for match in pattern.finditer(text):
        words = ordinal(int(match[1]), language.code)
        if match[0][-1] in "ª" and words.endswith("o"):
            words = words[:-1] + "a"
        if language.code == "fr" and match[1] == "1":
            words = "première" if match[0].endswith("re") else "premier"
        yield Change(match.start(), match.end(), words)


def _percents(text: str, *, pattern: re.Pattern[str], language: Language) -> Iterator[Change]:
    for match in pattern.finditer(text):
        sign = f"{language.signs[match['sign']]} " if match["sign"] else ""
        words = in_words(read(match["n"], language), language)
        yield Change(match.start(), match.end(), f"{sign}{words} {language.percent}")


def _ranges(text: str, *, pattern: re.Pattern[str], language: Language) -> Iterator[Change]:
    for match in pattern.finditer(text):
        first, last = int(match["a"]), int(match["b"])
        if first < last and len(match["a"]) <= len(match["b"]) and match["a"][0] != "0":
            words = (_year_or_number(value, language) for value in (first, last))
            percent = f" {language.percent}" if match["percent"] else ""
            yield Change(match.start(), match.end(), f" {language.to} ".join(words) + percent)


def _year_or_number(value: int, language: Language) -> str:
    return year(value, language.code) if 1900 <= value < 2100 else cardinal(value, language.code)


def _sums(text: str, *, pattern: re.Pattern[str], language: Language) -> Iterator[Change]:
    for match in pattern.finditer(text):
        words = language.signs.get(match["sign"])
        if words:
            yield Change(match.start(), match.end(), f" {words} ")


def _fractions(text: str, *, pattern: re.Pattern[str], language: Language) -> Iterator[Change]:
    joint = {"en": "and", "de": "und", "fr": "et", "es": "y", "it": "e"}[language.code]
    for match in pattern.finditer(text):
        words = language.fractions[match["part"] or _VULGAR[match["slashed"]]]
        if match["whole"]:
            words = f"{cardinal(int(match['whole'][-9:]), language.code)} {joint} {words}"
        yield Change(match.start(), match.end(), words)


def _plain(text: str, *, pattern: re.Pattern[str], language: Language) -> Iterator[Change]:
    for match in pattern.finditer(text):
        number = read(match["n"], language)
        if match["hash"]:
            words = f"{language.number} {in_words(number, language)}"
        elif _is_year(match["n"], text[: match.start()], language):
            words = year(int(number.whole), language.code)
        else:
            words = in_words(number, language)
        yield Change(match.start(), match.end(), f"{language.minus} {words}" if match["sign"] else words)


def _is_year(written: str, before: str, language: Language) -> bool:
    if len(written) != 4 or not written.isdecimal() or language.code not in ("en", "de"):
        return False
    value = int(written)
    if language.code == "de":
        return 1100 <= value < 2000
    return 1900 <= value < 2100 or (1100 <= value < 1900 and _YEAR_WORDS.search(before) is not None)
