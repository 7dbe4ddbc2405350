"""Cuts a stream of text into clauses that can be spoken while the rest is still being written.

The first clause is short, so that sound starts early; each later one may be twice as long as the one before, up to
`max_chars`, because the sound already queued buys time and longer clauses have better prosody.

A place is decided from the characters up to and including the one after it, never from how the text was split into
deltas. So any split gives the same clauses, and no decision waits for more than the next character (after a few
abbreviations such as "etc." or "No.": for the first character of the next word).
"""

import unicodedata
from typing import Final, Literal

SENTENCE_ENDS: Final = ".!?؟۔።"
WIDE_SENTENCE_ENDS: Final = "。！？｡।॥។။"
"""End a sentence without white space after them."""
PAUSES: Final = ",;:،؛—"
DASHES: Final = ("-", "–", "—")
"""A pause where they stand alone between spaces."""
WIDE_PAUSES: Final = "，、；：､"
CLOSERS: Final = "\"'”’»)]}*_`」』】）》〉"
OPENERS: Final = "\"'“‘«([{*_`¿¡「『【（《〈"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


CONJUNCTIONS: Final = _words(
    "and but or because although though while whereas unless which "
    "und oder aber weil et mais ou pero porque aunque sino"
)

NEVER_ENDS: Final = _words(
    "mr mrs ms dr prof st mt rev hon capt lt col gen sgt sen rep gov pres mme mlle messrs hr fr sra srta ud "
    "vs cf approx viz al ca bzw e.g i.e z.b d.h"
)
ENDS_UNLESS_DIGIT: Final = _words("no nos nr fig vol ch sec art p pp eq núm")
ENDS_BEFORE_CAPITAL: Final = _words(
    "etc inc ltd co corp jr sr dept est a.m p.m ph.d usw jan feb mar apr jun jul aug sept oct nov dec"
)

WIDE_WEIGHT: Final = 5
"""A CJK character counts as so many letters: espeak says 20.9 letters of English a second, but 4.0 of Chinese."""
LONGEST_WORD: Final = 4
"""In `max_chars`: text without any place to cut is cut anywhere after so much."""

_Ending = Literal["end", "pause", "unless_digit", "before_capital", "inside", "word"]


