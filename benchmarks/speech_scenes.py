"""Recorded speech in known surroundings, with the truth about where it begins and ends; and sounds that are no speech.

Each stretch of speech is cut to what is audible (within 40 dB of its peak and out of its own room noise), padded with
silence and given noise at a stated signal-to-noise ratio. The true first and last samples are those where a 10 ms step
of the clean recording is louder than the noise added, for nobody hears what lies beneath it. Seeded.
"""

import contextlib
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from deployments.media.audio import SPEECH_RATE_HZ, ms_to_samples

Samples = npt.NDArray[np.float64]
"""In the range of int16, not rounded."""

NO_NOISE = float("inf")
"""As a signal-to-noise ratio."""
_STEP = 160
_LEAD_MS = 600
_TAIL_MS = 1000

STRETCHES: tuple[tuple[str, int, int], ...] = (
    ("yes", 0, 560),
    ("no", 0, 500),  # a burst follows at 820 ms
    ("hello", 0, 720),
    ("help_me", 120, 1200),  # a click precedes
    ("thank_you", 120, 1010),  # a breath follows
    ("hi_how_are_you", 0, 1010),
    ("jfk", 250, 2200),
    ("jfk", 3200, 3850),
    ("jfk", 3900, 4500),
    ("jfk", 5300, 7700),
    ("jfk", 8100, 10500),
)
"""Clip, start and end in ms: speech between pauses."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Surroundings."""

    name: str
    snr_db: float
    noise: str
    gain_db: float = 0.0


CONDITIONS = (
    Condition("digital silence", NO_NOISE, "white"),
    Condition("digital silence, -20 dB", NO_NOISE, "white", -20),
    Condition("white noise, SNR 30 dB", 30, "white"),
    Condition("white noise, SNR 20 dB", 20, "white"),
    Condition("pink noise, SNR 20 dB", 20, "pink"),
    Condition("pink noise, SNR 20 dB, -20 dB", 20, "pink", -20),
    Condition("pink noise, SNR 10 dB", 10, "pink"),
    Condition("white noise, SNR 5 dB", 5, "white"),
)


@dataclass(frozen=True, slots=True)
class Scene:
    """A stretch of speech in its surroundings: 16 kHz PCM and the truth."""

    name: str
    pcm: bytes
    first_sample: int
    last_sample: int
    """Exclusive."""


def read_clip(path: Path) -> Samples:
    """A mono 16 kHz 16-bit WAV."""
    with contextlib.closing(wave.open(str(path))) as clip:
        if (clip.getframerate(), clip.getnchannels(), clip.getsampwidth()) != (SPEECH_RATE_HZ, 1, 2):
            raise ValueError(f"{path} is not 16 kHz mono 16-bit")
        return np.frombuffer(clip.readframes(clip.getnframes()), "<i2").astype(np.float64)


def pcm_of(samples: Samples) -> bytes:
    """Rounded towards zero and clipped."""
    return np.clip(samples, -32768, 32767).astype("<i2").tobytes()


def noise(kind: str, count: int, seed: int) -> Samples:
    """White or pink noise of unit power."""
    white = np.random.default_rng(seed).normal(size=count)
    if kind == "white":
        return white
    spectrum = np.fft.rfft(white)
    spectrum[1:] /= np.sqrt(np.arange(1, spectrum.size))
    spectrum[0] = 0
    pink: Samples = np.fft.irfft(spectrum, count)
    return pink / float(pink.std())


def make_scene(name: str, clip: Samples, condition: Condition, offset: int = 0) -> Scene:
    """Speech after 600 ms and `offset` samples, and 1 s of its surroundings after it."""
    clip = _audible(clip * 10 ** (condition.gain_db / 20))
    levels = _levels_db(clip)
    noise_db = _active_db(levels) - condition.snr_db
    loud = np.flatnonzero(levels > noise_db)
    lead = ms_to_samples(_LEAD_MS, SPEECH_RATE_HZ) + offset
    sound = np.concatenate([np.zeros(lead), clip, np.zeros(ms_to_samples(_TAIL_MS, SPEECH_RATE_HZ))])
    if condition.snr_db < NO_NOISE:
        sound += noise(condition.noise, sound.size, seed=offset) * 10 ** (noise_db / 20)
    return Scene(name, pcm_of(sound), lead + int(loud[0]) * _STEP, lead + int(loud[-1] + 1) * _STEP)


