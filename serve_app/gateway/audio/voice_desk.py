"""Cloned voices: taken in when they can be imitated, looked up, given away."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

from configs.audio_api import VoicesApiConfig
from deployments.media.audio import VOICE_RATE_HZ, samples_of
from deployments.runtime.clock import wall_s
from deployments.runtime.errors import InvalidRequest, StageUnavailable, TooLarge
from deployments.tts.client import TtsClient
from deployments.tts.contract import SpeechRequest, VoiceSample
from deployments.tts.deployment import TtsDescription
from deployments.tts.voices import cloned_voice
from serve_app.gateway.audio.voice_sample import check_sample
from serve_app.gateway.media_files import decoded
from serve_app.gateway.silero import SileroModel
from serve_app.session.ids import new_id
from serve_app.store.voices import VoiceRecord, Voices, voice_not_found

DescribeTts = Callable[[], Awaitable[TtsDescription]]
"""Asks the Tts stage. Raises StageUnavailable."""

_TRIAL_TEXT = "Hello."
_LONGER_S = 30.0
"""A recording that is too long by up to this much is decoded all the same, so that it can be told how long it is."""


@dataclass(frozen=True, slots=True)
class NewVoice:
    """What is uploaded."""

    recording: bytes
    name: str
    language: str = ""
    """ISO 639-1 of what is said; empty: not known."""
    text: str = ""
    """What is said; empty: not known."""


class VoiceShelf:
    """Where `TtsClient` finds recordings."""

    def __init__(self, kept: Voices) -> None:
        self._kept = kept

    async def check(self, voice: str) -> None:
        """Raises NotFound for one that is not there any more."""
        await self._kept.get(voice)

    async def sample(self, voice: str) -> VoiceSample:
        """The recording. Raises NotFound."""
        return VoiceSample(*await self._kept.recording(voice))


class VoiceDesk:
    """Takes voices in, looks them up and gives them away."""

    def __init__(
        self, kept: Voices, tts: TtsClient, describe: DescribeTts, model: SileroModel, config: VoicesApiConfig
    ) -> None:
        self._kept = kept
        self._tts = tts
        self._describe = describe
        self._model = model
        self._config = config

    async def check_cloning(self) -> None:
        """Raises InvalidRequest where the engine does not clone, StageUnavailable where it does not answer."""
        described = await self._describe()
        if not described.clones:
            raise InvalidRequest(
                f"The speech engine of this server ({described.engine}) does not clone voices: "
                "it needs one that does, such as xtts.",
                "cloning_unavailable",
            )

    async def add(self, new: NewVoice) -> VoiceRecord:
        """Keep a voice that the engine can imitate.

        Raises InvalidRequest with what is wrong with the recording, or with the engine's reason, TooLarge, and what
        `TtsClient.speak` raises: nothing is kept then.
        """
        await self.check_cloning()
        try:
            longest_s = self._config.max_sample_s + _LONGER_S
            pcm = await decoded(new.recording, VOICE_RATE_HZ, longest_s, "audio_sample")
        except TooLarge as error:
            raise InvalidRequest(
                f"The recording is longer than {longest_s:g} s: "
                f"send {self._config.min_sample_s:g} to {self._config.max_sample_s:g} s.",
                "sample_length",
                "audio_sample",
            ) from error
        await check_sample(pcm, self._model, self._config)
        duration_ms = round(1000 * samples_of(pcm) / VOICE_RATE_HZ)
        voice_id = new_id("voice")
        record = VoiceRecord(voice_id, new.name, new.language, new.text, duration_ms, int(wall_s() * 1000))
        await self._try_out(record, VoiceSample(pcm, new.text))
        await self._kept.add(record, pcm, self._config.max_voices)
        return record

    async def list(self) -> tuple[VoiceRecord, ...]:
        """All of them, newest first."""
        return await self._kept.list()

    async def get(self, voice: str) -> VoiceRecord:
        """One of them. Raises NotFound."""
        return await self._kept.get(_cloned(voice))

    async def delete(self, voice: str) -> None:
        """Forget it: nothing is begun in it any more. Raises NotFound."""
        await self._kept.delete(_cloned(voice))

    async def _try_out(self, record: VoiceRecord, sample: VoiceSample) -> None:
        """Have it say something: what the engine refuses is refused here."""
        request = SpeechRequest(_TRIAL_TEXT, record.id, sample=sample)
        async with aclosing(self._tts.speak(request)) as blocks:
            if await anext(blocks, None) is None:
                raise StageUnavailable("The speech engine made no sound of this voice.")


def _cloned(voice: str) -> str:
    if not cloned_voice(voice):
        raise voice_not_found(voice)
    return voice
