"""What Whisper writes where nothing was said: recognised by its own doubts and by its repetitions."""

import zlib
from collections.abc import Sequence
from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from deployments.asr.whisper.heard import Answer, Word, text_of

BLOCK_SAMPLES: Final = 1_600
"""Of which the loudest decides whether there is any sound: 100 ms."""


class Guards(BaseModel):
    """Thresholds. Those of probability and compression are Whisper's own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    silence_dbfs: float = Field(default=-70.0, le=0.0)
    """Sound whose loudest 100 ms are below this is not decoded. A microphone in a silent room is above it."""
    no_speech_probability: float = Field(default=0.6, ge=0.0, le=1.0)
    """Above it, and with a mean log probability below `mean_logprob`, nothing was said."""
    mean_logprob: float = Field(default=-1.0, le=0.0)
    compression_ratio: float = Field(default=2.4, ge=1.0)
    """Bytes of the text for each byte that zlib makes of it; what repeats itself more is not speech."""
    most_repeats: int = Field(default=3, ge=2)
    """How often the same one to eight words may follow each other; of more, the first is kept."""


REPEATED_WORDS_MOST: Final = 8
"""Length of a repeated phrase that is looked for."""


def is_silence(pcm: bytes, guards: Guards) -> bool:
    """Whether there is no sound at all in 16 kHz `pcm`."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float32)
    if not samples.size:
        return True
    blocks = np.pad(samples, (0, -samples.size % BLOCK_SAMPLES)).reshape(-1, BLOCK_SAMPLES)
    loudest = float(np.sqrt(np.mean(blocks**2, axis=1)).max())
    return loudest < 32768.0 * 10 ** (guards.silence_dbfs / 20)


def believed(answer: Answer, guards: Guards) -> tuple[Word, ...]:
    """The words of an answer that are to be believed; none where nothing was said."""
    doubted = answer.mean_logprob < guards.mean_logprob
    if answer.no_speech_probability > guards.no_speech_probability and doubted:
        return ()
    words = without_repeats(answer.words, guards.most_repeats)
    if compression_ratio(text_of(words)) > guards.compression_ratio:
        return ()
    return words


def compression_ratio(text: str) -> float:
    """How much shorter zlib makes it; 0 for no text."""
    raw = text.encode()
    return len(raw) / len(zlib.compress(raw)) if raw else 0.0


def without_repeats(words: Sequence[Word], most: int) -> tuple[Word, ...]:
    """Of a phrase of one to eight words said more than `most` times on end, the first only."""
    kept: list[Word] = []
    place = 0
    while place < len(words):
        for length in range(1, REPEATED_WORDS_MOST + 1):
            times = _times(words, place, length)
            if times > most:
                kept += words[place : place + length]
                place += length * times
                break
        else:
            kept.append(words[place])
            place += 1
    return tuple(kept)


def _times(words: Sequence[Word], place: int, length: int) -> int:
    """How often on end the phrase at `place` is said."""
    phrase = [_plain(word) for word in words[place : place + length]]
    times, here = 1, place + length
    while len(phrase) == length and [_plain(word) for word in words[here : here + length]] == phrase:
        times, here = times + 1, here + length
    return times


def _plain(word: Word) -> str:
    return word.text.casefold().strip(".,!?;:…。，！？、") or word.text
