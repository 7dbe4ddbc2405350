"""Everything that a session says, named and shaped as in OpenAI's Realtime API (types of the `openai` package 3.52).

One small class an event; `type` is its wire name, its fields are the wire's fields. Only `OutputAudioDelta` differs: it
holds 24 kHz PCM, which a transport encodes for its client. Events named `parley.*` are extensions, sent to clients that
ask for them.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from deployments.media.video import VideoFrame
from deployments.runtime.errors import ParleyError
from serve_app.session.items import Item
from serve_app.session.settings import SessionSettings

ResponseStatus = Literal["in_progress", "completed", "cancelled", "failed", "incomplete"]


@dataclass(frozen=True, slots=True)
class ResponseInfo:
    """The response resource."""

    id: str
    status: ResponseStatus
    conversation_id: str | None
    output_modalities: tuple[str, ...]
    voice: str
    output_format: dict[str, Any]
    max_output_tokens: int | str
    output: tuple[Item, ...] = ()
    status_details: dict[str, Any] | None = None
    metadata: dict[str, str] | None = None
    usage: dict[str, Any] | None = None

    def wire(self) -> dict[str, Any]:
        """As the Realtime API shows it."""
        return {
            "id": self.id,
            "object": "realtime.response",
            "status": self.status,
            "status_details": self.status_details,
            "conversation_id": self.conversation_id,
            "output_modalities": list(self.output_modalities),
            "audio": {"output": {"format": self.output_format, "voice": self.voice}},
            "max_output_tokens": self.max_output_tokens,
            "metadata": self.metadata,
            "output": [item.wire() for item in self.output],
            "usage": self.usage,
        }


def error_details(error: ParleyError) -> dict[str, Any]:
    """An error of ours as events hold it."""
    return {"type": error.realtime_type, "code": error.code, "message": error.message, "param": error.param}


@dataclass(frozen=True, slots=True)
class SessionCreated:
    """The first event of every session. Its transport adds `id`, `object` and `expires_at`."""

    type: ClassVar[str] = "session.created"
    session: SessionSettings
    parley: dict[str, Any]
    """`resume_token` and `resume_within_s`; empty where conversations cannot be resumed."""


@dataclass(frozen=True, slots=True)
class SessionUpdated:
    """The whole session after a change."""

    type: ClassVar[str] = "session.updated"
    session: SessionSettings


@dataclass(frozen=True, slots=True)
class ConversationCreated:
    """Sent once, after `session.created`."""

    type: ClassVar[str] = "conversation.created"
    conversation: dict[str, str]


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    """Something was refused or failed; the session goes on."""

    type: ClassVar[str] = "error"
    error: dict[str, Any]
    """`type`, `code`, `message`, `param`, `event_id`."""

    @classmethod
    def of(cls, error: ParleyError, event_id: str | None = None) -> "ErrorEvent":
        """An error of ours; `event_id` is that of the client's message at fault."""
        return cls({**error_details(error), "event_id": event_id})


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The user began to speak. Clients drop what they have not played yet."""

    type: ClassVar[str] = "input_audio_buffer.speech_started"
    audio_start_ms: int
    item_id: str


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The user's turn ended; `audio_end_ms` is where the silence began that ended it."""

    type: ClassVar[str] = "input_audio_buffer.speech_stopped"
    audio_end_ms: int
    item_id: str


@dataclass(frozen=True, slots=True)
class BufferCommitted:
    """The buffered sound became a user item."""

    type: ClassVar[str] = "input_audio_buffer.committed"
    item_id: str
    previous_item_id: str | None


@dataclass(frozen=True, slots=True)
class BufferCleared:
    """The buffered sound was forgotten."""

    type: ClassVar[str] = "input_audio_buffer.cleared"


@dataclass(frozen=True, slots=True)
class TimeoutTriggered:
    """The user kept silent for `idle_timeout_ms` after a reply."""

    type: ClassVar[str] = "input_audio_buffer.timeout_triggered"
    audio_start_ms: int
    audio_end_ms: int
    item_id: str


@dataclass(frozen=True, slots=True)
class TranscriptionDelta:
    """More of what the user said."""

    type: ClassVar[str] = "conversation.item.input_audio_transcription.delta"
    item_id: str
    delta: str
    content_index: int = 0


