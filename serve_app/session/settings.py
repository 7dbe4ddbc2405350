"""What a client can set about its session: the `session` object of OpenAI's Realtime API.

Field names and ranges follow the types of the `openai` package (3.52). A partial update is merged key by key; a list or
a null replaces what was there.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from configs.session import SessionConfig
from serve_app.session.validation import validated


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PcmFormat(_Model):
    """16-bit PCM, mono, little-endian."""

    type: Literal["audio/pcm"] = "audio/pcm"
    rate: Literal[24000] = 24000


class PcmuFormat(_Model):
    """G.711 µ-law at 8 kHz."""

    type: Literal["audio/pcmu"]


class PcmaFormat(_Model):
    """G.711 A-law at 8 kHz."""

    type: Literal["audio/pcma"]


AudioFormat = Annotated[PcmFormat | PcmuFormat | PcmaFormat, Field(discriminator="type")]


class ServerVad(_Model):
    """A turn ends after a fixed silence."""

    type: Literal["server_vad"] = "server_vad"
    threshold: float = Field(0.5, ge=0, le=1)
    prefix_padding_ms: int = Field(300, ge=0, le=5000)
    silence_duration_ms: int = Field(500, ge=0, le=10_000)
    idle_timeout_ms: int | None = Field(None, ge=5000, le=30_000)
    create_response: bool = True
    interrupt_response: bool = True


class SemanticVad(_Model):
    """A turn ends when what was said sounds finished."""

    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


TurnDetection = Annotated[ServerVad | SemanticVad, Field(discriminator="type")]


class NoiseReduction(_Model):
    """Accepted for compatibility; the browser's own noise suppression is what Parley relies on."""

    type: Literal["near_field", "far_field"] | None = None
    strength: float | None = None


class Transcription(_Model):
    """Asks for the transcript of what the user says as events."""

    model: str | None = Field(None, max_length=256)
    language: str | None = Field(None, max_length=16)
    prompt: str | None = Field(None, max_length=2000)
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None
    keywords: tuple[str, ...] | None = None
    languages: tuple[str, ...] | None = None


class AudioInput(_Model):
    """What the client sends."""

    format: AudioFormat = PcmFormat()
    noise_reduction: NoiseReduction | None = None
    transcription: Transcription | None = None
    turn_detection: TurnDetection | None = ServerVad()


class AudioOutput(_Model):
    """What the client hears."""

    format: AudioFormat = PcmFormat()
    speed: float = Field(1.0, ge=0.25, le=1.5)
    voice: str = Field("", max_length=64)
    """Empty: the engine's default voice."""

    @field_validator("voice", mode="before")
    @classmethod
    def _voice_by_id(cls, value: Any) -> Any:
        return value["id"] if isinstance(value, dict) and set(value) == {"id"} else value


class Audio(_Model):
    """Both directions."""

    input: AudioInput = AudioInput()
    output: AudioOutput = AudioOutput()


class VideoOutput(_Model):
    """The face. An extension: OpenAI's API has none."""

    avatar: str = Field("", max_length=64)
    """Empty: the engine's default face."""


class FunctionTool(_Model):
    """A function of the client that the model may call."""

    type: Literal["function"] = "function"
    name: str = Field(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_.-]+$")
    description: str = Field("", max_length=4096)
    parameters: dict[str, Any] = Field(default_factory=dict)


class NamedTool(_Model):
    """The one tool that must be called."""

    type: Literal["function"] = "function"
    name: str


ToolChoice = Literal["auto", "none", "required"] | NamedTool


def _possible(modalities: tuple[str, ...]) -> tuple[str, ...]:
    if modalities not in (("text",), ("audio",), ("audio", "video")):
        raise ValueError('["text"], ["audio"], or ["audio", "video"] for a face')
    return modalities


OutputModalities = Annotated[tuple[Literal["text", "audio", "video"], ...], AfterValidator(_possible)]
MaxTokens = Annotated[int, Field(ge=1, le=4096)] | Literal["inf"]


class SessionSettings(_Model):
    """The whole session object. Fields that Parley does not act on are accepted, shown and named in the README."""

    type: Literal["realtime"] = "realtime"
    model: str = Field("parley", max_length=256)
    output_modalities: OutputModalities = ("audio",)
    """One of them: `["text", "audio"]` together is refused, as OpenAI does. `["audio", "video"]` has a face."""
    instructions: str = Field("", max_length=50_000)
    audio: Audio = Audio()
    video: VideoOutput | None = None
    assistant: str | None = Field(None, max_length=64)
    """Chosen when the session begins. An extension: OpenAI's API has none."""
    tools: tuple[FunctionTool, ...] = Field((), max_length=128)
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool | None = None
    max_output_tokens: MaxTokens = "inf"
    include: tuple[str, ...] | None = None
    prompt: dict[str, Any] | None = None
    reasoning: dict[str, Any] | None = None
    tracing: str | dict[str, Any] | None = None
    truncation: str | dict[str, Any] = "auto"

    def updated(self, patch: dict[str, Any]) -> "SessionSettings":
        """The settings after a partial update. Raises InvalidRequest naming the field at fault."""
        return validated(SessionSettings, _merge(self.model_dump(mode="json"), patch), "session")

    @property
    def speaks(self) -> bool:
        """Whether replies are sound, not text alone."""
        return "audio" in self.output_modalities

    @property
    def shows_face(self) -> bool:
        """Whether a face speaks the replies."""
        return "video" in self.output_modalities


def initial_settings(config: SessionConfig) -> SessionSettings:
    """What a session has before its client sets anything."""
    detection = ServerVad(
        threshold=config.vad.threshold,
        prefix_padding_ms=round(config.vad.prefix_padding_ms),
        silence_duration_ms=round(config.endpointing.silence_duration_ms),
    )
    audio = Audio(input=AudioInput(turn_detection=detection), output=AudioOutput(voice=config.voice))
    return SessionSettings(instructions=config.instructions, audio=audio)


def language_of(settings: SessionSettings, config: SessionConfig) -> str | None:
    """The language that the client set for what it says, else the server's."""
    transcription = settings.audio.input.transcription
    return (transcription.language if transcription else None) or config.language


def _merge(old: Any, new: Any) -> Any:
    # A tagged object whose tag changes is replaced: fields of a server_vad mean nothing to a semantic_vad.
    if isinstance(old, dict) and isinstance(new, dict) and new.get("type", old.get("type")) == old.get("type"):
        return {**old, **{key: _merge(old.get(key), value) for key, value in new.items()}}
    return new
