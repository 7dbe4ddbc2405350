"""Which written word each phoneme of a sentence belongs to, and when it sounds.

Piper tells how long each phoneme lasts, not which word it is from, and espeak-ng joins words ("of the" is one) and
speaks several for one ("12.50"). So each written word is also put into phonemes alone, and the two strings are laid
on each other where they agree.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from deployments.media.timing import PhonemeTime, WordTime
from deployments.tts.clause_times import ClauseTimes

Phonemes = Sequence[str]
"""Of one sentence, as Piper writes them: a symbol or a mark each."""


@dataclass(frozen=True)
class Timed:
    """What is known of a sentence's times."""

    words: tuple[WordTime, ...] = ()
    phonemes: tuple[PhonemeTime, ...] = ()


def sounds(symbol: str) -> bool:
    """Whether it is a phoneme: not a pause, a stress or a length."""
    return bool(symbol) and unicodedata.category(symbol[0]) in ("Ll", "Lu", "Lo")


def word_starts(written: Sequence[tuple[int, Phonemes]], spoken: Phonemes) -> dict[int, int]:
    """For each index of a phoneme in `spoken` at which a written word begins, that word's place in the text.

    `written`: place and phonemes of each word alone, in order.
    """
    alone = [symbol for _, phonemes in written for symbol in phonemes if sounds(symbol)]
    indices = [index for index, symbol in enumerate(spoken) if sounds(symbol)]
    matched = SequenceMatcher(None, alone, [spoken[index] for index in indices], autojunk=False).get_opcodes()
    starts: dict[int, int] = {}
    at = 0
    for place, phonemes in written:
        length = sum(map(sounds, phonemes))
        where = _laid(at, matched)
        if length and where is not None and where < len(indices):
            starts.setdefault(indices[where], place)
        at += length
    return starts


def _laid(at: int, matched: Sequence[tuple[str, int, int, int, int]]) -> int | None:
    for _, first, end, other_first, other_end in matched:
        if first <= at < end:
            return other_first + (at - first) * (other_end - other_first) // (end - first)
    return None


class PieceTimes:
    """The times of one piece of text, sentence after sentence."""

    def __init__(self, text: str, starts: dict[int, int]) -> None:
        """`starts`: of the phonemes of all its sentences, one after the other (`word_starts`)."""
        self._times = ClauseTimes(text)
        self._starts = starts
        self._index = 0

    def add(self, phonemes: Phonemes, lengths: Sequence[int], first_sample: int) -> Timed:
        """A sentence begins at `first_sample`, each of its phonemes lasting so many samples."""
        words: list[WordTime] = []
        times: list[PhonemeTime] = []
        for index, symbol, sample in _begun(phonemes, lengths, first_sample):
            if (place := self._starts.get(self._index + index)) is not None and symbol:
                words += self._times.word(place, sample)
            times += self._times.phoneme(symbol, sample)
        self._index += len(phonemes)
        return Timed(tuple(words), tuple(times))

    def finish(self, sample: int) -> Timed:
        """The piece ends."""
        words, phonemes = self._times.finish(sample)
        return Timed(tuple(words), tuple(phonemes))


def _begun(phonemes: Phonemes, lengths: Sequence[int], first_sample: int) -> Iterator[tuple[int, str, int]]:
    """Index, symbol (empty: a pause) and first sample of each phoneme. Marks last as part of what they belong to."""
    sample = first_sample
    stressed_from: int | None = None
    for index, (symbol, length) in enumerate(zip(phonemes, lengths, strict=True)):
        if sounds(symbol):
            yield index, symbol, sample if stressed_from is None else stressed_from
            stressed_from = None
        elif symbol in ("ˈ", "ˌ"):
            stressed_from = sample if stressed_from is None else stressed_from
        elif not symbol or unicodedata.category(symbol[0])[0] in "ZPSC":
            yield index, "", sample
            stressed_from = None
        sample += length