@dataclass(frozen=True, slots=True)
class TranscriptionCompleted:
    """All that the user said in an item."""

    type: ClassVar[str] = "conversation.item.input_audio_transcription.completed"
    item_id: str
    transcript: str
    usage: dict[str, Any]
    """`{"type": "duration", "seconds": …}`."""
    content_index: int = 0


@dataclass(frozen=True, slots=True)
class TranscriptionFailed:
    """Recognition failed; the item stays without a transcript."""

    type: ClassVar[str] = "conversation.item.input_audio_transcription.failed"
    item_id: str
    error: dict[str, Any]
    content_index: int = 0


@dataclass(frozen=True, slots=True)
class ItemAdded:
    """An item entered the conversation, maybe still growing."""

    type: ClassVar[str] = "conversation.item.added"
    item: Item
    previous_item_id: str | None


@dataclass(frozen=True, slots=True)
class ItemDone:
    """An item is complete."""

    type: ClassVar[str] = "conversation.item.done"
    item: Item
    previous_item_id: str | None


@dataclass(frozen=True, slots=True)
class ItemRetrieved:
    """The answer to `conversation.item.retrieve`."""

    type: ClassVar[str] = "conversation.item.retrieved"
    item: Item


@dataclass(frozen=True, slots=True)
class ItemDeleted:
    """An item left the conversation."""

    type: ClassVar[str] = "conversation.item.deleted"
    item_id: str


@dataclass(frozen=True, slots=True)
class ItemTruncated:
    """A reply's item now holds what was heard up to `audio_end_ms`, and no more."""

    type: ClassVar[str] = "conversation.item.truncated"
    item_id: str
    content_index: int
    audio_end_ms: int


@dataclass(frozen=True, slots=True)
class ResponseCreated:
    """A response began."""

    type: ClassVar[str] = "response.created"
    response: ResponseInfo


@dataclass(frozen=True, slots=True)
class ResponseDone:
    """A response ended, for whatever reason."""

    type: ClassVar[str] = "response.done"
    response: ResponseInfo


@dataclass(frozen=True, slots=True)
class OutputItemAdded:
    """A response has a new item."""

    type: ClassVar[str] = "response.output_item.added"
    response_id: str
    output_index: int
    item: Item


@dataclass(frozen=True, slots=True)
class OutputItemDone:
    """An item of a response is complete."""

    type: ClassVar[str] = "response.output_item.done"
    response_id: str
    output_index: int
    item: Item


@dataclass(frozen=True, slots=True)
class ContentPartAdded:
    """A message of a response has a new part."""

    type: ClassVar[str] = "response.content_part.added"
    response_id: str
    item_id: str
    output_index: int
    content_index: int
    part: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ContentPartDone:
    """A part is complete."""

    type: ClassVar[str] = "response.content_part.done"
    response_id: str
    item_id: str
    output_index: int
    content_index: int
    part: dict[str, Any]


@dataclass(frozen=True, slots=True)
class OutputTextDelta:
    """More text of a text response."""

    type: ClassVar[str] = "response.output_text.delta"
    response_id: str
    item_id: str
    output_index: int
    content_index: int
    delta: str


@dataclass(frozen=True, slots=True)
class OutputTextDone:
    """The text is complete."""

    type: ClassVar[str] = "response.output_text.done"
    response_id: str
    item_id: str
    output_index: int
    content_index: int
    text: str


@dataclass(frozen=True, slots=True)
class OutputAudioDelta:
    """More sound: 24 kHz PCM. On the wire `delta` is base64 in the session's output format."""

    type: ClassVar[str] = "response.output_audio.delta"
    response_id: str
    item_id: str
    output_index: int
    content_index: int
    pcm: bytes
    in_block: bool = False
    """The `VideoBlock` that follows at once has it too."""


@dataclass(frozen=True, slots=True)
class OutputAudioDone:
    """The sound is complete, or was cut off."""

    type: ClassVar[str] = "response.output_audio.done"
    response_id: str
    item_id: str
    output_index: int
    content_index: int


@dataclass(frozen=True, slots=True)
class OutputTranscriptDelta:
    """The words of the sound that goes out with it."""

    type: ClassVar[str] = "response.output_audio_transcript.delta"
    response_id: str
    item_id: str
    output_index: int
    content_index: int
    delta: str


