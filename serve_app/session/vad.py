"""Voice activity detection of one session: when speech begins and, to 10 ms, when it ended.

Two stages. webrtcvad and the level above the noise floor are a gate that costs microseconds; only while it is open is
a speech model (Silero, behind `SpeechModel`) asked about each chunk of 32 ms. The model decides, the levels say where:
it goes on hearing speech for 30 to 120 ms after it, so the end is looked up in the levels of 10 ms steps, and the
configured silence counts from there.

CPU of a 20 ms frame: 11 µs in silence. In real time with 40 sessions, on two cores busy with other work: 21 to 44 µs in
silence, 70 to 130 µs when all speak (`benchmarks/endpointing.py`).

Time is counted in samples since the session's first one. Every decision falls on a fixed grid of the stream, so how
the sound was cut into pushes changes nothing.
"""

import asyncio
import enum
import statistics
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from configs.vad import VadConfig
from deployments.media.audio import BYTES_PER_SAMPLE, SPEECH_RATE_HZ, ms_to_samples, samples_of, samples_to_ms
from serve_app.session.gate import FRAME_SAMPLES, SpeechGate
from serve_app.session.levels import STEP_SAMPLES, Levels

CHUNK_SAMPLES = 512
"""32 ms: what the speech model judges."""

_FRAME_BYTES = FRAME_SAMPLES * BYTES_PER_SAMPLE
_FRAMES_PER_TURN = 50
"""The loop gets a turn after each second of a long push."""
_KEPT_BYTES = 16 * CHUNK_SAMPLES * BYTES_PER_SAMPLE
"""Sound kept to warm the model up: more than the longest `preroll_ms` and a frame."""

_ABOVE_NOISE_DB = 3.5
"""What stands out of the noise by this for two steps in a row, next to speech, is speech."""
_BELOW_PEAK_DB = 40.0
"""What is quieter than the loudest of the last second by this is none."""
_ONSET_REACH = ms_to_samples(160, SPEECH_RATE_HZ)
"""How far before the model's first chunk the onset may lie: a soft fricative."""
_OFFSET_REACH = ms_to_samples(300, SPEECH_RATE_HZ)
"""How far before the end of the model's last chunk the offset may lie."""
_TAIL_REACH = ms_to_samples(120, SPEECH_RATE_HZ)
"""How far after it a quiet ending may lie."""
_MODEL_LAG = ms_to_samples(130, SPEECH_RATE_HZ)
"""How long the model hears on after speech, where noise hides the end from the levels."""
_USUAL_LAG = ms_to_samples(80, SPEECH_RATE_HZ)
_UNDECIDED_REACH = ms_to_samples(200, SPEECH_RATE_HZ)

_MODEL_PEAK_DB = -12.0
"""Silero knows speech best between -20 and -8 dB; 20 dB lower it misses a quarter of it."""
_MODEL_NOISE_DB = -40.0
_MAX_GAIN_DB = 20.0


@dataclass(slots=True, eq=False)
class SpeechStream:
    """What a speech model remembers of one session between calls. Only the model looks inside."""

    memory: Any = None
    """None before the first chunk."""


class SpeechModel(Protocol):
    """Tells speech from other sound. One serves all sessions of a process."""

    async def probabilities(self, stream: SpeechStream, pcm: bytes) -> list[float]:
        """The probability of speech in each chunk of 512 samples (16 kHz) of `pcm`, in order.

        One call at a time per stream. Raises ValueError for part of a chunk, EngineFailed, and StageUnavailable once
        closed.
        """
        ...


@dataclass(frozen=True, slots=True)
class SpeechOnset:
    """Speech has begun."""

    at_sample: int
    """The first sample of speech."""
    padded_sample: int
    """The first sample of the utterance: `prefix_padding_ms` earlier, but never before the session's first one."""
    detected_sample: int
    """How much had been heard when it was found."""


@dataclass(frozen=True, slots=True)
class SpeechOffset:
    """Speech has paused or ended: silence for `release_ms`."""

    onset_sample: int
    """`at_sample` of the onset before."""
    last_speech_sample: int
    """The end of speech, exclusive."""
    detected_sample: int
    """How much had been heard when it was found."""


Edge = SpeechOnset | SpeechOffset


class _Activity(enum.Enum):
    SILENT = "no speech"
    RISING = "perhaps speech, not yet for long enough"
    SPEAKING = "speech"
    FALLING = "perhaps silence, not yet for long enough"


class _Event(enum.Enum):
    SUSPECTED = "some evidence of speech"
    CLEARED = "no evidence of speech"
    CONFIRMED = "enough evidence of speech"
    HIGH = "a chunk at or above the threshold"
    MIDDLE = "a chunk at or above the release threshold"
    LOW = "a chunk below the release threshold"
    RELEASED = "silence for release_ms"


