"""Voice activity detection of one session: when speech begins and, to the 10 ms, when it ended.

Two stages. webrtcvad and the level above the noise floor are a gate that costs microseconds; only while it is open, or
was lately, a speech model (Silero, behind `SpeechModel`) is asked about each 32 ms chunk. The model decides, the levels
say where: both detectors go on for 30 to 120 ms after speech, so its end is looked up in the levels of 10 ms steps, and
a configured silence counts from there.

Time is counted in samples since the session's first one. All decisions fall on fixed grids of the stream, so how the
sound was cut into pushes changes nothing.
"""

import asyncio
import enum
import statistics
from dataclasses import dataclass, field
from typing import Any, Protocol

import webrtcvad

from configs.vad import VadConfig
from deployments.media.audio import BYTES_PER_SAMPLE, SPEECH_RATE_HZ, ms_to_samples, samples_of
from serve_app.session.levels import Levels, NoiseFloor

FRAME_SAMPLES = 320
"""20 ms: what webrtcvad judges."""
CHUNK_SAMPLES = 512
"""32 ms: what the speech model judges."""
_FRAME_BYTES = FRAME_SAMPLES * BYTES_PER_SAMPLE
_FRAMES_PER_BREATH = 50
"""The loop gets a turn after each second of a long push."""

_ABOVE_NOISE_DB = 6.0
"""What is louder than the noise by this is taken for speech next to speech. Steps of 10 ms of steady room noise vary by
1.7 dB (standard deviation, recorded)."""
_BELOW_PEAK_DB = 40.0
"""What is quieter than the loudest of the last second by this is no speech."""
_ONSET_REACH = ms_to_samples(160, SPEECH_RATE_HZ)
"""How far before the model's first chunk an onset may lie: a soft fricative."""
_OFFSET_REACH = ms_to_samples(200, SPEECH_RATE_HZ)
"""How far before the model's last chunk the end may lie."""
_TAIL_REACH = ms_to_samples(120, SPEECH_RATE_HZ)
"""How far after the model's last chunk a quiet ending may lie."""


@dataclass(slots=True, eq=False)
class SpeechStream:
    """What a speech model remembers of one session between calls. Only the model reads it."""

    memory: Any = None
    """None before the first chunk."""

    def reset(self) -> None:
        """Forget; the next chunk is the first."""
        self.memory = None


class SpeechModel(Protocol):
    """Tells speech from other sound. One model serves all sessions of a process."""

    async def probabilities(self, stream: SpeechStream, pcm: bytes) -> list[float]:
        """The probability of speech in each chunk of 512 samples (16 kHz) of `pcm`, in order.

        One call at a time per stream. Raises ValueError for a part of a chunk, EngineFailed, StageUnavailable once closed.
        """
        ...


@dataclass(frozen=True, slots=True)
class SpeechOnset:
    """Speech has begun."""

    at_sample: int
    """The first sample of speech."""
    padded_sample: int
    """The first sample of the utterance: `prefix_padding_ms` earlier, never before the session's first sample."""
    detected_sample: int
    """How much had been heard when it was detected."""


@dataclass(frozen=True, slots=True)
class SpeechOffset:
    """Speech has paused or ended: there has been silence for `release_ms`."""

    onset_sample: int
    """`at_sample` of the onset before."""
    last_speech_sample: int
    """The end (exclusive) of speech."""
    detected_sample: int
    """How much had been heard when it was detected."""


Edge = SpeechOnset | SpeechOffset


class Activity(enum.Enum):
    """What the detector believes."""

    SILENT = "silent"
    RISING = "rising"
    """The model has heard speech, not yet for long enough."""
    SPEAKING = "speaking"
    FALLING = "falling"
    """The model hears no more speech, not yet for long enough."""


class _Event(enum.Enum):
    HIGH = "a chunk above the threshold"
    MIDDLE = "a chunk between the release threshold and the threshold"
    LOW = "a chunk below the release threshold"
    CONFIRMED = "speech for min_speech_ms"
    RELEASED = "silence for release_ms"


