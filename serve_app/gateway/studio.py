"""What clips and single turns are made with, and what they may ask for."""

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from configs.clips import ClipsConfig
from configs.session import SessionConfig
from deployments.asr.client import AsrClient
from deployments.avatar.client import FaceClient
from deployments.llm.client import LlmClient
from deployments.llm.contract import LlmRequest
from deployments.media.audio import SPEECH_RATE_HZ
from deployments.media.speakable.speaker import Speaker
from deployments.runtime.errors import InvalidRequest
from deployments.tts.client import TtsClient
from deployments.tts.contract import SpeechRequest
from serve_app.gateway.avatar_desk import AvatarDesk
from serve_app.gateway.media_files import decoded
from serve_app.gateway.places import Places
from serve_app.gateway.speech import SpokenReply, SpokenText, clauses_of
from serve_app.session.dictation import recognised
from serve_app.session.history import messages
from serve_app.session.ids import new_id
from serve_app.session.items import Item, Part
from serve_app.session.screen import Faces
from serve_app.session.wording import speaker_of

_NO_LIMIT_S = float(10**6)


class Manner(BaseModel):
    """Who speaks, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    voice: str | None = Field(default=None, max_length=64)
    """None: the configured one."""
    avatar: str = Field(default="", max_length=64)
    """Empty: the engine's default."""
    speed: float = Field(default=1.0, ge=0.25, le=4.0)
    language: str | None = Field(default=None, min_length=2, max_length=16)
    """ISO 639-1 code; None lets the engines decide."""


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked in a recording."""

    text: str
    language: str | None
    pcm: bytes
    """16 kHz."""

    @property
    def item(self) -> Item:
        """As the conversation holds it."""
        return Item(new_id("item"), "message", role="user", content=(Part("input_audio", self.text),))


@dataclass(frozen=True, slots=True)
class Studio:
    """The stages of a Gateway replica, without a session."""

    asr: AsrClient
    llm: LlmClient
    tts: TtsClient
    faces: Faces | None
    """None: the server has none."""
    desk: AvatarDesk | None
    config: ClipsConfig
    live: Callable[[], SessionConfig]
    places: Places

    async def face(self, manner: Manner) -> FaceClient:
        """A face for one film. Raises InvalidRequest, and NotFound for an avatar that was deleted."""
        if self.faces is None or self.desk is None:
            raise InvalidRequest("This server has no face.", "no_face", "avatar")
        await self.desk.check(manner.avatar)
        face = self.faces.client.open(new_id("sess"), manner.avatar, self.faces.portrait)
        face.bitrate_kbps = self.config.bitrate_kbps
        return face

    async def ask(self, recording: bytes, param: str, language: str | None) -> Question:
        """What is asked in a recorded file. Raises InvalidRequest where nothing is, TooLarge, and as `recognised`."""
        pcm = await decoded(recording, SPEECH_RATE_HZ, self.config.max_audio_s, param)
        heard = await recognised(self.asr, pcm, language or self.live().language)
        if not heard.text:
            raise InvalidRequest("No words were recognised in the recording.", "nothing_recognised", param)
        return Question(heard.text, heard.language, pcm)

    def text(self, text: str, manner: Manner) -> SpokenText:
        """A text, spoken."""
        speech = self._speech(manner, None)
        return SpokenText(self.tts, clauses_of(text), speech, _NO_LIMIT_S, self._speaker(speech))

    def reply(self, items: list[Item], question: Question, manner: Manner) -> SpokenReply:
        """What the model says to a conversation whose last item is the question, spoken."""
        live = self.live()
        request = LlmRequest(
            messages=messages(items, live.instructions),
            language=manner.language or live.language or question.language,
            cut="clause",
            session_id=new_id("sess"),
        )
        speech = self._speech(manner, question.language)
        return SpokenReply(self.tts, self.llm, request, speech, live.max_reply_s, self._speaker(speech))

    def _speech(self, manner: Manner, heard: str | None) -> SpeechRequest:
        live = self.live()
        voice = live.voice if manner.voice is None else manner.voice
        # As in a session: a voice that was chosen is not exchanged for one of the language that was heard.
        language = manner.language or live.language or (None if voice else heard)
        return SpeechRequest("", voice, language, manner.speed)

    def _speaker(self, speech: SpeechRequest) -> Speaker | None:
        return speaker_of(self.live().speakable, speech.language, speech.voice)
