"""Written numbers and their words: what every kind of number is built from."""

import re
from dataclasses import dataclass
from functools import lru_cache

from num2words import num2words

from deployments.media.speakable.languages import Language

_MOST_DIGITS = 15
"""A longer number is read out digit by digit, and so is one of more than nine digits without groups: an identifier."""
_MOST_UNGROUPED = 9
_FRACTION_AS_NUMBER = frozenset(("fr", "es", "it"))
"""Two decimals are said as a number: "virgule cinquante"."""


@dataclass(frozen=True, slots=True)
class Number:
    """As it is written: its digits, without group marks."""

    whole: str
    fraction: str = ""
    grouped: bool = False

    @property
    def value(self) -> float:
        """For choosing a plural; not exact."""
        return float(f"{self.whole}.{self.fraction or 0}")

    @property
    def is_one(self) -> bool:
        """Exactly `1`."""
        return self.whole == "1" and not self.fraction


@lru_cache(maxsize=16)
def number_pattern(language: Language) -> str:
    """A regular expression of a number without a sign, and without groups of its own."""
    mark, groups = re.escape(language.decimal_mark), re.escape(language.group_marks)
    # Where the groups' mark is a full stop, one that is not before three digits is a decimal point all the same.
    decimals = rf"(?:{mark}\d+)?" if language.code == "en" else rf"(?:(?:{mark}|\.(?!\d{{3}}(?!\d)))\d+)?"
    return rf"(?:\d{{1,3}}(?:[{groups}]\d{{3}})+(?!\d)(?:{mark}\d+)?|\d+{decimals})"


def read(text: str, language: Language) -> Number:
    """What `number_pattern` matched."""
    marks = re.escape(language.group_marks)
    grouped = re.match(rf"\d{{1,3}}(?:[{marks}]\d{{3}})+(?!\d)", text)
    if grouped:
        return Number(re.sub(r"\D", "", grouped[0]), text[grouped.end() + 1 :], grouped=True)
    whole, fraction = re.match(r"(\d+)(?:\D(\d+))?", text).groups()  # type: ignore[union-attr]  # it does match
    return Number(whole, fraction or "")


def in_words(number: Number, language: Language) -> str:
    """All of it."""
    whole = number.whole
    long = len(whole) > _MOST_DIGITS or (len(whole) > _MOST_UNGROUPED and not number.grouped)
    leading_zero = len(whole) > 1 and whole[0] == "0"
    words = one_by_one(whole, language) if long or leading_zero else cardinal(int(whole), language.code)
    if not number.fraction:
        return words
    fraction = number.fraction
    if language.code in _FRACTION_AS_NUMBER and len(fraction) == 2 and fraction[0] != "0":
        return f"{words} {language.point} {cardinal(int(fraction), language.code)}"
    return f"{words} {language.point} {one_by_one(fraction, language)}"


def one_by_one(digits: str, language: Language) -> str:
    """Digit by digit."""
    return " ".join(cardinal(int(digit), language.code) for digit in digits)


@lru_cache(maxsize=4096)
def cardinal(value: int, code: str) -> str:
    """Of up to 15 digits. Without the commas of English, at which a voice would pause."""
    return str(num2words(value, lang=code)).replace(",", "")


@lru_cache(maxsize=1024)
def ordinal(value: int, code: str) -> str:
    """Masculine where that makes a difference."""
    return str(num2words(value, lang=code, to="ordinal")).replace(",", "")


@lru_cache(maxsize=1024)
def year(value: int, code: str) -> str:
    """A year after Christ of four digits."""
    if code == "en" and 2000 < value < 2010:
        return f"two thousand {cardinal(value - 2000, code)}"
    return str(num2words(value, lang=code, to="year")) if code in ("en", "de") else cardinal(value, code)