def scenes(data: Path, condition: Condition, offsets: tuple[int, ...] = (0, 130, 270, 410)) -> Iterator[Scene]:
    """All stretches at several offsets to the detector's grids of 20 and 32 ms."""
    for clip, start_ms, end_ms in STRETCHES:
        start, end = ms_to_samples(start_ms, SPEECH_RATE_HZ), ms_to_samples(end_ms, SPEECH_RATE_HZ)
        samples = read_clip(data / f"{clip}.wav")[start:end]
        for offset in offsets:
            yield make_scene(f"{clip}@{start_ms}", samples, condition, offset)


def not_speech(data: Path) -> Iterator[tuple[str, bytes]]:
    """Sounds between half seconds of quiet."""
    quiet = 5 * noise("white", SPEECH_RATE_HZ // 2, 5)
    for name, samples in _sounds(data):
        yield name, pcm_of(np.concatenate([quiet, samples, quiet]))


def recorded_noise_in_noise(data: Path, clip: str) -> Iterator[bytes]:
    """A recorded sound at 10 gains in 4 noises, at 3 offsets."""
    samples = read_clip(data / f"{clip}.wav")
    for gain_db in range(-30, 10, 4):
        for kind, rms in (("white", 3), ("white", 100), ("pink", 50), ("pink", 200)):
            for offset in (0, 170, 330):
                sound = np.concatenate([np.zeros(8000 + offset), samples * 10 ** (gain_db / 20), np.zeros(8000)])
                yield pcm_of(sound + rms * noise(kind, sound.size, offset + rms))


def _sounds(data: Path) -> Iterator[tuple[str, Samples]]:
    for clip in ("noise_dog_bark", "noise_ringing_phone"):
        samples = read_clip(data / f"{clip}.wav")
        for gain_db in (-20, -10, 0, 6):
            yield f"{clip}, {gain_db:+d} dB", samples * 10 ** (gain_db / 20)
    for kind in ("white", "pink"):
        for rms in (30, 300, 3000):
            yield f"{kind} noise, rms {rms}", rms * noise(kind, 10 * SPEECH_RATE_HZ, rms)
    keys = 30 * noise("white", 10 * SPEECH_RATE_HZ, 7)
    for at in range(4000, keys.size - 4000, 3700):
        keys[at : at + 300] += 9000 * noise("white", 300, at) * np.exp(-np.arange(300) / 60)
    yield "keyboard (synthetic)", keys
    time = np.arange(5 * SPEECH_RATE_HZ)
    yield "beeps of 1 kHz", 8000 * np.sin(2 * np.pi * 1000 * time / SPEECH_RATE_HZ) * (time // 4000 % 2)
    yield "burst of 50 ms that follows 'no'", read_clip(data / "no.wav")[9600:]


def _audible(clip: Samples) -> Samples:
    levels = _levels_db(clip)
    own_noise_db = min(float(np.percentile(levels, 5)) + 6, float(levels.max()) - 24)
    heard = np.flatnonzero(levels > max(float(levels.max()) - 40, own_noise_db))
    return clip[heard[0] * _STEP : (heard[-1] + 1) * _STEP]


def _levels_db(samples: Samples) -> Samples:
    power = (samples[: samples.size // _STEP * _STEP].reshape(-1, _STEP) ** 2).mean(axis=1)
    levels: Samples = 10 * np.log10(np.maximum(power, 1e-3))
    return levels


def _active_db(levels: Samples) -> float:
    """Level of the speech without its pauses: the steps within 20 dB of the peak."""
    loud = levels[levels > levels.max() - 20]
    return float(10 * np.log10(np.mean(10 ** (loud / 10))))
