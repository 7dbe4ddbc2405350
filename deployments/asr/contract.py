"""What a recognition engine does, and the values that cross to and from the Asr deployment."""

from dataclasses import dataclass
from typing import Literal, Protocol

from deployments.media.timing import WordTime


@dataclass(frozen=True, slots=True)
class AsrOptions:
    """How one utterance is to be recognised."""

    language: str | None = None
    """ISO 639-1 code; None lets the engine decide."""
    prompt: str = ""
    """Words that are likely to occur."""
    hotwords: tuple[str, ...] = ()
    """Names and terms to listen for, where the engine can."""
    task: Literal["transcribe", "translate"] = "transcribe"
    """`translate`: into English."""
    live: bool = True
    """Somebody waits for each word. False for files, which must not slow those down."""
    model: str = ""
    """One of the engine's models; empty takes the default. Engines with one model do not look at it."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What an utterance says, as far as it has been heard."""

    text: str = ""
    """The whole utterance so far, not only what is new."""
    final: bool = False
    language: str | None = None
    confidence: float | None = None
    """0 to 1, where the engine gives one."""
    words: tuple[WordTime, ...] = ()
    """At 16 kHz from the first sample of the utterance; places in `text`. Empty where the engine gives none."""
    stable_chars: int = 0
    """How much of `text`, from its beginning, no later transcript of the utterance takes back."""


class Recognizer(Protocol):
    """One utterance. Called by one task at a time. Speech may go on after `finalize`, which is then taken back."""

    async def accept(self, pcm: bytes) -> Transcript:
        """Hear the next block (16 kHz, any length including none); the interim words so far."""
        ...

    async def finalize(self) -> Transcript:
        """The final words of all that was heard. May be called again after more was accepted, or with nothing new."""
        ...

    async def close(self) -> None:
        """Free what it holds. May be called in any state and more than once."""
        ...


class AsrEngine(Protocol):
    """A recogniser of speech. Built with its `Config`; nothing heavy happens before `start`."""

    async def start(self) -> None:
        """Load and warm up; when it returns, the first utterance is as quick as the next. Raises ConfigError."""
        ...

    @property
    def languages(self) -> tuple[str, ...]:
        """ISO 639-1 codes; empty when it takes any."""
        ...

    def open(self, options: AsrOptions) -> Recognizer:
        """Begin an utterance, on the event loop. Several may be open at once.

        Raises InvalidRequest for a language it does not speak, and for a translation where it cannot translate.
        """
        ...

    async def close(self) -> None:
        """Free everything."""
        ...


@dataclass(frozen=True, slots=True)
class AsrPush:
    """One call from a session to the deployment."""

    utterance_id: str
    n: int
    """0, 1, 2, … within the utterance; 0 opens it. A repeated number gets the same reply again."""
    pcm: bytes = b""
    """16 kHz; 100 ms as a rule, the whole utterance so far when a session rebuilds a lost replica."""
    finalize: bool = False
    """Give the final words of what was heard, this block included. More may follow."""
    close: bool = False
    """The utterance is over; forget it."""
    options: AsrOptions = AsrOptions()
    """Read at n = 0."""
    version: int = 1

    @property
    def model(self) -> str:
        """What the router goes by, so the same in all pushes of an utterance."""
        return self.options.model


@dataclass(frozen=True, slots=True)
class AsrReply:
    """The answer to one push."""

    n: int
    transcript: Transcript
    version: int = 1
