"""From OpenAI's chat request to the Llm stage's own."""

import hashlib

from deployments.llm.contract import LlmRequest, Message, Tool, ToolCall
from serve_app.gateway.chat.request import ChatMessage, ChatRequest, NamedTool, ResponseFormat
from serve_app.gateway.models import REALTIME_MODEL


def llm_request(asked: ChatRequest) -> LlmRequest:
    """What the stage is asked for: words as they come, since somebody reads them."""
    limit = asked.max_completion_tokens if asked.max_completion_tokens is not None else asked.max_tokens
    return LlmRequest(
        messages=tuple(map(_message, asked.messages)),
        tools=tuple(
            Tool(tool.function.name, tool.function.description or "", tool.function.parameters or {})
            for tool in asked.tools or ()
        ),
        tool_choice=_tool_choice(asked),
        max_output_tokens=limit,
        temperature=asked.temperature,
        top_p=asked.top_p,
        stop=asked.stops,
        seed=asked.seed,
        json_schema=_schema(asked.response_format),
        model="" if asked.model == REALTIME_MODEL else asked.model,
        cut="word",
        session_id=affinity(asked),
    )


def affinity(asked: ChatRequest) -> str:
    """Requests that begin alike get the same name, by which they go to the replica that has their beginning cached.

    A conversation of text has no id: what it begins with, up to the user's first message, stays while it goes on.
    """
    if asked.prompt_cache_key:
        begins = asked.prompt_cache_key
    else:
        ends = next((n for n, message in enumerate(asked.messages) if message.role == "user"), len(asked.messages))
        begins = "\0".join(f"{message.role}\0{message.words}" for message in asked.messages[: ends + 1])
    return "chat-" + hashlib.blake2s(begins.encode(errors="replace"), digest_size=12).hexdigest()


def _message(message: ChatMessage) -> Message:
    calls = tuple(ToolCall(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or ())
    role = "system" if message.role == "developer" else message.role
    return Message(role, message.words, calls, message.tool_call_id)


def _tool_choice(asked: ChatRequest) -> str:
    if isinstance(asked.tool_choice, NamedTool):
        return asked.tool_choice.function.name
    return asked.tool_choice or "auto"


def _schema(wanted: ResponseFormat | None) -> dict[str, object] | None:
    if wanted is None or wanted.type == "text":
        return None
    return {} if wanted.json_schema is None else wanted.json_schema.json_schema or {}
