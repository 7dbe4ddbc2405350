"""Mono 16-bit PCM: the one form in which sound is held and sent.

Bytes are little-endian signed 16-bit samples. A block never holds half a sample.
"""

import math

import numpy as np
import numpy.typing as npt

BYTES_PER_SAMPLE = 2
SPEECH_RATE_HZ = 16_000
"""What recognition and voice activity detection hear."""
VOICE_RATE_HZ = 24_000
"""What synthesis delivers and a session plays."""


def samples_of(pcm: bytes) -> int:
    """Number of samples in a block; raises ValueError for half a sample."""
    count, rest = divmod(len(pcm), BYTES_PER_SAMPLE)
    if rest:
        raise ValueError(f"{len(pcm)} bytes are not whole 16-bit samples")
    return count


def ms_to_samples(duration_ms: float, rate_hz: int) -> int:
    """Samples that last `duration_ms`, rounded to the nearest."""
    return round(duration_ms * rate_hz / 1000)


def samples_to_ms(samples: int, rate_hz: int) -> float:
    """How long `samples` last, in milliseconds."""
    return samples * 1000 / rate_hz


def silence(duration_ms: float, rate_hz: int) -> bytes:
    """Digital silence."""
    return bytes(BYTES_PER_SAMPLE * ms_to_samples(duration_ms, rate_hz))


def to_float(pcm: bytes) -> npt.NDArray[np.float32]:
    """Samples as float32 in [-1, 1). Shape: (samples,)."""
    return np.frombuffer(pcm, dtype="<i2").astype(np.float32) / 32768.0


def from_float(samples: npt.NDArray[np.floating]) -> bytes:
    """Float samples, clipped to [-1, 1], as PCM. Shape: (samples,)."""
    return bytes((np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2").tobytes())


def fade_out(pcm: bytes) -> bytes:
    """The block, linearly down to silence."""
    return _ramped(pcm, 1.0, 0.0)


def fade_in(pcm: bytes) -> bytes:
    """The block, linearly up from silence."""
    return _ramped(pcm, 0.0, 1.0)


def _ramped(pcm: bytes, first: float, last: float) -> bytes:
    ramp = np.linspace(first, last, samples_of(pcm), dtype=np.float32)
    return (np.frombuffer(pcm, dtype="<i2") * ramp).astype("<i2").tobytes()


def level_db(pcm: bytes) -> float:
    """Root mean square level in dB of full scale; -inf for silence or an empty block."""
    if not pcm:
        return -math.inf
    samples = np.frombuffer(pcm, dtype="<i2").astype(np.float32)
    power = float(np.dot(samples, samples)) / samples.size
    return 10.0 * math.log10(power / 32768.0**2) if power > 0 else -math.inf
