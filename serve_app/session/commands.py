"""What a client asks of a session. A transport makes these from its messages; the session answers with events.

`event_id` is the client's own id of the message, named in the error if the command is refused.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from serve_app.session.items import Item
from serve_app.session.settings import AudioFormat, FunctionTool, ToolChoice


@dataclass(frozen=True, slots=True)
class Append:
    """Sound from the microphone: 16 kHz PCM."""

    pcm: bytes
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """The buffered sound is a complete utterance (with turn detection off)."""

    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class Clear:
    """Forget the buffered sound."""

    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """Change settings; `patch` is the client's partial `session` object."""

    patch: dict[str, Any]
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class CreateItem:
    """Put an item into the conversation: behind `previous_item_id`, at the front for `root`, else at the end."""

    item: Item
    previous_item_id: str | None = None
    audio: bytes = b""
    """16 kHz PCM of an `input_audio` part without a transcript; it will be recognised."""
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class RetrieveItem:
    """Show an item."""

    item_id: str
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class DeleteItem:
    """Take an item out of the conversation."""

    item_id: str
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class TruncateItem:
    """The client has played only this much of a reply."""

    item_id: str
    content_index: int
    audio_end_ms: int
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class ResponseOptions:
    """What a single response has of its own; None means as the session has it."""

    output_modalities: tuple[Literal["text", "audio"]] | None = None
    instructions: str | None = None
    voice: str | None = None
    output_format: AudioFormat | None = None
    tools: tuple[FunctionTool, ...] | None = None
    tool_choice: ToolChoice | None = None
    max_output_tokens: int | Literal["inf"] | None = None
    metadata: dict[str, str] | None = None
    in_conversation: bool = True
    """False for `conversation: "none"`: nothing of it enters the history."""
    input: tuple[Item | str, ...] | None = None
    """Items to answer instead of the history; a string names an item of it."""


@dataclass(frozen=True, slots=True)
class CreateResponse:
    """Answer now."""

    options: ResponseOptions = field(default_factory=ResponseOptions)
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class CancelResponse:
    """Stop a response: the one named, else the one in progress."""

    response_id: str | None = None
    event_id: str | None = None


Command = (
    Append
    | Commit
    | Clear
    | Update
    | CreateItem
    | RetrieveItem
    | DeleteItem
    | TruncateItem
    | CreateResponse
    | CancelResponse
)
