"""The listening side of a session: finds the user's utterances in the sound and has them recognised.

With turn detection, an utterance begins at an onset (and the padding before it) and ends where the endpointing policy
says so. Without, all sound since the last commit is the utterance. Time is counted in samples at 16 kHz.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from configs.session import SessionConfig
from deployments.media.audio import BYTES_PER_SAMPLE, SPEECH_RATE_HZ, ms_to_samples, samples_of, samples_to_ms
from serve_app.session.endpointing import EndpointPolicy, Pause, SemanticEndpointing, SilenceEndpointing
from serve_app.session.hearing import Hearing
from serve_app.session.prosody import Ending, Prosody
from serve_app.session.settings import SemanticVad, ServerVad
from serve_app.session.speech_model import SpeechModel
from serve_app.session.vad import SpeechDetector, SpeechOnset

FRAME_BYTES = BYTES_PER_SAMPLE * ms_to_samples(20, SPEECH_RATE_HZ)
_LEAD = bytes(BYTES_PER_SAMPLE * ms_to_samples(2, SPEECH_RATE_HZ))
"""The session begins with as much silence as its transport's filter holds back: so each message of 20 ms ends a frame.
Otherwise a frame would wait for the next message, and each decision come 18 ms later."""
_KEPT_SAMPLES = ms_to_samples(1000, SPEECH_RATE_HZ)
"""Sound kept beyond the padding: an onset is known at most this long after it."""


@dataclass(frozen=True, slots=True)
class Onset:
    """The user began to speak."""

    start_ms: int
    """Where the utterance begins, padding included, since the session's first sound."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The user's turn is over."""

    end_ms: int
    """Where the silence began that ended it."""
    silence_ms: float
    """How long that silence is by now."""


class Ear:
    """Used by the session's one loop; `open_hearing` begins the recognition of an utterance."""

    def __init__(self, model: SpeechModel, config: SessionConfig, open_hearing: Callable[[], Hearing]) -> None:
        self._model = model
        self._config = config
        self._open_hearing = open_hearing
        self._detector: SpeechDetector | None = None
        self._policy: EndpointPolicy | None = None
        self._prosody: Prosody | None = None
        """With `semantic_vad` only."""
        self._language: str | None = None
        self._offset = 0
        """Session time of the detector's first sample."""
        self._partial = bytearray(_LEAD)
        self._recent = bytearray()
        self._onset_sample = 0
        self._fed_sample = 0
        self._settled = False
        self.heard_samples = 0
        self.hearing: Hearing | None = None
        """The utterance in progress."""

    @property
    def detects(self) -> bool:
        """Whether turn detection is on."""
        return self._detector is not None

    @property
    def suspects(self) -> bool:
        """There may be speech, which is not certain yet."""
        return self._detector is not None and self._detector.suspects

    @property
    def undecided(self) -> bool:
        """There may be speech, which is known within 200 ms."""
        return self._detector is not None and self._detector.undecided

    def heed_reply(self, goes_out: bool) -> None:
        """What is heard from now on, up to the end of an utterance, is heard over a reply, or not any more."""
        if self._detector is not None:
            self._detector.over_reply = goes_out or (self._detector.over_reply and self.hearing is not None)

    @property
    def speech_ms(self) -> float:
        """From the onset of the utterance in progress to its last certain speech sample; 0 when there is none."""
        if self.hearing is None or self._detector is None:
            return 0.0
        last = self._detector.certain_speech_sample + self._offset
        return max(0.0, samples_to_ms(last - self._onset_sample, SPEECH_RATE_HZ))

    @property
    def silence_ms(self) -> float:
        """Since the last speech sample; 0 while the user goes on."""
        return 0.0 if self._detector is None else self._detector.silence_ms

    @property
    def left_of_pause_ms(self) -> float:
        """How much longer the user may be silent before the turn is over; 0 when there is no utterance."""
        if self.hearing is None or self._detector is None:
            return 0.0
        return self._required_silence_ms(self._detector, self.hearing) - self._detector.silence_ms

    @property
    def noise_db(self) -> float:
        """Level of the room, in dB of full scale; -100 where nothing is detected."""
        return -100.0 if self._detector is None else self._detector.noise_floor_db

    @property
    def heard_ms(self) -> int:
        """The session's time."""
        return round(samples_to_ms(self.heard_samples, SPEECH_RATE_HZ))

    def configure(self, turn_detection: ServerVad | SemanticVad | None, language: str | None) -> None:
        """Listen in this way from the next frame on."""
        self._language = language
        if turn_detection is None:
            self._detector = self._policy = self._prosody = None
            return
        vad = self._config.vad
        if isinstance(turn_detection, ServerVad):
            vad = vad.model_copy(
                update={
                    "threshold": min(max(turn_detection.threshold, 0.01), 0.99),
                    "prefix_padding_ms": float(turn_detection.prefix_padding_ms),
                }
            )
            self._policy = SilenceEndpointing(turn_detection.silence_duration_ms)
            self._prosody = None
        else:
            endpointing = self._config.endpointing
            self._policy = SemanticEndpointing(endpointing.waits(turn_detection.eagerness), endpointing.prosody)
            self._prosody = self._prosody or Prosody(endpointing.prosody)
        self._padding_samples = ms_to_samples(vad.prefix_padding_ms, SPEECH_RATE_HZ)
        if self._detector is None:
            self._detector = SpeechDetector(self._model, vad)
            self._offset = self.heard_samples
        else:
            self._detector.configure(vad)

    def frames(self, pcm: bytes) -> Iterator[bytes]:
        """Cut sound into whole frames of 20 ms; what is left over waits for more."""
        self._partial += pcm
        whole = len(self._partial) // FRAME_BYTES * FRAME_BYTES
        frames = bytes(self._partial[:whole])
        del self._partial[:whole]
        for start in range(0, whole, FRAME_BYTES):
            yield frames[start : start + FRAME_BYTES]

    async def hear(self, frame: bytes) -> Onset | Endpoint | None:
        """Take the next frame. Raises TooLarge when, without turn detection, too much waits for a commit."""
        self.heard_samples += samples_of(frame)
        if self._detector is None:
            if self.hearing is None:
                self._begin_at(self.heard_samples - samples_of(frame))
            assert self.hearing is not None
            self.hearing.feed(frame)
            return None
        self._keep(frame)
        edges = await self._detector.push(frame)
        onset = next((edge for edge in edges if isinstance(edge, SpeechOnset)), None)
        if self.hearing is not None:
            return self._follow(self._detector, self.hearing, onset)
        if onset is None:
            return None
        self._onset_sample = onset.at_sample + self._offset
        self._fed_sample = onset.padded_sample + self._offset
        return Onset(round(samples_to_ms(self._fed_sample, SPEECH_RATE_HZ)))

    def dismiss(self) -> None:
        """The sound that was taken for speech, or may yet be, is none."""
        if self._detector is not None:
            self._detector.forget()

    def begin(self) -> None:
        """Recognise the utterance whose onset was just reported."""
        self.hearing = self._open_hearing()
        self._settled = False
        self._feed(self.hearing)

    def end(self) -> Hearing | None:
        """The utterance is complete, with whatever was left over of its last frame; None where nothing was said."""
        hearing, self.hearing = self.hearing, None
        if hearing is not None and self._detector is None and self._partial and not hearing.full:
            hearing.feed(bytes(self._partial[: len(self._partial) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE]))
            self._partial.clear()
        if self._detector is not None:
            self._detector.forget()
        return hearing

    def drop(self) -> None:
        """Forget the utterance in progress. What its filter held back, the transport forgets as well."""
        self._partial[:] = _LEAD
        hearing = self.end()
        if hearing is not None:
            hearing.drop()

    def _begin_at(self, sample: int) -> None:
        self.hearing = self._open_hearing()
        self._onset_sample = sample

    def _follow(self, detector: SpeechDetector, hearing: Hearing, onset: SpeechOnset | None) -> Endpoint | None:
        """Feed an utterance and look whether it is over."""
        if detector.speaking or onset is not None:
            self._settled = False
        if onset is not None:
            self._fed_sample = max(self._fed_sample, onset.padded_sample + self._offset)
        if not self._settled:
            self._feed(hearing)
            # Words made final on a guess cost nothing when speech goes on: the recogniser takes them back.
            if detector.silence_ms >= self._config.endpointing.finalize_after_ms:
                self._settled = True
                hearing.settle()
        if self._is_over(detector, hearing):
            end_sample = detector.last_speech_sample + self._offset
            return Endpoint(round(samples_to_ms(end_sample, SPEECH_RATE_HZ)), detector.silence_ms)
        return None

    def _is_over(self, detector: SpeechDetector, hearing: Hearing) -> bool:
        if hearing.fed_samples + ms_to_samples(100, SPEECH_RATE_HZ) > self._config.max_unanswered_s * SPEECH_RATE_HZ:
            return True
        if (detector.speaking and detector.silence_ms == 0) or detector.undecided:
            return False
        return detector.silence_ms >= self._required_silence_ms(detector, hearing)

    def _required_silence_ms(self, detector: SpeechDetector, hearing: Hearing) -> float:
        assert self._policy is not None
        words = hearing.transcript
        ending = Ending.UNKNOWN if self._prosody is None else self._prosody.ending(detector.silence_samples)
        return self._policy.required_silence_ms(Pause(words.text, words.language or self._language, ending))

    def _feed(self, hearing: Hearing) -> None:
        new_samples = self.heard_samples - self._fed_sample
        self._fed_sample = self.heard_samples
        if new_samples:
            hearing.feed(bytes(self._recent[-new_samples * BYTES_PER_SAMPLE :]))

    def _keep(self, frame: bytes) -> None:
        self._recent += frame
        if self._prosody is not None:
            self._prosody.hear(frame)
        surplus = len(self._recent) - (self._padding_samples + _KEPT_SAMPLES) * BYTES_PER_SAMPLE
        if surplus > 16 * FRAME_BYTES:
            del self._recent[:surplus]
