"""A long recording cut into the stretches in which somebody speaks.

The speech model (Silero) judges each chunk of 32 ms. A segment begins a little before speech and ends in a pause: any
long one, a short one when it is half full. Speech that goes on for longer than a segment may be is cut where it sounds
least like speech.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from deployments.media.audio import BYTES_PER_SAMPLE, SPEECH_RATE_HZ, ms_to_samples
from serve_app.session.speech_model import CHUNK_SAMPLES

Judge = Callable[[bytes], list[float]]
"""The probability of speech in each chunk of whole chunks of sound, which follow those of the call before."""

_CHUNK_BYTES: Final = BYTES_PER_SAMPLE * CHUNK_SAMPLES
_CHUNK_MS: Final = 1000 * CHUNK_SAMPLES / SPEECH_RATE_HZ
_BEGINS: Final = 0.5
_GOES_ON: Final = 0.35
"""Probabilities from which speech begins and goes on, as in `VadConfig`."""
_LEAST_CHUNKS: Final = 3
"""A segment with less speech is none: a click, a bark."""
_PAD: Final = round(300 / _CHUNK_MS)
"""Chunks before and after speech that belong to it: words begin and end softly."""
_PAUSE: Final = round(480 / _CHUNK_MS)
_LONG_PAUSE: Final = round(2000 / _CHUNK_MS)
_SMOOTHED: Final = 8
"""Chunks over which the least speech is looked for."""
_SILENT: Final = 8
"""Samples no larger than this are silence without being asked about: -72 dB of full scale."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch with speech in it."""

    start_sample: int
    """In the recording."""
    pcm: bytes
    """16 kHz."""
    speech: float
    """Mean probability of speech in its chunks."""


class SegmentCutter:
    """One recording, from its beginning. Blocks: use it in a worker thread."""

    def __init__(self, judge: Judge, longest_s: float) -> None:
        self._judge = judge
        self._longest = ms_to_samples(1000 * longest_s, SPEECH_RATE_HZ) // CHUNK_SAMPLES
        self._start = 0
        """Sample at which what is held begins."""
        self._held = bytearray()
        self._chances: list[float] = []
        self._unjudged = bytearray()
        self._last: int | None = None
        """The last chunk of speech that is held; None while there is none."""

    def feed(self, pcm: bytes) -> list[Segment]:
        """The next sound, 16 kHz; the segments that it completes."""
        self._unjudged += pcm
        whole = len(self._unjudged) // _CHUNK_BYTES * _CHUNK_BYTES
        sound = bytes(self._unjudged[:whole])
        del self._unjudged[:whole]
        done: list[Segment] = []
        for n, chance in enumerate(self._chances_of(sound)):
            self._held += sound[n * _CHUNK_BYTES : (n + 1) * _CHUNK_BYTES]
            self._chances.append(chance)
            self._hear(done)
        return done

    def flush(self) -> list[Segment]:
        """The recording is over; the last segment, if there is one."""
        self._held += self._unjudged
        self._unjudged.clear()
        done: list[Segment] = []
        if self._last is not None:
            self._cut(min(len(self._chances), self._last + 1 + _PAD), done, to_the_end=True)
        return done

    def _chances_of(self, sound: bytes) -> list[float]:
        chunks = np.frombuffer(sound, "<i2").reshape(-1, CHUNK_SAMPLES)
        loud = np.abs(chunks.astype(np.int32)).max(axis=1) > _SILENT
        chances = np.zeros(len(chunks))
        if loud.any():
            chances[loud] = self._judge(chunks[loud].tobytes())
        return [float(chance) for chance in chances]

    def _hear(self, done: list[Segment]) -> None:
        """One more chunk is held: is a segment full?"""
        newest = len(self._chances) - 1
        if self._chances[newest] >= (_BEGINS if self._last is None else _GOES_ON):
            self._last = newest
        if self._last is None:
            self._drop(max(0, len(self._chances) - _PAD))
            return
        pause = newest - self._last
        if pause >= _LONG_PAUSE or (pause >= _PAUSE and 2 * len(self._chances) >= self._longest):
            self._cut(self._last + 1 + _PAD, done)
        elif len(self._chances) >= self._longest:
            self._cut(self._quietest(), done)

    def _cut(self, end: int, done: list[Segment], *, to_the_end: bool = False) -> None:
        """Give what is held before the chunk `end`, and go on with the rest."""
        end_byte = len(self._held) if to_the_end and end == len(self._chances) else end * _CHUNK_BYTES
        chances = self._chances[:end]
        if sum(chance >= _BEGINS for chance in chances) >= _LEAST_CHUNKS:
            done.append(Segment(self._start, bytes(self._held[:end_byte]), sum(chances) / len(chances)))
        self._drop(end)
        voiced = [n for n, chance in enumerate(self._chances) if chance >= _BEGINS]
        self._last = voiced[-1] if voiced else None
        if self._last is None:
            self._drop(max(0, len(self._chances) - _PAD))

    def _drop(self, chunks: int) -> None:
        if chunks:
            del self._held[: chunks * _CHUNK_BYTES]
            del self._chances[:chunks]
            self._start += chunks * CHUNK_SAMPLES

    def _quietest(self) -> int:
        """The chunk in the last third around which there is least speech; where it is all the same, least sound."""
        first = 2 * len(self._chances) // 3
        chances = np.asarray(self._chances[first:])
        samples = np.frombuffer(self._held, "<i2", len(chances) * CHUNK_SAMPLES, first * _CHUNK_BYTES)
        loudness = np.abs(samples.astype(np.float32)).reshape(-1, CHUNK_SAMPLES).mean(axis=1) / 32768
        smoothed: npt.NDArray[np.float64] = np.convolve(chances + 0.1 * loudness, np.ones(_SMOOTHED), "valid")
        return first + int(np.argmin(smoothed)) + _SMOOTHED // 2
