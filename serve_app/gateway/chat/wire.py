"""Replies in OpenAI's shapes: one object, or server-sent events."""

from dataclasses import dataclass
from typing import Any

import orjson

from deployments.llm.contract import Finished, ToolCall, Usage
from deployments.runtime.errors import ParleyError

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Heading:
    """What all objects of one reply begin with."""

    id: str
    model: str
    created_s: int

    def chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        """One event of a stream."""
        return event({**self._about("chat.completion.chunk"), "choices": [_choice("delta", delta, finish_reason)]})

    def usage_chunk(self, usage: Usage) -> bytes:
        """The event after the last choice, for those who asked for it."""
        return event({**self._about("chat.completion.chunk"), "choices": [], "usage": usage_fields(usage)})

    def completion(self, text: str, calls: list[ToolCall], finished: Finished) -> dict[str, Any]:
        """The whole reply."""
        message: dict[str, Any] = {"role": "assistant", "content": text or (None if calls else ""), "refusal": None}
        if calls:
            message["tool_calls"] = [call_fields(call) for call in calls]
        choice = _choice("message", message, finished.reason)
        return {**self._about("chat.completion"), "choices": [choice], "usage": usage_fields(finished.usage)}

    def _about(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created_s, "model": self.model}


def event(data: dict[str, Any]) -> bytes:
    """A server-sent event."""
    return b"data: " + orjson.dumps(data) + b"\n\n"


def error_event(error: ParleyError) -> bytes:
    """For what goes wrong when the status has been sent."""
    fields = {"message": error.message, "type": error.realtime_type, "code": error.code, "param": error.param}
    return event({"error": fields})


def call_fields(call: ToolCall) -> dict[str, Any]:
    """A function call."""
    return {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def usage_fields(usage: Usage) -> dict[str, Any]:
    """What the reply cost."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


def _choice(field: str, said: dict[str, Any], finish_reason: str | None) -> dict[str, Any]:
    return {"index": 0, field: said, "logprobs": None, "finish_reason": finish_reason}