class ClauseCutter:
    """One reply's text in, clauses out. The clauses joined are the text, unchanged.

    White space after a boundary belongs to the clause before it. Every clause has something to speak, except that
    the one from `flush` may be white space or marks alone.
    """

    def __init__(self, first_min_chars: int = 12, first_max_chars: int = 60, max_chars: int = 200) -> None:
        """A first clause ends at the first pause after `first_min_chars` or, without one, at the first space after
        `first_max_chars`. Both double with each clause, the second up to `max_chars`.
        """
        if not 0 < first_min_chars <= first_max_chars <= max_chars:
            raise ValueError("clauses need 0 < first_min_chars <= first_max_chars <= max_chars")
        self._first_min = first_min_chars
        self._first_max = first_max_chars
        self._max = max_chars
        self._cuts = 0
        self._at_line_start = True
        self._restart("")

    def feed(self, delta: str) -> list[str]:
        """The clauses that `delta` completes."""
        clauses = []
        for char in delta:
            cut = self._boundary(char)
            self._append(char)
            if cut is not None:
                clauses.append(self._text[:cut])
                self._cuts += 1
                self._at_line_start = clauses[-1].endswith("\n")
                self._restart(self._text[cut:])
        return clauses

    def flush(self) -> list[str]:
        """What is left, and the next text starts afresh."""
        rest = [self._text] if self._text else []
        self._cuts = 0
        self._at_line_start = True
        self._restart("")
        return rest

    def _restart(self, text: str) -> None:
        self._text = ""
        self._weight = 0
        self._word_start = 0
        self._speakable = False
        for char in text:
            self._append(char)

    def _append(self, char: str) -> None:
        if self._text and self._text[-1].isspace() and not char.isspace():
            self._word_start = len(self._text)
        self._text += char
        self._weight += WIDE_WEIGHT if _is_wide(char) else 1
        self._speakable = self._speakable or char.isalnum()

    @property
    def _min_weight(self) -> int:
        return min(self._first_min << min(self._cuts, 16), self._max // 2)

    @property
    def _max_weight(self) -> int:
        return min(self._first_max << min(self._cuts, 16), self._max)

    def _boundary(self, char: str) -> int | None:
        """Where to cut, in characters of the text with `char` appended, now that `char` is known."""
        if not self._speakable:
            return None
        if char == "\n":
            return len(self._text) + 1
        if char.isspace():
            return self._boundary_at_space()
        if self._text[-1].isspace():
            return self._boundary_at_word(char)
        return self._boundary_inside(char)

    def _boundary_at_space(self) -> int | None:
        if self._text[-1].isspace():
            return None
        here = len(self._text) + 1
        ending = self._ending()
        endless = self._weight >= LONGEST_WORD * self._max
        if ending == "end" or endless or (ending == "pause" and self._weight >= self._min_weight):
            return here
        if ending == "word":
            if self._weight >= self._max_weight:
                return here
            before = self._weight - (len(self._text) - self._word_start)
            long = 2 * before >= self._min_weight + self._max_weight
            if long and self._text[self._word_start :].lower() in CONJUNCTIONS:
                return self._word_start
        return None

    def _boundary_at_word(self, char: str) -> int | None:
        """An abbreviation that may have ended a sentence, now that the next word begins."""
        ending = self._ending()
        ended = (ending == "unless_digit" and not char.isdigit()) or (ending == "before_capital" and char.isupper())
        return len(self._text) if ended else None

    def _boundary_inside(self, char: str) -> int | None:
        here = len(self._text)
        if char in CLOSERS or char in WIDE_SENTENCE_ENDS or char in WIDE_PAUSES:
            return None
        last = self._text[-8:].rstrip(CLOSERS)[-1:]
        if last and last in WIDE_SENTENCE_ENDS:
            return here
        if last and last in WIDE_PAUSES and not char.isdigit() and self._weight >= self._min_weight:
            return here
        if self._weight >= self._max_weight and _is_wide(char) and _is_wide(last) and char.isalnum():
            return here
        if self._weight >= LONGEST_WORD * self._max and not unicodedata.combining(char):
            return here
        return None

    def _ending(self) -> _Ending:
        """How the last word ends."""
        token = self._text[self._word_start :].rstrip()
        core = token.rstrip(CLOSERS)
        last = core[-1:]
        if token in DASHES or core.endswith(("..", "…")) or (core.rstrip(PAUSES) and last in PAUSES):
            return "pause"
        if last == ".":
            return self._ending_of_dotted(core[:-1].lstrip(OPENERS))
        if last and (last in SENTENCE_ENDS or last in WIDE_SENTENCE_ENDS):
            return "end"
        # A group of digits may be the first part of a number written with spaces: 1 000.
        return "inside" if token.isdigit() else "word"

    def _ending_of_dotted(self, word: str) -> _Ending:
        """How a word ends that is followed by one full stop, which is not part of `word`."""
        key = word.lower()
        if not word or key in NEVER_ENDS or (word.isdigit() and self._starts_line()):
            return "inside"
        if key in ENDS_UNLESS_DIGIT:
            return "unless_digit"
        if key in ENDS_BEFORE_CAPITAL:
            return "before_capital"
        letters = word.split(".")
        if all(len(letter) == 1 and letter.isalpha() for letter in letters) and (len(letters) > 1 or word.isupper()):
            return "inside"
        return "end"

    def _starts_line(self) -> bool:
        """Whether the last word is the first of its line: "1." is then a list item's number."""
        before = self._text[: self._word_start]
        return not before.strip() and (self._at_line_start or "\n" in before)


def _is_wide(char: str) -> bool:
    return unicodedata.east_asian_width(char) in "WF"