@dataclass(frozen=True, slots=True)
class OutputTranscriptDone:
    """All words of the sound."""

    type: ClassVar[str] = "response.output_audio_transcript.done"
    response_id: str
    item_id: str
    output_index: int
    content_index: int
    transcript: str


@dataclass(frozen=True, slots=True)
class ArgumentsDelta:
    """More of a function call's arguments."""

    type: ClassVar[str] = "response.function_call_arguments.delta"
    response_id: str
    item_id: str
    output_index: int
    call_id: str
    delta: str


@dataclass(frozen=True, slots=True)
class ArgumentsDone:
    """A function call's arguments are complete."""

    type: ClassVar[str] = "response.function_call_arguments.done"
    response_id: str
    item_id: str
    output_index: int
    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class InterimTranscript:
    """Extension: the words of the utterance in progress, all of them, as they stand now. They may still change."""

    type: ClassVar[str] = "parley.transcript.interim"
    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class StateChanged:
    """Extension: the state of the conversation's machine."""

    type: ClassVar[str] = "parley.state"
    state: str


@dataclass(frozen=True, slots=True)
class SessionResumed:
    """Extension: the conversation goes on over this connection."""

    type: ClassVar[str] = "parley.session.resumed"
    item_ids: tuple[str, ...]
    """The newest items of the conversation, oldest first."""
    continued_item_id: str | None
    """The reply that was cut off and is spoken on now; its item ends with what was heard before."""


@dataclass(frozen=True, slots=True)
class PlaybackHeld:
    """Extension: the user may be interrupting; nothing is sent until it is decided."""

    type: ClassVar[str] = "parley.playback.held"
    response_id: str


@dataclass(frozen=True, slots=True)
class PlaybackResumed:
    """Extension: it was no interruption."""

    type: ClassVar[str] = "parley.playback.resumed"
    response_id: str


@dataclass(frozen=True, slots=True)
class VideoBlock:
    """The face's next 200 ms, right after the sound that belongs to it where something is said."""

    type: ClassVar[str] = "parley.video.block"
    at_ms: float
    """Its start on the face's own clock, in which picture and sound are one."""
    frames: tuple[VideoFrame, ...]
    width: int
    height: int
    pcm: bytes
    """24 kHz: what is heard with it, silence included. Transports that carry `OutputAudioDelta` leave it out."""
    spoken_ms: float
    """So much of it is a reply's sound, which the `OutputAudioDelta` before it holds too. The rest is silence, but for
    the fade of a reply that is held."""
    cut: Literal["silence", "all"] | None = None
    """What was sent before and is not shown yet is void, silent blocks or all: this follows. Begins with a keyframe."""


@dataclass(frozen=True, slots=True)
class TurnTimeline:
    """Extension: how a reply came about, in milliseconds; sent with its first sound (or first text)."""

    type: ClassVar[str] = "parley.turn.timeline"
    response_id: str
    silence_ms: float | None
    """From the last speech sample to the endpoint decision, in stream time; None for a reply to text."""
    words_final_ms: float | None
    """The rest count from the endpoint decision (or the request)."""
    first_token_ms: float
    first_audio_ms: float | None


ServerEvent = (
    SessionCreated
    | SessionUpdated
    | ConversationCreated
    | ErrorEvent
    | SpeechStarted
    | SpeechStopped
    | BufferCommitted
    | BufferCleared
    | TimeoutTriggered
    | TranscriptionDelta
    | TranscriptionCompleted
    | TranscriptionFailed
    | ItemAdded
    | ItemDone
    | ItemRetrieved
    | ItemDeleted
    | ItemTruncated
    | ResponseCreated
    | ResponseDone
    | OutputItemAdded
    | OutputItemDone
    | ContentPartAdded
    | ContentPartDone
    | OutputTextDelta
    | OutputTextDone
    | OutputAudioDelta
    | OutputAudioDone
    | OutputTranscriptDelta
    | OutputTranscriptDone
    | ArgumentsDelta
    | ArgumentsDone
    | InterimTranscript
    | StateChanged
    | SessionResumed
    | PlaybackHeld
    | PlaybackResumed
    | VideoBlock
    | TurnTimeline
)
