"""Voices whose pitch and loudness are known: harmonics of a contour, shaped like a vowel."""

import numpy as np
import numpy.typing as npt

from deployments.media.audio import SPEECH_RATE_HZ

Contour = npt.NDArray[np.float64]
"""One value per sample at 16 kHz."""


def voice(hz: Contour, level_db: float | Contour = -15.0) -> bytes:
    """Harmonics of a pitch up to 4 kHz with formants near 700 and 1200 Hz, as 16 kHz PCM. `level_db`: of full scale."""
    phase = 2 * np.pi * np.cumsum(hz) / SPEECH_RATE_HZ
    sound = np.zeros_like(hz)
    for harmonic in range(1, int(4000 / hz.max()) + 1):
        each_hz = harmonic * hz
        formants = np.exp(-(((each_hz - 700) / 300) ** 2)) + 0.7 * np.exp(-(((each_hz - 1200) / 300) ** 2))
        sound += (formants + 0.05) * np.sin(harmonic * phase)
    sound /= np.sqrt(np.mean(sound**2))
    pcm: bytes = np.clip(32768 * sound * 10 ** (level_db / 20), -32768, 32767).astype("<i2").tobytes()
    return pcm


def steady(value: float, duration_ms: float) -> Contour:
    """The same value throughout."""
    return np.full(round(duration_ms * SPEECH_RATE_HZ / 1000), value, dtype=np.float64)


def glide(start: float, end: float, duration_ms: float) -> Contour:
    """From one value to another, in equal ratios (pitch) where both are positive, else in equal steps (decibels)."""
    count = round(duration_ms * SPEECH_RATE_HZ / 1000)
    return np.geomspace(start, end, count) if min(start, end) > 0 else np.linspace(start, end, count)


def sentence(hz: float, final_st: float, final_db: float, duration_ms: float = 1000.0) -> bytes:
    """A voice that moves by so many semitones and decibels in its last 300 ms, from `hz` and -15 dB."""
    held_ms = duration_ms - 300
    pitch = np.concatenate([steady(hz, held_ms), glide(hz, hz * 2 ** (final_st / 12), 300)])
    level = np.concatenate([steady(-15.0, held_ms), glide(-15.0, -15.0 + final_db, 300)])
    return voice(pitch, level)
