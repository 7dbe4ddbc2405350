"""Voice activity detection of one session: when speech begins and, to 10 ms, when it ended.

Two stages. webrtcvad and the level above the noise floor are a gate that costs microseconds; only while it is open is
a speech model (Silero, behind `SpeechModel`) asked about each chunk of 32 ms. The model decides, the levels say where:
it goes on hearing speech for 30 to 120 ms after it, so the end is looked up in the levels of 10 ms steps, and the
configured silence counts from there.

Over a reply in a noisy room (`VadConfig.second_opinion`) the model is asked twice about each chunk, once with the noise
suppressed. The least sign in either is a suspicion; the mean of both decides.

CPU of a 20 ms frame: 11 µs in silence. In real time with 40 sessions, on two cores busy with other work: 21 to 44 µs in
silence, 70 to 130 µs when all speak (`benchmarks/endpointing.py`).

Time is counted in samples since the session's first one. Every decision falls on a fixed grid of the stream, so how
the sound was cut into pushes changes nothing.
"""

import asyncio
import math
import statistics
from dataclasses import dataclass

from configs.vad import VadConfig
from deployments.media.audio import BYTES_PER_SAMPLE, SPEECH_RATE_HZ, ms_to_samples, samples_of, samples_to_ms
from serve_app.session.activity import NEXT, Activity, Sign
from serve_app.session.evidence import Evidence
from serve_app.session.gate import FRAME_SAMPLES, SpeechGate
from serve_app.session.levels import STEP_SAMPLES, Levels
from serve_app.session.opinions import Loudness, Opinion, Opinions
from serve_app.session.speech_model import CHUNK_SAMPLES, SpeechModel

_FRAME_BYTES = FRAME_SAMPLES * BYTES_PER_SAMPLE
_FRAMES_PER_TURN = 50
"""The loop gets a turn after each second of a long push."""

_ABOVE_NOISE_DB = 3.5
"""What stands out of the noise by this for two steps in a row, next to speech, is speech."""
_FLOOR_REACH_DB = 3.0
"""The noise after a sound that ends is no louder than this above the floor: else the rest of a word, in which the model
hears no speech, is taken for noise, and the word is cut in two."""
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
_GOES_ON_WITHIN = ms_to_samples(500, SPEECH_RATE_HZ)
"""Speech that goes on so soon after a pause need not stand out of the noise again: the second syllable of "hello" in
noise 5 dB below the first."""
_PLAIN = 3
"""But there must be evidence for so many onsets: of four chunks or more."""
_SUSPECTED_REACH = ms_to_samples(512, SPEECH_RATE_HZ)
"""How far before the onset a suspicion that was right may begin; what is older was another sound."""


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


