"""Arithmetic in words and digits: a precedence parser over words, exact in fractions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from deployments.llm.rules.numbers import HOMOPHONES, parse, parse_tolerant, say

LARGEST_BITS: Final = 4000
DEEPEST: Final = 16


class Impossible(Exception):
    """There is no such number, or it is too big; the message is a sentence to be spoken."""


@dataclass(frozen=True, slots=True)
class Term:
    """A part of an expression that has been read."""

    value: Fraction
    spoken: str
    end: int
    """Index of the first word after it."""
    operations: int = 0
    percent: bool = False
    exact: bool = True


INFIX: Final[Mapping[tuple[str, ...], str]] = {
    ("plus",): "+",
    ("+",): "+",
    ("added", "to"): "+",
    ("minus",): "-",
    ("-",): "-",
    ("−",): "-",
    ("less",): "-",
    ("take", "away"): "-",
    ("times",): "*",
    ("multiplied", "by"): "*",
    ("x",): "*",
    ("*",): "*",
    ("×",): "*",
    ("divided", "by"): "/",
    ("over",): "/",
    ("/",): "/",
    ("÷",): "/",
    ("modulo",): "mod",
    ("mod",): "mod",
    ("raised", "to", "the", "power", "of"): "^",
    ("to", "the", "power", "of"): "^",
    ("raised", "to"): "^",
    ("^",): "^",
    ("*", "*"): "^",
}
_PRECEDENCE: Final = {"+": 1, "-": 1, "*": 2, "/": 2, "mod": 2, "^": 3}
_SPOKEN: Final = {
    "+": "plus",
    "-": "minus",
    "*": "times",
    "/": "divided by",
    "mod": "modulo",
    "^": "to the power of",
}
_PREFIX: Final[Mapping[tuple[str, ...], str]] = {
    ("square", "root", "of"): "the square root of",
    ("cube", "root", "of"): "the cube root of",
    ("twice",): "twice",
    ("double",): "twice",
    ("triple",): "three times",
}
_POSTFIX: Final[Mapping[tuple[str, ...], str]] = {
    ("squared",): "squared",
    ("cubed",): "cubed",
    ("factorial",): "factorial",
}
_PARTS: Final = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "eighth": 8, "tenth": 10}
_ARTICLES: Final = ("the", "a", "an")


def read(words: Sequence[str], start: int, depth: int = 0, floor: int = 1) -> Term | None:
    """The expression that begins at `words[start]`, as long as possible. Raises Impossible."""
    left = _operand(words, start, depth)
    while left and (found := phrase(words, left.end, INFIX)):
        sign, after = found
        precedence = _PRECEDENCE[sign]
        # A power binds to the right, the others to the left.
        right = read(words, after, depth + 1, precedence + (sign != "^")) if precedence >= floor else None
        if right is None:
            break
        left = _combine(left, sign, right)
    return left


def phrase(words: Sequence[str], at: int, table: Mapping[tuple[str, ...], str]) -> tuple[str, int] | None:
    """The longest phrase of a table that stands at `at`, and the index after it."""
    for length in range(5, 0, -1):
        name = table.get(tuple(words[at : at + length]))
        if name and at + length <= len(words):
            return name, at + length
    return None


def word(words: Sequence[str], at: int) -> str:
    return words[at] if at < len(words) else ""


def _operand(words: Sequence[str], start: int, depth: int) -> Term | None:
    if depth > DEEPEST or start >= len(words):
        return None
    if (
        words[start] in _ARTICLES
        and word(words, start + 1) not in _ARTICLES
        and (term := _operand(words, start + 1, depth + 1))
        and term.operations
    ):
        return term
    if words[start] == "(":
        inner = read(words, start + 1, depth + 1)
        if inner is None or word(words, inner.end) != ")":
            return None
        term = Term(inner.value, f"({inner.spoken})", inner.end + 1, inner.operations, exact=inner.exact)
    elif found := phrase(words, start, _PREFIX):
        name, after = found
        inner = read(words, after, depth + 1, floor=3)
        if inner is None:
            return None
        value, exact = _function(name, inner.value)
        term = Term(value, f"{name} {inner.spoken}", inner.end, inner.operations + 1, exact=exact and inner.exact)
    else:
        number = _part(words, start, depth) or _number(words, start)
        if number is None:
            return None
        term = number
    return _postfix(words, term, depth)


def _number(words: Sequence[str], start: int) -> Term | None:
    found = parse(words, start)
    if found is None and words[start] in HOMOPHONES:
        # After an operator a number must stand; at the beginning only where an operator follows.
        after_sign = start > 0 and any(tuple(words[start - n : start]) in INFIX for n in (1, 2, 4))
        before_sign = phrase(words, start + 1, INFIX) is not None
        found = parse_tolerant(words, start) if after_sign or before_sign else None
    return Term(found[0], say(found[0], places=12), found[1]) if found else None


def _part(words: Sequence[str], start: int, depth: int) -> Term | None:
    """ "two thirds of nine"."""
    count, at = parse(words, start) or (Fraction(1), start)
    name = word(words, at)
    parts = _PARTS.get("half" if name == "halves" else name.removesuffix("s"))
    if parts is None or word(words, at + 1) != "of":
        return None
    inner = read(words, at + 2, depth + 1, floor=3)
    if inner is None:
        return None
    spoken = f"{'a' if count == 1 else say(count)} {name} of {inner.spoken}".replace("a half of", "half of")
    return Term(count * inner.value / parts, spoken, inner.end, inner.operations + 1, exact=inner.exact)


def _postfix(words: Sequence[str], term: Term, depth: int) -> Term:
    while found := phrase(words, term.end, _POSTFIX):
        name, after = found
        value, exact = _function(name, term.value)
        term = Term(value, f"{term.spoken} {name}", after, term.operations + 1, exact=exact and term.exact)
    if word(words, term.end) in ("percent", "%"):
        spoken = f"{term.spoken} percent"
        if word(words, term.end + 1) == "of":
            whole = read(words, term.end + 2, depth + 1, floor=2)
            if whole is None:
                return term
            value = term.value / 100 * whole.value
            spoken = f"{spoken} of {whole.spoken}"
            return Term(value, spoken, whole.end, term.operations + whole.operations + 1, exact=whole.exact)
        return Term(term.value / 100, spoken, term.end + 1, term.operations, percent=True, exact=term.exact)
    return term


def _combine(left: Term, sign: str, right: Term) -> Term:
    # "80 plus 15 percent" means 15 percent of the 80.
    of_left = right.percent and sign in ("+", "-") and not left.percent
    value, exact = _apply(left.value, sign, right.value * left.value if of_left else right.value)
    spoken = f"{left.spoken} {_SPOKEN[sign]} {right.spoken}"
    operations = left.operations + right.operations + 1
    return Term(value, spoken, right.end, operations, exact=exact and left.exact and right.exact)


def _apply(left: Fraction, sign: str, right: Fraction) -> tuple[Fraction, bool]:
    if sign in ("/", "mod") and right == 0:
        raise Impossible("I cannot divide by zero: there is no such number.")
    if sign == "^":
        return _power(left, right)
    results = {"+": lambda: left + right, "-": lambda: left - right, "*": lambda: left * right}
    results |= {"/": lambda: left / right, "mod": lambda: left % right}
    return _bounded(results[sign]()), True


def _power(base: Fraction, exponent: Fraction) -> tuple[Fraction, bool]:
    if base == 0 and exponent < 0:
        raise Impossible("I cannot divide by zero: there is no such number.")
    if exponent.denominator == 1:
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if base not in (0, 1, -1) and bits * abs(exponent) > LARGEST_BITS:
            raise Impossible("That number is too big for me to say.")
        return Fraction(base ** (exponent.numerator if base not in (1, -1) else exponent.numerator % 2)), True
    if base < 0:
        raise Impossible("That is not a real number.")
    try:
        return Fraction(float(base) ** float(exponent)), False
    except OverflowError:
        raise Impossible("That number is too big for me to say.") from None


def _function(name: str, value: Fraction) -> tuple[Fraction, bool]:
    if name == "the square root of":
        if value < 0:
            raise Impossible("A negative number has no real square root.")
        return _root(value, 2)
    if name == "the cube root of":
        root, exact = _root(abs(value), 3)
        return (root if value >= 0 else -root), exact
    if name == "factorial":
        if value.denominator != 1 or value < 0:
            raise Impossible("Only whole numbers from zero up have a factorial.")
        if value > 400:
            raise Impossible("That number is too big for me to say.")
        return Fraction(math.factorial(value.numerator)), True
    if name in ("squared", "cubed"):
        return _power(value, Fraction(2 if name == "squared" else 3))
    return _bounded(value * (2 if name == "twice" else 3)), True


def _root(value: Fraction, degree: int) -> tuple[Fraction, bool]:
    """To twelve places; exact where numerator and denominator have whole roots."""
    tops = _whole_root(value.numerator, degree), _whole_root(value.denominator, degree)
    if tops[0] ** degree == value.numerator and tops[1] ** degree == value.denominator:
        return Fraction(*tops), True
    scaled = value * 10 ** (12 * degree)
    return Fraction(_whole_root(scaled.numerator // scaled.denominator, degree), 10**12), False


def _whole_root(value: int, degree: int) -> int:
    """The largest whole number whose power is not above `value`, by bisection."""
    if degree == 2:
        return math.isqrt(value)
    low, high = 0, 1 << (value.bit_length() // degree + 1)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**degree <= value else (low, middle - 1)
    return low


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > LARGEST_BITS:
        raise Impossible("That number is too big for me to say.")
    return value
