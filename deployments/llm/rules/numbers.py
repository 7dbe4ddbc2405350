"""Numbers in words and digits, both ways."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

_UNITS: Final = {
    word: value
    for value, word in enumerate(
        [
            *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
            *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
        ]
    )
}
_TENS: Final = {
    word: 10 * value
    for value, word in enumerate(
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], start=2
    )
}
_SCALES: Final = {
    word: 1000**power
    for power, word in enumerate(
        [
            *("thousand", "million", "billion", "trillion", "quadrillion", "quintillion", "sextillion"),
            *("septillion", "octillion", "nonillion", "decillion"),
        ],
        start=1,
    )
}
HOMOPHONES: Final = {"to": 2, "too": 2, "for": 4, "fore": 4, "ate": 8, "won": 1, "oh": 0, "nought": 0, "fourty": 40}
"""What a recogniser writes for a number; trusted only where a number must stand."""

_MINUS: Final = ("minus", "negative", "-")
_UNIT_NAMES: Final = {value: word for word, value in _UNITS.items()}
_TEN_NAMES: Final = {value: word for word, value in _TENS.items()}


def parse(words: Sequence[str], start: int = 0) -> tuple[Fraction, int] | None:
    """The number that begins at `words[start]`, as long as possible, and the index after it."""
    if start >= len(words):
        return None
    word = words[start]
    if word in _MINUS:
        found = parse(words, start + 1) if start + 1 < len(words) and words[start + 1] not in _MINUS else None
        return (-found[0], found[1]) if found else None
    if word[0].isdigit() or word[0] == ".":
        return _parse_digits(words, start)
    whole = _parse_words(words, start)
    return _parse_point(words, whole) if whole else None


def parse_tolerant(words: Sequence[str], start: int = 0) -> tuple[Fraction, int] | None:
    """As `parse`, but "to", "for" and their like count as numbers. For places where a number must stand."""
    if start < len(words) and words[start] in HOMOPHONES:
        return Fraction(HOMOPHONES[words[start]]), start + 1
    return parse(words, start)


def _parse_digits(words: Sequence[str], start: int) -> tuple[Fraction, int] | None:
    try:
        value = Fraction(words[start])
    except ValueError:
        return None
    index = start + 1
    while index < len(words) and (words[index] in _SCALES or words[index] == "hundred"):
        value *= _SCALES.get(words[index], 100)
        index += 1
    return value, index


def _parse_words(words: Sequence[str], start: int) -> tuple[Fraction, int] | None:
    """ "two hundred and five thousand": groups below a thousand, each with its scale, scales falling."""
    total, limit, index = 0, 1000**20, start
    while group := _parse_group(words, index if index == start or words[index] != "and" else index + 1):
        value, after = group
        scale = 1
        while after < len(words) and words[after] in _SCALES:
            scale *= _SCALES[words[after]]
            after += 1
        if value * scale >= limit:
            break
        total, limit, index = total + value * scale, scale, after
        if scale == 1 or index == len(words):
            break
    return (Fraction(total), index) if index > start else None


def _parse_group(words: Sequence[str], start: int) -> tuple[int, int] | None:
    """A number below a thousand (or "fifteen hundred")."""

    def word(at: int) -> str:
        return words[at] if at < len(words) else ""

    index, value = start, 0
    if word(index) == "a" and (word(index + 1) == "hundred" or word(index + 1) in _SCALES):
        value, index = 1, index + 1
    elif word(index) in ("hundred", *_SCALES) and index == start:
        value = 1
    elif (small := _parse_below_hundred(words, index)) is not None:
        value, index = small
    else:
        return None
    if word(index) == "hundred":
        value, index = value * 100, index + 1
        after = index + 1 if word(index) == "and" else index
        if (rest := _parse_below_hundred(words, after)) is not None:
            value, index = value + rest[0], rest[1]
    return value, index


def _parse_below_hundred(words: Sequence[str], start: int) -> tuple[int, int] | None:
    word = words[start] if start < len(words) else ""
    if word in _TENS:
        unit = _UNITS.get(words[start + 1], 0) if start + 1 < len(words) else 0
        return (_TENS[word] + unit, start + 2) if 1 <= unit <= 9 else (_TENS[word], start + 1)
    return (_UNITS[word], start + 1) if word in _UNITS else None


def _parse_point(words: Sequence[str], whole: tuple[Fraction, int]) -> tuple[Fraction, int]:
    """ "three point one four": digits after the point, one by one."""
    value, index = whole
    if index >= len(words) or words[index] != "point":
        return whole
    digits, at = "", index + 1
    while at < len(words) and (_UNITS.get(words[at], 10) < 10 or words[at] == "oh" or words[at].isdecimal()):
        digits += words[at] if words[at].isdecimal() else str(_UNITS.get(words[at], 0))
        at += 1
    return (value + Fraction(int(digits), 10 ** len(digits)), at) if digits else whole


def say(value: Fraction | int, places: int = 4) -> str:
    """In words: "minus three point one four". Rounded to `places` where the decimals do not end before."""
    value = Fraction(value)
    if value < 0:
        return f"minus {say(-value, places)}"
    scaled = round(value * 10**places)
    whole, decimals = divmod(scaled, 10**places)
    text = _say_whole(whole)
    digits = f"{decimals:0{places}d}".rstrip("0")
    return f"{text} point {' '.join(_UNIT_NAMES[int(digit)] for digit in digits)}" if digits else text


def written(value: Fraction, places: int = 12) -> str:
    """In digits: "-3.14"."""
    whole, decimals = divmod(round(abs(value) * 10**places), 10**places)
    return f"{'-' if value < 0 else ''}{whole}.{decimals:0{places}d}".rstrip("0").rstrip(".")


def is_exact(value: Fraction, places: int = 4) -> bool:
    """Whether `say` gives the number itself."""
    return bool((value * 10**places).denominator == 1)


def _say_whole(value: int) -> str:
    if value >= 1000 ** (len(_SCALES) + 1):
        digits = str(value)
        return f"about {say(Fraction(int(digits[:3]), 100))} times ten to the power of {_say_whole(len(digits) - 1)}"
    groups = []
    for name, scale in reversed(_SCALES.items()):
        count, value = divmod(value, scale)
        if count:
            groups.append(f"{_say_below_thousand(count)} {name}")
    if value or not groups:
        joint = "and " if groups and value < 100 else ""
        groups.append(joint + _say_below_thousand(value))
    return " ".join(groups)


def _say_below_thousand(value: int) -> str:
    hundreds, rest = divmod(value, 100)
    if hundreds:
        name = f"{_UNIT_NAMES[hundreds]} hundred"
        return f"{name} and {_say_below_thousand(rest)}" if rest else name
    if rest < 20:
        return _UNIT_NAMES[rest]
    tens, unit = rest - rest % 10, rest % 10
    return f"{_TEN_NAMES[tens]}-{_UNIT_NAMES[unit]}" if unit else _TEN_NAMES[tens]


_ORDINALS: Final = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}


def ordinal(value: int) -> str:
    """ "twenty-first"."""
    head, joint, last = _say_whole(value).rpartition("-")
    if not joint:
        head, joint, last = _say_whole(value).rpartition(" ")
    if last in _ORDINALS:
        return head + joint + _ORDINALS[last]
    return head + joint + (last[:-1] + "ieth" if last.endswith("y") else last + "th")
