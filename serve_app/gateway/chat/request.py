"""OpenAI's chat request: which of its fields this server keeps to, which it takes without effect, and which it refuses.

A field that would change the answer and that no engine can honour is refused, not passed over.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from deployments.runtime.errors import InvalidRequest
from serve_app.session.validation import validated

MAX_MESSAGES = 2048
MAX_TOOLS = 128
MAX_STOPS = 4

_NAME = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TextPart(_Part):
    """Words, of anyone."""

    type: Literal["text", "refusal"]
    text: str = ""
    refusal: str = ""

    @property
    def words(self) -> str:
        """What it says, whichever field holds it."""
        return self.text or self.refusal


class FunctionCall(_Part):
    """What the model called, as it was told to the client."""

    name: str = Field(min_length=1)
    arguments: str


class CallMade(_Part):
    """One call of an assistant's message."""

    id: str = Field(min_length=1)
    type: Literal["function"] = "function"
    function: FunctionCall


class ChatMessage(_Part):
    """One entry of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | tuple[TextPart, ...] | None = None
    tool_calls: tuple[CallMade, ...] | None = None
    tool_call_id: str = ""
    name: str | None = None
    refusal: str | None = None
    audio: None = None
    function_call: None = None
    annotations: tuple[Any, ...] | None = None

    @field_validator("content", mode="before")
    @classmethod
    def _words_only(cls, content: Any) -> Any:
        if isinstance(content, list):
            for part in content:
                kind = part.get("type") if isinstance(part, dict) else None
                if kind in ("image_url", "input_audio", "file"):
                    raise ValueError(f"a part of type {kind!r} cannot be read here: this model takes text alone")
        return content

    @model_validator(mode="after")
    def _complete(self) -> "ChatMessage":
        if self.role == "tool" and not self.tool_call_id:
            raise ValueError("a message of the role 'tool' names the call that it answers in 'tool_call_id'")
        if self.tool_calls and self.role != "assistant":
            raise ValueError("only a message of the role 'assistant' has 'tool_calls'")
        if self.content is None and not (self.role == "assistant" and (self.tool_calls or self.refusal)):
            raise ValueError("a message without 'tool_calls' needs 'content'")
        return self

    @property
    def words(self) -> str:
        """Its text."""
        if isinstance(self.content, tuple):
            return "".join(part.words for part in self.content)
        return self.content or self.refusal or ""


class Function(_Part):
    """A function the model may call."""

    name: _NAME
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    """Taken without effect."""


class ChatTool(_Part):
    """Functions are the only tools."""

    type: Literal["function"]
    function: Function


class NamedFunction(_Part):
    """By its name alone."""

    name: str = Field(min_length=1)


class NamedTool(_Part):
    """The function that must be called."""

    type: Literal["function"]
    function: NamedFunction


class JsonSchema(_Part):
    """What the reply must be."""

    name: _NAME
    description: str | None = None
    json_schema: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool | None = None


class ResponseFormat(_Part):
    """Free text, any JSON object, or JSON of a schema."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    json_schema: JsonSchema | None = None

    @model_validator(mode="after")
    def _complete(self) -> "ResponseFormat":
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("'json_schema' goes with the type 'json_schema', and only with it")
        return self


class StreamOptions(_Part):
    """Of a streamed reply."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None
    """Taken without effect."""


class ChatRequest(_Part):
    """The body."""

    model: str = Field(min_length=1)
    messages: tuple[ChatMessage, ...] = Field(min_length=1, max_length=MAX_MESSAGES)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: tuple[ChatTool, ...] | None = Field(default=None, max_length=MAX_TOOLS)
    tool_choice: Literal["auto", "none", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    stop: str | tuple[str, ...] | None = Field(default=None, max_length=MAX_STOPS)
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    prompt_cache_key: str | None = None
    """Requests that share it, and so a prefix, go to the same replica."""
    user: str | None = None

    # What OpenAI's clients send as a matter of course, and what changes nothing when it has these values.
    n: Literal[1] | None = None
    logprobs: Literal[False] | None = None
    frequency_penalty: Annotated[float, Field(ge=0, le=0)] | None = None
    presence_penalty: Annotated[float, Field(ge=0, le=0)] | None = None
    modalities: tuple[Literal["text"], ...] | None = None
    store: Literal[False] | None = None
    metadata: dict[str, str] | None = None
    service_tier: Literal["auto", "default"] | None = None
    safety_identifier: str | None = None

    @field_validator("stop", mode="before")
    @classmethod
    def _one_stop_is_a_list(cls, stop: Any) -> Any:
        return [stop] if isinstance(stop, str) else stop

    @property
    def stops(self) -> tuple[str, ...]:
        """Stop strings that say anything."""
        given = (self.stop,) if isinstance(self.stop, str) else self.stop or ()
        return tuple(stop for stop in given if stop)


def read_request(body: object) -> ChatRequest:
    """A body as a request. Raises InvalidRequest, which names the field at fault."""
    asked = validated(ChatRequest, body)
    if asked.stream_options is not None and not asked.stream:
        raise InvalidRequest("'stream_options' is for streams: set 'stream'.", param="stream_options")
    if asked.tool_choice not in (None, "none") and not asked.tools:
        raise InvalidRequest("'tool_choice' needs 'tools'.", param="tool_choice")
    return asked
