"""Sounds that are nobody's words: what stands behind a conversation, and what bursts into it. Seeded, at 24 kHz."""

from pathlib import Path

import numpy as np

from benchmarks.speech_scenes import Samples, noise, read_clip
from deployments.media.audio import SPEECH_RATE_HZ, VOICE_RATE_HZ

BACKGROUNDS: dict[bool, tuple[str, ...]] = {False: ("white", "pink"), True: ("pink", "brown")}
"""By half."""
EVENTS: dict[bool, tuple[str, ...]] = {
    False: ("dog_bark", "door", "hiss"),
    True: ("ringing_phone", "heavy_door", "rumble", "keyboard"),
}
"""By half; the two doors, hiss and rumble differ in spectrum and length."""
_DATA = Path(__file__).parents[2] / "tests" / "data"
_RATE_HZ = VOICE_RATE_HZ


def background(kind: str, count: int, seed: int) -> Samples:
    """Steady noise of unit power: `white`, `pink` (1/f) or `brown` (1/f²)."""
    if kind != "brown":
        return noise(kind, count, seed)
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=count))
    hz = np.maximum(np.fft.rfftfreq(count, 1 / _RATE_HZ), 20.0)
    brown: Samples = np.fft.irfft(spectrum / hz, count)
    return brown / float(brown.std())


def event(kind: str, seed: int) -> Samples:
    """A sound that comes and goes, its loudest 10 ms at unit power."""
    match kind:
        case "dog_bark" | "ringing_phone":
            sound = upsampled(read_clip(_DATA / f"noise_{kind}.wav"))[: 2 * _RATE_HZ]
        case "door":
            sound = _slam(seed, 0.35, 90.0, 0.06)
        case "heavy_door":
            sound = _slam(seed, 0.7, 55.0, 0.14)
        case "hiss":
            sound = _swell("white", seed, 0.8)
        case "rumble":
            sound = _swell("brown", seed, 1.6)
        case "keyboard":
            sound = _keys(seed)
        case _:
            raise ValueError(f"there is no noise {kind!r}")
    return sound / float(np.sqrt(_loudest_power(sound)))


def upsampled(samples: Samples) -> Samples:
    """From 16 to 24 kHz, by the spectrum."""
    count = round(samples.size * VOICE_RATE_HZ / SPEECH_RATE_HZ)
    out: Samples = np.fft.irfft(np.fft.rfft(samples), count) * (count / samples.size)
    return out


def _slam(seed: int, length_s: float, hz: float, decay_s: float) -> Samples:
    """A burst with the frame's resonance behind it."""
    chance = np.random.default_rng(seed)
    time_s = np.arange(round(length_s * _RATE_HZ)) / _RATE_HZ
    burst = background("pink", time_s.size, seed) * np.exp(-time_s / (decay_s / 3))
    ring = np.sin(2 * np.pi * hz * (1 + 0.1 * chance.uniform(-1, 1)) * time_s) * np.exp(-time_s / decay_s)
    slam: Samples = burst + 0.8 * ring
    return slam


def _swell(kind: str, seed: int, length_s: float) -> Samples:
    count = round(length_s * _RATE_HZ)
    swell: Samples = background(kind, count, seed) * np.hanning(count)
    return swell


def _keys(seed: int) -> Samples:
    chance = np.random.default_rng(seed)
    keys: Samples = np.zeros(round(1.8 * _RATE_HZ))
    click = np.exp(-np.arange(450) / 90)
    for at in np.cumsum(chance.integers(2400, 6000, 8)):
        if at + click.size < keys.size:
            keys[at : at + click.size] += chance.normal(size=click.size) * click
    return keys


def _loudest_power(samples: Samples) -> float:
    step = _RATE_HZ // 100
    return float((samples[: samples.size // step * step].reshape(-1, step) ** 2).mean(axis=1).max())
