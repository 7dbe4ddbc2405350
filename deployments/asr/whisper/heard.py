"""What the model is asked and what it answers: plain values between an utterance, the scheduler and the model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

SECONDS_MOST: Final = 30.0
"""Of sound that the model hears at once."""
UNSPACED: Final = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
"""Languages that are written without white space between words."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word as the model wrote it."""

    text: str
    """Without any white space, with its punctuation."""
    tokens: tuple[int, ...]
    spaced: bool = True
    """Whether white space is before it, where it is not the first."""
    start_s: float = 0.0
    end_s: float = 0.0
    """From the beginning of the sound that was asked about; both 0 where no times were asked for."""


@dataclass(frozen=True, slots=True)
class Question:
    """At most 30 s of one utterance."""

    pcm: bytes
    """16 kHz."""
    final: bool
    """Its words are to have times, and are sought with more effort."""
    language: str | None = None
    """None: to be detected."""
    task: Literal["transcribe", "translate"] = "transcribe"
    hints: tuple[int, ...] = ()
    """Tokens of prompt, hotwords and what was said before."""
    prefix: tuple[int, ...] = ()
    """Tokens that the answer is made to begin with."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the sound of a question says."""

    words: tuple[Word, ...]
    """Those of the prefix first."""
    language: str
    language_probability: float = 1.0
    """1 where it was given."""
    mean_logprob: float = 0.0
    """Natural logarithm, over the tokens."""
    no_speech_probability: float = 0.0


def text_of(words: Sequence[Word]) -> str:
    """The words with white space where it belongs."""
    return "".join(f" {word.text}" if n and word.spaced else word.text for n, word in enumerate(words))


def tokens_of(words: Sequence[Word]) -> tuple[int, ...]:
    """Theirs, in order."""
    return tuple(token for word in words for token in word.tokens)