_NEXT: dict[tuple[Activity, _Event], Activity] = {
    (Activity.SILENT, _Event.HIGH): Activity.RISING,
    (Activity.SILENT, _Event.MIDDLE): Activity.SILENT,
    (Activity.SILENT, _Event.LOW): Activity.SILENT,
    (Activity.RISING, _Event.HIGH): Activity.RISING,
    (Activity.RISING, _Event.MIDDLE): Activity.SILENT,
    (Activity.RISING, _Event.LOW): Activity.SILENT,
    (Activity.RISING, _Event.CONFIRMED): Activity.SPEAKING,
    (Activity.SPEAKING, _Event.HIGH): Activity.SPEAKING,
    (Activity.SPEAKING, _Event.MIDDLE): Activity.SPEAKING,
    (Activity.SPEAKING, _Event.LOW): Activity.FALLING,
    (Activity.FALLING, _Event.HIGH): Activity.SPEAKING,
    (Activity.FALLING, _Event.MIDDLE): Activity.FALLING,
    (Activity.FALLING, _Event.LOW): Activity.FALLING,
    (Activity.FALLING, _Event.RELEASED): Activity.SILENT,
}


@dataclass(slots=True)
class _Gate:
    """Lets the speech model rest while nothing could be speech."""

    config: VadConfig
    noise: NoiseFloor = field(default_factory=NoiseFloor)
    open_until: int = 0
    """Sample at which it shuts."""
    _webrtc: Any = None

    def configure(self, config: VadConfig) -> None:
        self.config = config
        self._webrtc = webrtcvad.Vad(config.gate_mode)

    def hear(self, frame: bytes, level_db: float, end_sample: int) -> None:
        """Take a frame that ends at `end_sample`."""
        if self._webrtc is None:
            self.configure(self.config)
        floor_db = self.noise.update(level_db)
        heard = self._webrtc.is_speech(frame, SPEECH_RATE_HZ)
        if heard and level_db >= floor_db + self.config.gate_margin_db:
            self.open_until = end_sample + ms_to_samples(self.config.gate_hold_ms, SPEECH_RATE_HZ)


