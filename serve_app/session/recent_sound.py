"""The microphone's sound of the last moments, as the speech model wants it."""

import numpy as np
import numpy.typing as npt

from deployments.media.audio import BYTES_PER_SAMPLE
from serve_app.session.noise_suppression import LEARNED_SAMPLES
from serve_app.session.speech_model import CHUNK_SAMPLES

Floats = npt.NDArray[np.float32]

_KEPT_BYTES = (LEARNED_SAMPLES + 2 * CHUNK_SAMPLES) * BYTES_PER_SAMPLE
"""Also more than the longest `preroll_ms` and a frame, with which the model is warmed up."""
_PEAK_DB = -12.0
"""Silero knows speech best between -20 and -8 dB; 20 dB lower it misses a quarter of it."""
_MAX_GAIN_DB = 20.0


def model_gain_db(peak_db: float, noise_db: float, noise_to_db: float) -> float:
    """By how much sound is made louder for the model: never so that noise rises above `noise_to_db`."""
    return max(0.0, min(_PEAK_DB - peak_db, noise_to_db - noise_db, _MAX_GAIN_DB))


class RecentSound:
    """Up to 1 s of 16 kHz PCM; samples are counted since the session's first one."""

    def __init__(self) -> None:
        self._pcm = bytearray()
        self._end_sample = 0

    def append(self, frame: bytes) -> None:
        """Take the next frame."""
        self._pcm += frame
        self._end_sample += len(frame) // BYTES_PER_SAMPLE
        del self._pcm[:-_KEPT_BYTES]

    def between(self, start_sample: int, end_sample: int) -> bytes:
        """As it is; less where it is no longer kept."""
        end = len(self._pcm) - (self._end_sample - end_sample) * BYTES_PER_SAMPLE
        return bytes(self._pcm[max(0, end - (end_sample - start_sample) * BYTES_PER_SAMPLE) : end])


def floats_of(pcm: bytes) -> Floats:
    """In the range of int16."""
    return np.frombuffer(pcm, dtype="<i2").astype(np.float32)


def louder(pcm: bytes, gain_db: float) -> bytes:
    """Clipped."""
    return pcm if gain_db <= 0 else pcm_of(floats_of(pcm), gain_db)


def pcm_of(samples: Floats, gain_db: float) -> bytes:
    """Made louder, rounded towards zero and clipped."""
    pcm: bytes = np.clip(samples * np.float32(10 ** (gain_db / 20)), -32768, 32767).astype("<i2").tobytes()
    return pcm
