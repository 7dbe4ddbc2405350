"""What a speech synthesis engine does, and the values that cross to and from the Tts deployment."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from deployments.media.timing import PhonemeTime, WordTime


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice on offer."""

    id: str
    language: str
    """ISO 639-1 code."""
    description: str = ""
    aliases: tuple[str, ...] = ()
    """Other names it answers to: OpenAI's, say."""


@dataclass(frozen=True, slots=True)
class VoiceSample:
    """A recording of a voice that is to be imitated."""

    pcm: bytes
    """24 kHz, 6 to 30 s."""
    text: str = ""
    """What is said in it, where that is known."""
    version: int = 1


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """One clause to be spoken."""

    text: str
    voice: str = ""
    """Id or alias; empty takes the engine's default."""
    language: str | None = None
    speed: float = 1.0
    """0.25 to 4; 1 is the voice's own pace."""
    sample: VoiceSample | None = None
    """Of a cloned voice that the replica said it does not know."""
    model: str = ""
    """One of the engine's models; empty takes the default. Engines with one model do not look at it."""
    session_id: str = ""
    version: int = 1

    @property
    def wanted(self) -> str:
        """What a replica should have loaded for it: an engine's voices may be its models."""
        return self.model or self.voice


@dataclass(frozen=True, slots=True)
class SpeechBlock:
    """The next stretch of sound of one clause.

    From an engine: at the engine's `rate_hz`, any length. From the deployment: at 24 kHz, 100 to 250 ms, the first
    one shorter. Times count from the first sample of the clause and may lie ahead of or behind the block's own sound.
    """

    pcm: bytes
    words: tuple[WordTime, ...] = ()
    phonemes: tuple[PhonemeTime, ...] = ()
    version: int = 1


class TtsEngine(Protocol):
    """A synthesiser. Built with its `Config`; nothing heavy happens before `start`."""

    async def start(self) -> None:
        """Load and warm up. Raises ConfigError."""
        ...

    @property
    def rate_hz(self) -> int:
        """Sample rate of the blocks it yields."""
        ...

    @property
    def voices(self) -> tuple[Voice, ...]:
        """What it can speak with; the first is the default."""
        ...

    @property
    def clones(self) -> bool:
        """Whether it imitates a `VoiceSample`."""
        ...

    def synthesize(self, request: SpeechRequest) -> AsyncGenerator[SpeechBlock, None]:
        """Stream one clause. Closing the generator stops the work within 50 ms.

        Text without anything to say yields nothing. Raises InvalidRequest for a voice or language it does not have,
        StateLost for a cloned voice (`cloned_voice`) that it has to be sent the sample of.
        """
        ...

    async def close(self) -> None:
        """Free everything."""
        ...
