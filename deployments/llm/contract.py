"""What a language model engine does, and the values that cross to and from the Llm deployment."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model wants a function called."""

    call_id: str
    name: str
    arguments: str
    """A JSON object as text."""


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of the conversation as the model sees it."""

    role: Role
    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    """On an assistant's message."""
    tool_call_id: str = ""
    """On a tool's message: the call that it answers; `text` is the result."""
    interrupted: bool = False
    """On an assistant's message: the user cut it off; `text` is what was heard."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    """JSON schema of the arguments, an object."""


@dataclass(frozen=True, slots=True)
class LlmRequest:
    """One reply to be generated."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    """`auto`, `none`, `required`, or the name of the tool that must be called."""
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    """The reply ends before the first of these."""
    seed: int | None = None
    json_schema: dict[str, Any] | None = None
    """The text is to be JSON of this schema; of any object where it is empty. None: text is free."""
    model: str = ""
    """One of the engine's `models`; empty takes the first."""
    language: str | None = None
    """ISO 639-1 code of the conversation, where it is known."""
    cut: Literal["clause", "word"] = "clause"
    """How text is cut for the stream: for the voice by clause, for readers by word."""
    fit: bool = False
    """Leave out the oldest turns where the conversation is over the model's window, as far as that is known."""
    session_id: str = ""
    version: int = 1


@dataclass(frozen=True, slots=True)
class Usage:
    """What a reply cost, in the engine's own tokens."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class TextPiece:
    """The next stretch of the reply. Pieces joined without a separator are the whole reply."""

    text: str
    version: int = 1


@dataclass(frozen=True, slots=True)
class Finished:
    """The last item of every stream that did not fail."""

    reason: Literal["stop", "length", "tool_calls"]
    usage: Usage = Usage()
    first_token_ms: float | None = None
    """From the request's arrival at the deployment to the engine's first delta. Filled in by the deployment."""
    version: int = 1


LlmItem = TextPiece | ToolCall | Finished
"""What a stream of one reply carries: text and tool calls in the order in which the model made them, then Finished."""


@runtime_checkable
class Windowed(Protocol):
    """An engine that can tell how much its model takes in."""

    @property
    def context_tokens(self) -> int | None:
        """Prompt and reply together, in the model's tokens; None: not known."""
        ...


class LlmEngine(Protocol):
    """A language model. Built with its `Config`; nothing heavy happens before `start`.

    One that keeps to `LlmRequest.json_schema` also has `guides_json = True`: other engines never see such a request.
    """

    async def start(self) -> None:
        """Load and warm up. Raises ConfigError."""
        ...

    @property
    def models(self) -> tuple[str, ...]:
        """Names under which it is listed in /v1/models."""
        ...

    def generate(self, request: LlmRequest) -> AsyncGenerator[LlmItem, None]:
        """Stream one reply, token by token or word by word. Closing the generator stops the work at once."""
        ...

    async def close(self) -> None:
        """Free everything."""
        ...


@runtime_checkable
class WatchedEngine(Protocol):
    """An engine that can die while its replica lives: because its work is done in another process, say."""

    def check_health(self) -> None:
        """Raises StageUnavailable when it is dead. Called every few seconds; returns at once."""
        ...
