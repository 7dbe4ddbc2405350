"""Is what the microphone hears the assistant's own voice?

The server knows what the client is playing, and what comes back through a loudspeaker is that, later and quieter. So
the newest sound of the microphone is compared with every stretch of what was played: the normalised cross-correlation
is 1 for an exact copy, whatever its level, and small for anybody else.

Both are reduced to 8 kHz and pre-emphasised: otherwise the low harmonics of two voices of like pitch resemble each
other. One comparison takes 0.6 ms, and is made only where there may be speech.
"""

from collections import deque
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from deployments.media.audio import SPEECH_RATE_HZ, VOICE_RATE_HZ, to_float
from deployments.media.resample import Resampler

_RATE_HZ = 8000
_EMPHASIS = 0.95
_FLOOR = 1e-4
"""Added to the energies: near digital silence nothing resembles anything."""

_NEWEST = _RATE_HZ // 10
"""100 ms, in which is looked for what the copy leaves."""
_EXPLAINED = 0.5
"""Least correlation of these with the copy. With 0.3, people who speak over an echo are taken for it more often."""
_ABOVE_NOISE_DB = 3.0
"""What is left of an echo is the room's noise, and no louder than this above it."""

_COPIES = 12
_OLDEST = 4
_WORSE = 0.85
"""Alone, copies vary by less: 0.97 to 1 through the air, 0.43 to 0.6 in a reverberant room."""
_ADDED_DB = 1.0
"""Of whoever speaks over a copy, the rest rises by more; that of a copy that only gets quieter stays as it is."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Likeness:
    """How much the microphone's sound is a copy of what was played."""

    correlation: float
    """Normalised: 1 for a copy, 0 for nothing alike."""
    delay_ms: float
    """How far before the end of what was played its original ends."""
    rest_db: float = 0.0
    """Level of what is left of the newest 100 ms without the copy, in dB of full scale; 0 where they hold none."""
    besides_db: float = 0.0
    """Level of what is left of all that was compared, as it was compared."""


class EchoGuard:
    """Tells the assistant's own voice from a person's, in one session.

    A person who speaks over the echo makes it a worse copy than it was, by what is added: so it is compared with the
    last copies, too.
    """

    def __init__(self, threshold: float) -> None:
        """`threshold`: least correlation of a copy."""
        self._threshold = threshold
        self._copies: deque[Likeness] = deque(maxlen=_COPIES)

    def is_echo(self, heard: bytes, played: bytes, noise_db: float = -100.0) -> bool:
        """Whether the newest sound of the microphone (16 kHz) is what the client has just played (24 kHz).

        In a loud room (`noise_db`) a copy resembles its original less, and at the start of a clause least: there it is
        one if nothing but the room is left without it.
        """
        if not played:
            return False
        found = likeness(heard, played)
        if found.rest_db <= noise_db + _ABOVE_NOISE_DB:
            return True
        if found.correlation < self._threshold or self._is_worse(found):
            return False
        self._copies.append(found)
        return True

    def _is_worse(self, found: Likeness) -> bool:
        if len(self._copies) < _COPIES:
            return False
        usual = min(copy.correlation for copy in self._copies)
        # The newest ones may hold the beginning of what somebody says.
        before_db = max(copy.besides_db for copy in islice(self._copies, _OLDEST))
        return found.correlation < _WORSE * usual and found.besides_db > before_db + _ADDED_DB

    def forget(self) -> None:
        """What was taken for a person was none: the room has changed."""
        self._copies.clear()


def likeness(heard: bytes, played: bytes) -> Likeness:
    """Compare the microphone's newest sound (16 kHz) with what the client has played up to now (24 kHz, longer)."""
    heard_plain, played_plain = _at_rate(heard, SPEECH_RATE_HZ), _at_rate(played, VOICE_RATE_HZ)
    mic, voice = _emphasised(heard_plain), _emphasised(played_plain)
    if mic.size == 0 or voice.size < mic.size:
        return Likeness(0.0, 0.0)
    size = 1 << (voice.size - 1).bit_length()  # what wraps around lies behind the delays that are looked at
    product = np.fft.rfft(voice, size) * np.conj(np.fft.rfft(mic, size))
    cross = np.fft.irfft(product, size)[: voice.size - mic.size + 1]
    energies = np.cumsum(np.concatenate([[0.0], voice.astype(np.float64) ** 2]))
    energy = energies[mic.size :] - energies[: -mic.size]
    correlation = np.abs(cross) / np.sqrt((energy + _FLOOR) * (float(mic.dot(mic)) + _FLOOR))
    best = int(np.argmax(correlation))
    behind = voice.size - mic.size - best
    rest_db = _rest_db(heard_plain[-_NEWEST:], played_plain[: played_plain.size - behind][-_NEWEST:])
    besides = float(mic.dot(mic)) * (1 - float(correlation[best]) ** 2) / mic.size
    besides_db = 10 * float(np.log10(max(besides, _FLOOR / mic.size)))
    return Likeness(float(correlation[best]), behind * 1000 / _RATE_HZ, rest_db, besides_db)


def _rest_db(newest: Floats, copy: Floats) -> float:
    """Level of `newest` without the share of `copy` in it, by least squares; 0 where that explains too little."""
    both, alone, together = float(newest.dot(newest)), float(copy.dot(copy)), float(newest.dot(copy))
    explained = together**2 / ((both + _FLOOR) * (alone + _FLOOR))
    if explained < _EXPLAINED**2:
        return 0.0
    return 10 * float(np.log10(max(both * (1 - explained), _FLOOR) / newest.size))


def _at_rate(pcm: bytes, rate_hz: int) -> Floats:
    return to_float(Resampler(rate_hz, _RATE_HZ).push(pcm, last=True))


def _emphasised(samples: Floats) -> Floats:
    return samples[1:] - np.float32(_EMPHASIS) * samples[:-1] if samples.size else samples
