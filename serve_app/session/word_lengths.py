"""How long the words of a text take to say, where the engine does not tell: estimated from their spelling.

Any language, no dictionary: a group of vowel letters is a syllable's nucleus, other letters are consonants, a digit is
read out as a word of its own. The durations are a least-squares fit to espeak-ng's word times, 175 words a minute, of
35 sentences in English, German, Spanish, French and Italian (352 words): a word's length is told to 63 ms r.m.s., by
its number of letters alone to 132. The pauses are espeak's.
"""

import itertools
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from deployments.media.timing import PhonemeTime, WordTime
from deployments.tts.clause_times import word_places

_WORD_MS = 10
_NUCLEUS_MS = 72
_LONG_MS = 24
"""For each further letter of a nucleus: "ea", "ou"."""
_CONSONANT_MS = 55
_SYLLABLE_SIGN_MS = 180
"""A sign that is a syllable by itself, as in Chinese or Japanese."""
_DIGIT_MS = 340
_FINAL_MS = 80
"""The last word before a pause is drawn out."""
_PAUSES_MS = {**dict.fromkeys(",،、，", 150), **dict.fromkeys(";:–—；：", 225), **dict.fromkeys(".!?…。！？", 300)}
_DIGIT_SOUNDS = 4
"""Phonemes of a digit's word."""

_VOWELS = frozenset("aeiouyæœøıаеёиоуыэюяіїєαεηιουω")
_ELSEWHERE = 0x2E80
"""From here on Unicode has signs for syllables and words."""


@dataclass(frozen=True, slots=True)
class WordLength:
    """A word's place in the text, and how long it takes."""

    text_start: int
    text_end: int
    sound_ms: float
    pause_ms: float
    """After it."""
    sounds: int
    """About so many phonemes."""


def word_lengths(text: str) -> list[WordLength]:
    """Of all words, in order."""
    places = word_places(text)
    nexts = [start for start, _ in places[1:]] + [len(text)]
    lengths = []
    for (start, end), next_start in zip(places, nexts, strict=False):
        pause_ms = max((_PAUSES_MS.get(mark, 0) for mark in text[end:next_start]), default=0)
        sound_ms, sounds = _spoken(text[start:end])
        lengths.append(WordLength(start, end, sound_ms + (_FINAL_MS if pause_ms else 0), pause_ms, sounds))
    return lengths


def total_ms(lengths: Sequence[WordLength]) -> float:
    """From the first word to the pause after the last."""
    return sum(length.sound_ms + length.pause_ms for length in lengths)


def laid_out(lengths: Sequence[WordLength], samples_per_ms: float) -> list[WordTime]:
    """One after the other at this pace."""
    words = []
    at_ms = 0.0
    for length in lengths:
        end_ms = at_ms + length.sound_ms
        words.append(
            WordTime(round(at_ms * samples_per_ms), round(end_ms * samples_per_ms), length.text_start, length.text_end)
        )
        at_ms = end_ms + length.pause_ms
    return words


def laid_on(lengths: Sequence[WordLength], phonemes: Sequence[PhonemeTime], *, whole: bool) -> list[WordTime]:
    """Each word on about as many phonemes as it has; `whole`: they are all of the text's, and shared out."""
    total = sum(length.sounds for length in lengths) or 1
    scale = len(phonemes) / total if whole else 1.0
    ends = [
        min(round(sounds * scale), len(phonemes)) for sounds in itertools.accumulate(each.sounds for each in lengths)
    ]
    words = []
    for length, first, end in zip(lengths, [0, *ends], ends, strict=False):
        if first >= len(phonemes):
            break
        last = max(first, end - 1)
        words.append(
            WordTime(phonemes[first].start_sample, phonemes[last].end_sample, length.text_start, length.text_end)
        )
    return words


def _spoken(word: str) -> tuple[float, int]:
    """Length without a pause, and phonemes."""
    length_ms, sounds, before = float(_WORD_MS), 0, ""
    for sign in unicodedata.normalize("NFKD", word.casefold()):
        if sign.isdecimal():
            length_ms += _DIGIT_MS
            sounds += _DIGIT_SOUNDS
        elif ord(sign) >= _ELSEWHERE:
            length_ms += _SYLLABLE_SIGN_MS
            sounds += 2
        elif sign in _VOWELS:
            length_ms += _LONG_MS if before in _VOWELS else _NUCLEUS_MS
            sounds += before not in _VOWELS
        elif sign.isalpha() and sign != before and not (sign == "h" and before.isalpha() and before not in _VOWELS):
            length_ms += _CONSONANT_MS
            sounds += 1
        if not unicodedata.combining(sign):
            before = sign
    return length_ms, max(1, sounds)
