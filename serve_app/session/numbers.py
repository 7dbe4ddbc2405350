"""Whether a number at the end of what was said is complete: it may come in groups, with pauses between.

What announces a number ("my number is") says how many digits it has at least. Without that, digits said one by one are
taken for a telephone number. A range ("from one to ten") is over when it is said.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from serve_app.session.completeness import Completeness
from serve_app.session.lexicon import Lexicon

_SHORT_GROUP = 3
"""Digits one by one of which more follow: hardly anything has only three."""
_SHORTEST = 7
"""Digits of the shortest telephone numbers."""
_LONG = 10
"""Digits from which a telephone number may well be complete."""


@dataclass(frozen=True, slots=True)
class _Number:
    """What the words at the end make, as one number."""

    digits: int
    groups: int
    """Said one after the other: "five five" are two, "twenty five" and "555" one each."""
    counted: bool
    """Has a hundred or a thousand in it."""

    @property
    def dictated(self) -> bool:
        """Is read out, not counted: "five five five", "555 123", "5551234"."""
        long_groups = self.groups == 2 and self.digits >= 2 * _SHORT_GROUP
        return not self.counted and (self.groups >= 3 or long_groups or self.digits >= _SHORTEST)


def is_number(word: str, cues: Lexicon) -> bool:
    """Whether a word is a number, in words or figures, or a letter of a code."""
    return _digits_of(word, cues) > 0 or word in cues.scales


def number_completeness(words: Sequence[str], cues: Lexicon, *, closed: bool, question: bool) -> Completeness | None:
    """How a number at the end looks; None where there is none or it tells nothing. `closed`: by a full stop."""
    start = _tail_start(words, cues)
    number = _number(words[start:], cues)
    if number.groups and not number.dictated and start >= 2 and is_number(words[start - 2], cues):
        if words[start - 1] in cues.ranges:
            return Completeness.FINISHED
        if words[start - 1] in cues.operators:
            return None
    announced = _announcement(words, cues)
    if announced is not None:
        return _after_announcement(words, *announced, cues, closed=closed, question=question)
    introduced = _is_introduced(words, start, cues)
    if number.dictated or (introduced and number.digits == number.groups == 2):
        more = number.digits < _SHORTEST if introduced else number.digits <= _SHORT_GROUP
        return Completeness.UNFINISHED if more else _long_enough(number, _SHORTEST, closed)
    return None


def _after_announcement(
    words: Sequence[str], start: int, least: int, cues: Lexicon, *, closed: bool, question: bool
) -> Completeness | None:
    """`start`: behind what announces a number of at least so many digits."""
    number = _number(words[start:], cues)
    linked = any(word in cues.links for word in words[start:])
    if number.digits == 0:
        asked = any(word in cues.askers for word in words[:start])
        return Completeness.UNFINISHED if linked and not asked else None
    if not number.dictated and (question or not linked):
        return None
    if number.digits < least:
        return Completeness.UNFINISHED
    return _long_enough(number, least, closed) if number.dictated else None


def _long_enough(number: _Number, least: int, closed: bool) -> Completeness:
    """Telephone numbers may go on below ten digits, and voices fall at the end of each group."""
    if number.digits < _LONG and least == _SHORTEST:
        return Completeness.HALFWAY
    return Completeness.FINISHED if closed else Completeness.OPEN


def _tail_start(words: Sequence[str], cues: Lexicon) -> int:
    """Where the number at the end begins."""
    start = len(words)
    while start and (_is_part(words[start - 1], cues) or _is_join(words, start - 1, cues)):
        start -= 1
    return start


def _is_part(word: str, cues: Lexicon) -> bool:
    return is_number(word, cues) or word in cues.separators


def _is_join(words: Sequence[str], at: int, cues: Lexicon) -> bool:
    """As "and" in "one hundred and five"."""
    return at > 0 and words[at] in cues.joins and (words[at - 1] in cues.scales or words[at - 1] in cues.tens)


def _announcement(words: Sequence[str], cues: Lexicon) -> tuple[int, int] | None:
    """Where the words behind the last announcement begin, and how many digits it wants; only a number may follow."""
    start = len(words)
    while start:
        least = cues.announced_digits(words[:start])
        if least is not None:
            return start, least
        word = words[start - 1]
        if not (_is_part(word, cues) or word in cues.links or word in cues.dates or word in cues.joins):
            return None
        start -= 1
    return None


def _is_introduced(words: Sequence[str], start: int, cues: Lexicon) -> bool:
    """As "it's" does."""
    return any(tuple(words[max(0, start - size) : start]) in cues.introductions for size in (1, 2))


def _number(words: Sequence[str], cues: Lexicon) -> _Number:
    digits = groups = 0
    after_tens = False
    for word in words:
        single = word in cues.digits
        if not (after_tens and single):
            more = 2 if word in cues.dates else _digits_of(word, cues)
            digits += more
            groups += more > 0
        # "Twenty five" are two digits, and so are "treinta y cinco".
        after_tens = word in cues.tens or (after_tens and word in cues.joins)
    return _Number(digits, groups, any(word in cues.scales for word in words))


def _digits_of(word: str, cues: Lexicon) -> int:
    """How many digits a word stands for; a letter of a code is one."""
    figures = sum(char.isdecimal() for char in word)
    if figures:
        characters = sum(char.isalnum() for char in word)
        return characters if 2 * figures >= characters else 0
    if word in cues.digits:
        return 1
    if word in cues.tens or cues.is_compound_number(word):
        return 2
    grammatical = word in cues.dangling or word in cues.prepositions or word in cues.links or word in cues.joins
    return int(len(word) == 1 and word.isascii() and not grammatical)
