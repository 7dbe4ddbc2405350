"""Amounts of money: $12.50, 12,50 €, USD 5, $3.5 million."""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Final

from babel.numbers import get_currency_name

from deployments.media.speakable.languages import Language
from deployments.media.speakable.numerals import Number, cardinal, in_words, number_pattern, read
from deployments.media.speakable.spoken import Change

_SIGNS: Final = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR", "₩": "KRW", "₽": "RUB", "₺": "TRY"}
_CODES: Final = "USD|EUR|GBP|JPY|CHF|CAD|AUD|INR|CNY|SEK|NOK|DKK|PLN|CZK|BRL|MXN"
_SHORT: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "en": {"USD": ("dollar", "dollars"), "GBP": ("pound", "pounds"), "JPY": ("yen", "yen")},
    "de": {"USD": ("Dollar", "Dollar"), "GBP": ("Pfund", "Pfund"), "JPY": ("Yen", "Yen")},
    "fr": {"USD": ("dollar", "dollars"), "GBP": ("livre", "livres"), "JPY": ("yen", "yens")},
    "es": {"USD": ("dólar", "dólares"), "GBP": ("libra", "libras"), "JPY": ("yen", "yenes")},
    "it": {"USD": ("dollaro", "dollari"), "GBP": ("sterlina", "sterline"), "JPY": ("yen", "yen")},
}
"""By their sign currencies are called by their short names."""
_CENTS: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "en": {"USD": ("cent", "cents"), "EUR": ("cent", "cents"), "GBP": ("penny", "pence")},
    "de": {"USD": ("Cent", "Cent"), "EUR": ("Cent", "Cent"), "GBP": ("Penny", "Pence")},
    "fr": {"USD": ("cent", "cents"), "EUR": ("centime", "centimes"), "GBP": ("penny", "pence")},
    "es": {"USD": ("centavo", "centavos"), "EUR": ("céntimo", "céntimos"), "GBP": ("penique", "peniques")},
    "it": {"USD": ("centesimo", "centesimi"), "EUR": ("centesimo", "centesimi"), "GBP": ("penny", "pence")},
}
_AND: Final = {"en": " and ", "de": " ", "fr": " ", "es": " con ", "it": " e "}
_FEMININE: Final = {("fr", "GBP"), ("es", "GBP"), ("it", "GBP")}


def finders(language: Language) -> tuple[Callable[[str], Iterator[Change]], ...]:
    """In the order in which they are to be asked."""
    number, signs = number_pattern(language), "".join(map(re.escape, _SIGNS))
    scale = "|".join(sorted(map(re.escape, language.scales), key=len, reverse=True))
    scaled = rf"(?P<n>{number})(?:\s?(?P<scale>{scale})(?!\w))?"
    minus = r"(?:(?<![\w.,)])(?P<minus>[-−]))?"
    before = re.compile(rf"{minus}(?:US)?(?:(?P<sign>[{signs}])|(?<!\w)(?P<code>{_CODES}))\s?{scaled}(?!\w)")
    behind = re.compile(rf"{minus}(?<![\w.,]){scaled}\s?(?:(?P<sign>[{signs}])|(?P<code>{_CODES})(?!\w))")
    return partial(_find, pattern=before, language=language), partial(_find, pattern=behind, language=language)


def _find(text: str, *, pattern: re.Pattern[str], language: Language) -> Iterator[Change]:
    for match in pattern.finditer(text):
        code = _SIGNS[match["sign"]] if match["sign"] else match["code"]
        minus = f"{language.minus} " if match["minus"] else ""
        words = _words(read(match["n"], language), match["scale"], code, bool(match["sign"]), language)
        yield Change(match.start(), match.end(), minus + words)


def _words(number: Number, scale: str | None, code: str, short: bool, language: Language) -> str:
    if scale:
        scaled = language.scales[scale]
        of = f" {language.scale_of}" if scaled in language.magnitudes else ""
        return f"{in_words(number, language)} {scaled}{of} {_name(code, 2, short, language.code)}"
    cents = _CENTS[language.code].get(code)
    if len(number.fraction) != 2 or cents is None:
        one = _one(code, language) if number.is_one else in_words(number, language)
        return f"{one} {_name(code, 1 if number.is_one else 2, short, language.code)}"
    whole, hundredths = Number(number.whole, grouped=number.grouped), int(number.fraction)
    rest = f"{language.one if hundredths == 1 else cardinal(hundredths, language.code)} {cents[hundredths != 1]}"
    if number.whole.strip("0") == "":
        return rest if hundredths else _words(Number("0"), None, code, short, language)
    amount = _words(whole, None, code, short, language)
    if not hundredths:
        return amount
    # In German and French the cents are a bare number: "zwölf Euro fünfzig".
    if language.code in ("de", "fr"):
        return f"{amount} {cardinal(hundredths, language.code)}"
    return f"{amount}{_AND[language.code]}{rest}"


def _one(code: str, language: Language) -> str:
    return language.one_feminine if (language.code, code) in _FEMININE else language.one


@lru_cache(maxsize=256)
def _name(code: str, count: int, short: bool, language: str) -> str:
    names = _SHORT[language].get(code) if short else None
    return names[count != 1] if names else get_currency_name(code, count, language)
