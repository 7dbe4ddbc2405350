"""A recorded utterance whose last speech sample is known, as the frames that a client sends."""

import base64
import json
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deployments.media.audio import BYTES_PER_SAMPLE, VOICE_RATE_HZ, ms_to_samples
from deployments.media.resample import Resampler

FRAME_S = 0.02
FRAME_SAMPLES = ms_to_samples(20, VOICE_RATE_HZ)
CLIPS: tuple[tuple[str, int], ...] = (
    ("yes", 560),
    ("hello", 720),
    ("no", 500),
    ("help_me", 1200),
    ("thank_you", 1010),
    ("hi_how_are_you", 1010),
)
"""Short things that people say, and where in ms the clip's speech is over: some have a click behind it."""
_DATA = Path(__file__).parents[1] / "tests" / "data"
_QUIETER_DB = 35.0


@dataclass(frozen=True, slots=True)
class Utterance:
    """Ready-made messages of 20 ms each."""

    messages: tuple[str, ...]
    last_sample: int
    """Of the speech (exclusive), at 24 kHz, from the first frame."""

    @property
    def rest_s(self) -> float:
        """From the last speech sample to the end of the frame that holds it."""
        return -self.last_sample % FRAME_SAMPLES / VOICE_RATE_HZ

    @property
    def last_frame(self) -> int:
        """Index of the frame that holds the last speech sample."""
        return (self.last_sample - 1) // FRAME_SAMPLES


def load(name: str, end_ms: int) -> Utterance:
    """A clip of `tests/data`, cut behind its speech.

    Speech is where a step of 10 ms is louder than 35 dB below the clip's loudest; `end_ms` leaves out clicks after it.
    """
    with wave.open(str(_DATA / f"{name}.wav")) as file:
        recorded = file.readframes(file.getnframes())
        rate_hz = file.getframerate()
    pcm = np.frombuffer(Resampler(rate_hz, VOICE_RATE_HZ).push(recorded, last=True), "<i2")
    pcm = pcm[: ms_to_samples(end_ms, VOICE_RATE_HZ)]
    step = ms_to_samples(10, VOICE_RATE_HZ)
    steps = pcm[: len(pcm) // step * step].astype(np.float64).reshape(-1, step)
    level = np.sqrt((steps**2).mean(axis=1))
    loud = np.flatnonzero(level > level.max() * 10 ** (-_QUIETER_DB / 20))
    last_sample = int(loud[-1] + 1) * step
    speech = pcm[:last_sample].astype("<i2").tobytes()
    size = FRAME_SAMPLES * BYTES_PER_SAMPLE
    speech += bytes(-len(speech) % size)
    return Utterance(tuple(message(speech[at : at + size]) for at in range(0, len(speech), size)), last_sample)


def message(pcm: bytes) -> str:
    """One `input_audio_buffer.append`."""
    return json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm).decode()})


def room_noise(frames: int, level_db: float = -62.0) -> tuple[str, ...]:
    """Frames of quiet noise: what a microphone hears between words. Seeded."""
    random = np.random.default_rng(7)
    size = 32768 * 10 ** (level_db / 20)
    return tuple(message((random.normal(0, size, FRAME_SAMPLES)).astype("<i2").tobytes()) for _ in range(frames))
