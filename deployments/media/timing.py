"""Where words and phonemes lie in a stretch of synthesised speech."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WordTime:
    """A word's place in the sound and in the text that was spoken."""

    start_sample: int
    end_sample: int
    """Half open, counted from the first sample of the clause, at the rate of the audio beside it."""
    text_start: int
    text_end: int
    """Half open, in characters of the clause: `clause[text_start:text_end]` is the word."""


@dataclass(frozen=True, slots=True)
class PhonemeTime:
    """A phoneme's place in the sound."""

    symbol: str
    """As the engine names it (espeak: Kirshenbaum or IPA mnemonic)."""
    start_sample: int
    end_sample: int