_NEXT: dict[tuple[_Activity, _Event], _Activity] = {
    (_Activity.SILENT, _Event.SUSPECTED): _Activity.RISING,
    (_Activity.SILENT, _Event.CLEARED): _Activity.SILENT,
    (_Activity.RISING, _Event.SUSPECTED): _Activity.RISING,
    (_Activity.RISING, _Event.CLEARED): _Activity.SILENT,
    (_Activity.RISING, _Event.CONFIRMED): _Activity.SPEAKING,
    (_Activity.SPEAKING, _Event.HIGH): _Activity.SPEAKING,
    (_Activity.SPEAKING, _Event.MIDDLE): _Activity.SPEAKING,
    (_Activity.SPEAKING, _Event.LOW): _Activity.FALLING,
    (_Activity.FALLING, _Event.HIGH): _Activity.SPEAKING,
    (_Activity.FALLING, _Event.MIDDLE): _Activity.FALLING,
    (_Activity.FALLING, _Event.LOW): _Activity.FALLING,
    (_Activity.FALLING, _Event.RELEASED): _Activity.SILENT,
}


class SpeechDetector:
    """Edges and facts of one session's speech. Used by one task; to be dropped after a cancelled or failed `push`."""

    def __init__(self, model: SpeechModel, config: VadConfig | None = None) -> None:
        self._model = model
        self._config = config or VadConfig()
        self._gate = SpeechGate(self._config)
        self._levels = Levels()
        self._stream = SpeechStream()
        self._activity = _Activity.SILENT
        self._partial = bytearray()
        self._recent = bytearray()
        self._heard = 0
        self._judged = 0
        self._evidence = 0.0
        self._rising_from = 0
        self._rising_peak = 0.0
        self._onset = 0
        self._voiced_until = 0
        self._last_speech = 0

    @property
    def heard_samples(self) -> int:
        """The session's time: what was taken in, in whole frames of 20 ms."""
        return self._heard

    @property
    def speaking(self) -> bool:
        """An onset was reported, its offset was not."""
        return self._activity in (_Activity.SPEAKING, _Activity.FALLING)

    @property
    def suspects(self) -> bool:
        """The newest chunk speaks for speech, which is not certain yet."""
        return self._activity is _Activity.RISING

    @property
    def undecided(self) -> bool:
        """Speech may be beginning, which is known within 200 ms: no moment to end a turn."""
        return self._activity is _Activity.RISING and self._heard - self._rising_from <= _UNDECIDED_REACH

    @property
    def last_speech_sample(self) -> int:
        """The end of speech so far, exclusive; 0 before any. It is found more exactly with each frame of silence."""
        return self._heard if self._activity is _Activity.SPEAKING else self._last_speech

    @property
    def certain_speech_sample(self) -> int:
        """The same without what the model may be hearing on after the end of speech."""
        lag = _USUAL_LAG if self._activity is _Activity.SPEAKING else 0
        return max(self._onset, self.last_speech_sample - lag)

    @property
    def silence_samples(self) -> int:
        """Since the last speech sample, or since the session began; 0 while there is speech."""
        return self._heard - self.last_speech_sample

    @property
    def silence_ms(self) -> float:
        return samples_to_ms(self.silence_samples, SPEECH_RATE_HZ)

    @property
    def level_db(self) -> float:
        """Of the last frame, in dB of full scale."""
        return self._levels.latest_db

    @property
    def noise_floor_db(self) -> float:
        """Of the last one to two seconds, in dB of full scale."""
        return self._gate.noise.db

    def configure(self, config: VadConfig) -> None:
        """Use other settings from the next frame on."""
        self._config = config
        self._gate.configure(config)

    def forget(self) -> None:
        """Drop speech in progress without an edge, as when the client clears its buffer; time goes on."""
        self._activity = _Activity.SILENT
        self._evidence = 0.0
        self._last_speech = self._heard

    async def push(self, pcm: bytes) -> tuple[Edge, ...]:
        """Hear the next samples, any number of them; the edges found.

        Raises ValueError for half a sample, and what the model raises.
        """
        samples_of(pcm)
        edges: list[Edge] = []
        if len(pcm) == _FRAME_BYTES and not self._partial:
            await self._hear(pcm, edges)
            return tuple(edges)
        self._partial += pcm
        whole = len(self._partial) // _FRAME_BYTES * _FRAME_BYTES
        for n, start in enumerate(range(0, whole, _FRAME_BYTES), 1):
            await self._hear(bytes(self._partial[start : start + _FRAME_BYTES]), edges)
            if n % _FRAMES_PER_TURN == 0:
                await asyncio.sleep(0)
        del self._partial[:whole]
        return tuple(edges)

    async def _hear(self, frame: bytes, edges: list[Edge]) -> None:
        self._heard += FRAME_SAMPLES
        self._levels.append(frame)
        self._gate.hear(frame, self._levels.latest_db, self._heard)
        self._recent += frame
        del self._recent[:-_KEPT_BYTES]
        if self._judged + CHUNK_SAMPLES <= self._heard:
            await self._judge(edges)
        if self._activity is _Activity.FALLING:
            self._look_for_end(edges)

    async def _judge(self, edges: list[Edge]) -> None:
        """Ask about the next chunk, and when the model is cold about those before it as well."""
        chunk_start, self._judged = self._judged, self._judged + CHUNK_SAMPLES
        if self._activity is _Activity.SILENT and chunk_start >= self._gate.open_until:
            self._stream.memory = None
            return
        if self._stream.memory is None:
            preroll = ms_to_samples(self._config.preroll_ms, SPEECH_RATE_HZ) // CHUNK_SAMPLES * CHUNK_SAMPLES
            chunk_start = max(0, chunk_start - preroll)
        for probability in await self._model.probabilities(self._stream, self._for_model(chunk_start, self._judged)):
            self._weigh(probability, chunk_start, edges)
            chunk_start += CHUNK_SAMPLES

    def _for_model(self, start_sample: int, end_sample: int) -> bytes:
        """Recent sound, quiet speech made louder: never so much that noise rises above -40 dB."""
        end = len(self._recent) - (self._heard - end_sample) * BYTES_PER_SAMPLE
        pcm = bytes(self._recent[end - (end_sample - start_sample) * BYTES_PER_SAMPLE : end])
        room_db = min(_MODEL_PEAK_DB - self._levels.peak_db, _MODEL_NOISE_DB - self._gate.noise.db)
        gain_db = min(room_db, _MAX_GAIN_DB)
        if gain_db <= 0:
            return pcm
        louder = np.frombuffer(pcm, dtype="<i2") * np.float32(10 ** (gain_db / 20))
        return np.clip(louder, -32768, 32767).astype("<i2").tobytes()

    def _weigh(self, probability: float, chunk_start: int, edges: list[Edge]) -> None:
        chunk_end = chunk_start + CHUNK_SAMPLES
        if not self.speaking:
            self._weigh_onset(probability, chunk_start, edges)
        elif probability >= self._config.threshold:
            self._step(_Event.HIGH)
        else:
            self._step(_Event.MIDDLE if probability >= self._config.release_threshold else _Event.LOW)
        if self._activity is _Activity.SPEAKING:
            self._voiced_until = chunk_end

    def _weigh_onset(self, probability: float, chunk_start: int, edges: list[Edge]) -> None:
        """Sum up what speaks for speech (CUSUM, Page 1954): two chunks at the threshold are enough, one never is.

        In the first vowel of a word ("hi", "hello") Silero often falls back under the threshold. To ask for two chunks
        in a row put the 95th percentile of the latency at 523 ms instead of 171 (recorded words, white noise at 20 dB).
        """
        threshold = self._config.threshold
        self._evidence = max(0.0, self._evidence + min(probability - threshold / 2, 0.8 * threshold))
        if self._evidence == 0.0:
            self._step(_Event.CLEARED)
            return
        if self._activity is _Activity.SILENT:
            self._rising_from, self._rising_peak = chunk_start, 0.0
        self._step(_Event.SUSPECTED)
        self._rising_peak = max(self._rising_peak, probability)
        if self._evidence < threshold or self._rising_peak < threshold:
            return
        chunk_end = chunk_start + CHUNK_SAMPLES
        earliest = max(self._rising_from - _ONSET_REACH, self._last_speech)
        threshold_db = self._speech_threshold_db(self._gate.noise.db)
        self._onset = self._levels.rise_before(threshold_db, self._rising_from + CHUNK_SAMPLES, earliest)
        loud_steps = sum(level > threshold_db for level in self._levels.between(self._onset, chunk_end))
        if samples_to_ms(loud_steps * STEP_SAMPLES, SPEECH_RATE_HZ) >= self._config.min_speech_ms:
            self._step(_Event.CONFIRMED)
            self._evidence = 0.0
            padding = ms_to_samples(self._config.prefix_padding_ms, SPEECH_RATE_HZ)
            edges.append(SpeechOnset(self._onset, max(0, self._onset - padding), self._heard))

    def _look_for_end(self, edges: list[Edge]) -> None:
        """Find the last speech sample in the levels, which tell more with every frame of silence."""
        after = self._levels.between(self._voiced_until, self._heard)
        noise_db = statistics.median(after) if after else self._gate.noise.db
        end = self._levels.last_above(
            self._speech_threshold_db(noise_db),
            max(self._onset, self._voiced_until - _OFFSET_REACH),
            self._voiced_until + _TAIL_REACH,
        )
        self._last_speech = max(self._onset, self._voiced_until - _MODEL_LAG) if end is None else end
        if self.silence_ms >= self._config.release_ms:
            self._step(_Event.RELEASED)
            edges.append(SpeechOffset(self._onset, self._last_speech, self._heard))

    def _speech_threshold_db(self, noise_db: float) -> float:
        return max(noise_db + _ABOVE_NOISE_DB, self._levels.peak_step_db - _BELOW_PEAK_DB)

    def _step(self, event: _Event) -> None:
        self._activity = _NEXT[self._activity, event]