class SpeechDetector:
    """Edges and facts of one session's speech. Used by one task; to be dropped after a cancelled or failed `push`."""

    def __init__(self, model: SpeechModel, config: VadConfig | None = None) -> None:
        self._config = config or VadConfig()
        self._gate = SpeechGate(self._config)
        self._levels = Levels()
        self._opinions = Opinions(model)
        self._activity = Activity.SILENT
        self._partial = bytearray()
        self._heard = 0
        self._judged = 0
        self._suspicion = Evidence()
        self._evidence = Evidence()
        self._rising_from = 0
        self._room_db = math.inf
        """Noise when no reply went out; unknown before."""
        self._twice = False
        self._onset = 0
        self._voiced_until = 0
        self._last_speech = 0
        self._paused = -_GOES_ON_WITHIN
        """When the last offset was found."""
        self.over_reply = False
        """Whether what is heard now is heard over a reply."""

    @property
    def heard_samples(self) -> int:
        """The session's time: what was taken in, in whole frames of 20 ms."""
        return self._heard

    @property
    def speaking(self) -> bool:
        """An onset was reported, its offset was not."""
        return self._activity in (Activity.SPEAKING, Activity.FALLING)

    @property
    def suspects(self) -> bool:
        """The newest chunk speaks for speech, which is not certain yet."""
        return self._activity is Activity.RISING

    @property
    def undecided(self) -> bool:
        """Speech may be beginning, which is known within 200 ms: no moment to end a turn."""
        return self._activity is Activity.RISING and self._heard - self._rising_from <= _UNDECIDED_REACH

    @property
    def last_speech_sample(self) -> int:
        """The end of speech so far, exclusive; 0 before any. It is found more exactly with each frame of silence."""
        return self._heard if self._activity is Activity.SPEAKING else self._last_speech

    @property
    def certain_speech_sample(self) -> int:
        """The same without what the model may be hearing on after the end of speech."""
        lag = _USUAL_LAG if self._activity is Activity.SPEAKING else 0
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
        self._activity = Activity.SILENT
        self._forget_signs()
        self._last_speech = self._heard
        self._paused = -_GOES_ON_WITHIN

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
        self._opinions.sound.append(frame)
        if self._judged + CHUNK_SAMPLES <= self._heard:
            await self._judge(edges)
        if self._activity is Activity.FALLING:
            self._look_for_end(edges)

    async def _judge(self, edges: list[Edge]) -> None:
        """Ask about the next chunk, and when the model is cold about those before it as well."""
        gate_open = self._activity is not Activity.SILENT or self._judged < self._gate.open_until
        self._judged += CHUNK_SAMPLES
        opinions = await self._opinions.of_chunk(
            self._judged,
            ms_to_samples(self._config.preroll_ms, SPEECH_RATE_HZ),
            Loudness(self._levels.peak_db, self._gate.noise.db),
            gate_open=gate_open,
            twice=self._is_asked_twice(),
        )
        if len(opinions) > 1:
            self._forget_signs()  # they are weighed again, with what the model says now that the gate is open
        chunk_start = self._judged - len(opinions) * CHUNK_SAMPLES
        for opinion in opinions:
            self._weigh(opinion, chunk_start, edges)
            chunk_start += CHUNK_SAMPLES

    def _is_asked_twice(self) -> bool:
        """Over a reply the room must have been noisy before: else the steady echo of a voice may be its noise."""
        noise_db = self._gate.noise.db
        if not self.over_reply:
            self._room_db = noise_db
        wanted = {"never": False, "over_replies": self.over_reply, "always": True}[self._config.second_opinion]
        if not wanted or self._activity is Activity.SILENT:
            self._twice = wanted and min(self._room_db, noise_db) >= self._config.noisy_from_db
        return self._twice

    def _weigh(self, opinion: Opinion, chunk_start: int, edges: list[Edge]) -> None:
        chunk_end = chunk_start + CHUNK_SAMPLES
        if not self.speaking:
            self._weigh_onset(opinion, chunk_start, edges)
        elif opinion.highest >= self._config.threshold:
            self._step(Sign.HIGH)
        else:
            self._step(Sign.MIDDLE if opinion.highest >= self._config.release_threshold else Sign.LOW)
        if self._activity is Activity.SPEAKING:
            self._voiced_until = chunk_end

    def _weigh_onset(self, opinion: Opinion, chunk_start: int, edges: list[Edge]) -> None:
        """Sum up what speaks for speech: anything is a suspicion, but only what both opinions make of it decides."""
        threshold = self._config.threshold
        self._suspicion.weigh(opinion.highest, chunk_start, threshold, at_most=threshold)
        self._evidence.weigh(opinion.mean, chunk_start, threshold)
        if not self._suspicion.any and not self._evidence.any:
            self._step(Sign.CLEARED)
            return
        if self._activity is Activity.SILENT:
            self._rising_from = chunk_start
        self._step(Sign.SUSPECTED)
        if not self._evidence.is_enough(threshold):
            return
        chunk_end = chunk_start + CHUNK_SAMPLES
        began = self._rising_from if chunk_end - self._rising_from <= _SUSPECTED_REACH else self._evidence.began
        earliest = max(began - _ONSET_REACH, self._last_speech)
        threshold_db = self._speech_threshold_db(self._gate.noise.db)
        self._onset = self._levels.rise_before(threshold_db, began + CHUNK_SAMPLES, earliest)
        loud_steps = sum(level > threshold_db for level in self._levels.between(self._onset, chunk_end))
        is_long = samples_to_ms(loud_steps * STEP_SAMPLES, SPEECH_RATE_HZ) >= self._config.min_speech_ms
        goes_on = chunk_start - self._paused <= _GOES_ON_WITHIN and self._evidence.is_enough(threshold, times=_PLAIN)
        if is_long or goes_on:
            self._step(Sign.CONFIRMED)
            self._forget_signs()
            padding = ms_to_samples(self._config.prefix_padding_ms, SPEECH_RATE_HZ)
            edges.append(SpeechOnset(self._onset, max(0, self._onset - padding), self._heard))

    def _look_for_end(self, edges: list[Edge]) -> None:
        """Find the last speech sample in the levels, which tell more with every frame of silence."""
        after = self._levels.between(self._voiced_until, self._heard)
        noise_db = (
            min([statistics.median(after), self._gate.noise.db + _FLOOR_REACH_DB]) if after else self._gate.noise.db
        )
        end = self._levels.last_above(
            self._speech_threshold_db(noise_db),
            max(self._onset, self._voiced_until - _OFFSET_REACH),
            self._voiced_until + _TAIL_REACH,
        )
        self._last_speech = max(self._onset, self._voiced_until - _MODEL_LAG) if end is None else end
        if self.silence_ms >= self._config.release_ms:
            self._step(Sign.RELEASED)
            self._paused = self._heard
            self._gate.hold(self._heard + ms_to_samples(self._config.pause_hold_ms, SPEECH_RATE_HZ))
            edges.append(SpeechOffset(self._onset, self._last_speech, self._heard))

    def _speech_threshold_db(self, noise_db: float) -> float:
        return max(noise_db + _ABOVE_NOISE_DB, self._levels.peak_step_db - _BELOW_PEAK_DB)

    def _forget_signs(self) -> None:
        self._suspicion.forget()
        self._evidence.forget()

    def _step(self, sign: Sign) -> None:
        self._activity = NEXT[self._activity, sign]
