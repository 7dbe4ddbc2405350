"""From an engine's marks (a word begins here, a phoneme there) to the times of the words in the text.

Engines mark spoken words, which are not the written ones: "12.50" gives five marks, "X-ray" may give one for its
neighbour. Here a word is what stands between spaces, without the punctuation around it; a character in Chinese or
Japanese. The first mark that falls into it is its beginning; written words without a mark share the time of the one
before them by their length.
"""

import bisect
import re

from deployments.media.timing import PhonemeTime, WordTime

_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_INVISIBLE = "\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
_WORD = re.compile(rf"[{_IDEOGRAPHS}]|[^\s—–…{_INVISIBLE}{_IDEOGRAPHS}]+")
_PUNCTUATION = "\"'“”‘’‚„«»‹›()[]{}<>.,;:!?¡¿*_`~#|/\\-" + "。、，！？；：「」『』（）"


def word_places(text: str) -> list[tuple[int, int]]:
    """Where the words of `text` are: half open, in characters."""
    places = []
    for match in _WORD.finditer(text):
        word = match.group()
        start = match.start() + len(word) - len(word.lstrip(_PUNCTUATION))
        end = match.end() - len(word) + len(word.rstrip(_PUNCTUATION))
        if start < end:
            places.append((start, end))
    return places


class ClauseTimes:
    """Takes marks in the order of their samples and gives words and phonemes as soon as their end is known."""

    def __init__(self, text: str) -> None:
        self._places = word_places(text)
        self._ends = [end for _, end in self._places]
        self._first = 0
        """First word of the group that sounds now; a group begins at `_group_start`, None before the first mark."""
        self._group_start: int | None = None
        self._pause_start: int | None = None
        self._phoneme: tuple[str, int] | None = None

    def word(self, position: int, sample: int) -> list[WordTime]:
        """A spoken word of the text at `position` begins; gives the written words that end by it."""
        index = bisect.bisect_right(self._ends, position)
        if index == len(self._places):
            return []
        if self._group_start is None:
            self._group_start = sample
            return []
        if index <= self._first:
            return []
        words = self._close(index, sample)
        self._first, self._group_start = index, sample
        return words

    def phoneme(self, symbol: str, sample: int) -> list[PhonemeTime]:
        """A phoneme begins, or a pause (empty symbol); gives the one that it ends."""
        ended = self._phoneme
        self._phoneme = (symbol, sample) if symbol else None
        if symbol:
            self._pause_start = None
        elif self._pause_start is None:
            self._pause_start = sample
        return [PhonemeTime(ended[0], ended[1], sample)] if ended else []

    def finish(self, sample: int) -> tuple[list[WordTime], list[PhonemeTime]]:
        """The sound ends at `sample`; gives what was still open."""
        words = self._close(len(self._places), sample) if self._group_start is not None else []
        phonemes = [PhonemeTime(*self._phoneme, sample)] if self._phoneme else []
        self._group_start, self._phoneme = None, None
        return words, phonemes

    def _close(self, until: int, sample: int) -> list[WordTime]:
        """The words `_first` to `until` of the group that ends at `sample`, or at the pause before it."""
        assert self._group_start is not None
        start, end = self._group_start, sample
        if self._pause_start is not None and self._pause_start > start:
            end = self._pause_start
        places = self._places[self._first : until]
        total = sum(place_end - place_start for place_start, place_end in places)
        words, done = [], 0
        for place_start, place_end in places:
            begin = start + (end - start) * done // total
            done += place_end - place_start
            words.append(WordTime(begin, start + (end - start) * done // total, place_start, place_end))
        return words