class SpeechDetector:
    """Edges and facts of speech in one session. Used by one task; after a cancelled `push` it is to be dropped."""

    def __init__(self, model: SpeechModel, config: VadConfig | None = None) -> None:
        self._model = model
        self._config = config or VadConfig()
        self._stream = SpeechStream()
        self._gate = _Gate(self._config)
        self._levels = Levels()
        self._activity = Activity.SILENT
        self._partial = bytearray()
        self._recent = bytearray()
        self._heard = 0
        self._judged = 0
        self._rising_chunks = 0
        self._onset_sample = 0
        self._voiced_until = 0
        self._last_speech = 0

    @property
    def heard_samples(self) -> int:
        """How much has been taken in, in whole frames: the session's time."""
        return self._heard

    @property
    def speaking(self) -> bool:
        """An onset was reported and its offset was not."""
        return self._activity in (Activity.SPEAKING, Activity.FALLING)

    @property
    def undecided(self) -> bool:
        """Speech may just have begun; it is known within about 60 ms. No moment to end a turn."""
        return self._activity is Activity.RISING

    @property
    def silence_samples(self) -> int:
        """Since the last speech sample; 0 while there is speech. Before any speech: since the session began."""
        return 0 if self._activity is Activity.SPEAKING else self._heard - self._last_speech

    @property
    def silence_ms(self) -> float:
        return self.silence_samples * 1000 / SPEECH_RATE_HZ

    @property
    def last_speech_sample(self) -> int:
        """The end of speech so far; 0 before any."""
        return self._heard if self._activity is Activity.SPEAKING else self._last_speech

    @property
    def level_db(self) -> float:
        """Of the last 10 ms, in dB of full scale."""
        return self._levels.latest_db

    @property
    def noise_floor_db(self) -> float:
        return self._gate.noise.db

    def configure(self, config: VadConfig) -> None:
        """Use other settings from the next frame on."""
        self._config = config
        self._gate.configure(config)

    def forget(self) -> None:
        """Drop speech in progress without an edge (the client cleared its buffer); time goes on."""
        self._activity = Activity.SILENT
        self._last_speech = self._heard
        self._stream.reset()

    async def push(self, pcm: bytes) -> tuple[Edge, ...]:
        """Hear the next samples (any whole number); the edges found. Raises ValueError for half a sample, and what the model raises."""
        samples_of(pcm)
        self._partial += pcm
        edges: list[Edge] = []
        whole = len(self._partial) // _FRAME_BYTES * _FRAME_BYTES
        for n, start in enumerate(range(0, whole, _FRAME_BYTES), 1):
            await self._hear(bytes(self._partial[start : start + _FRAME_BYTES]), edges)
            if n % _FRAMES_PER_BREATH == 0:
                await asyncio.sleep(0)
        del self._partial[:whole]
        return tuple(edges)

    async def _hear(self, frame: bytes, edges: list[Edge]) -> None:
        self._heard += FRAME_SAMPLES
        self._gate.hear(frame, self._levels.append(frame), self._heard)
        self._recent += frame
        while self._judged + CHUNK_SAMPLES <= self._heard:
            await self._judge(edges)
        if self._activity is Activity.FALLING:
            self._look_for_end(edges)

    async def _judge(self, edges: list[Edge]) -> None:
        """Ask about the next chunk, and if the model is cold, about those before it too."""
        start = self._judged
        self._judged += CHUNK_SAMPLES
        kept_from = self._heard - len(self._recent) // BYTES_PER_SAMPLE
        if self._activity is Activity.SILENT and self._gate.open_until <= start:
            self._stream.reset()
        else:
            ask_from = start
            if self._stream.memory is None:
                preroll = ms_to_samples(self._config.preroll_ms, SPEECH_RATE_HZ) // CHUNK_SAMPLES
                ask_from = max(start - preroll * CHUNK_SAMPLES, kept_from)
            asked = self._recent[(ask_from - kept_from) * BYTES_PER_SAMPLE : (self._judged - kept_from) * BYTES_PER_SAMPLE]
            chunk_start = ask_from
            for probability in await self._model.probabilities(self._stream, bytes(asked)):
                self._grade(probability, chunk_start, edges)
                chunk_start += CHUNK_SAMPLES
        keep_from = max(self._judged - ms_to_samples(500, SPEECH_RATE_HZ) // CHUNK_SAMPLES * CHUNK_SAMPLES, kept_from)
        del self._recent[: (keep_from - kept_from) * BYTES_PER_SAMPLE]

    def _grade(self, probability: float, chunk_start: int, edges: list[Edge]) -> None:
        chunk_end = chunk_start + CHUNK_SAMPLES
        if probability >= self._config.threshold:
            self._step(_Event.HIGH)
        elif probability >= self._config.release_threshold:
            self._step(_Event.MIDDLE)
        else:
            self._step(_Event.LOW)
        if self._activity is Activity.RISING:
            self._rise(chunk_start, edges)
        else:
            self._rising_chunks = 0
        if self._activity is Activity.SPEAKING:
            self._voiced_until = chunk_end

    def _rise(self, chunk_start: int, edges: list[Edge]) -> None:
        chunk_end = chunk_start + CHUNK_SAMPLES
        self._rising_chunks += 1
        if self._rising_chunks == 1:
            threshold_db = max(self._gate.noise.db + _ABOVE_NOISE_DB, self._levels.peak_db - _BELOW_PEAK_DB)
            self._onset_sample = self._levels.rise_before(
                threshold_db, chunk_end, max(chunk_start - _ONSET_REACH, self._last_speech, 0)
            )
        enough = ms_to_samples(self._config.min_speech_ms, SPEECH_RATE_HZ)
        if self._rising_chunks >= 2 and chunk_end - self._onset_sample >= enough:
            self._step(_Event.CONFIRMED)
            padding = ms_to_samples(self._config.prefix_padding_ms, SPEECH_RATE_HZ)
            edges.append(SpeechOnset(self._onset_sample, max(0, self._onset_sample - padding), self._heard))

    def _look_for_end(self, edges: list[Edge]) -> None:
        """Set the last speech sample from the levels; they know more with every frame until the release."""
        earliest = max(self._onset_sample, self._voiced_until - _OFFSET_REACH)
        latest = min(self._heard, self._voiced_until + _TAIL_REACH)
        after = self._levels.between(self._voiced_until, self._heard)
        noise_db = statistics.median(after) if after else self._gate.noise.db
        threshold_db = max(noise_db + _ABOVE_NOISE_DB, self._levels.peak_db - _BELOW_PEAK_DB)
        end = self._levels.last_above(threshold_db, earliest, latest)
        self._last_speech = end if end is not None else self._voiced_until - CHUNK_SAMPLES
        if self.silence_samples >= ms_to_samples(self._config.release_ms, SPEECH_RATE_HZ):
            self._step(_Event.RELEASED)
            edges.append(SpeechOffset(self._onset_sample, self._last_speech, self._heard))

    def _step(self, event: _Event) -> None:
        self._activity = _NEXT[self._activity, event]
