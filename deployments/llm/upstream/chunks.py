"""One event of a chat completion's stream, read leniently: servers differ in what they leave out."""

import json
from dataclasses import dataclass
from typing import Any

from deployments.llm.contract import Usage


class Unreadable(Exception):
    """Its words say what it is."""


@dataclass(frozen=True, slots=True)
class CallPart:
    """A stretch of a tool call."""

    index: int | None
    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one event adds."""

    text: str = ""
    thinks: bool = False
    """It carries a stretch of the model's thoughts, which are not kept."""
    calls: tuple[CallPart, ...] = ()
    finish: str = ""
    """Why the reply ends, in the server's word; empty while it goes on."""
    usage: Usage | None = None
    error: Any = None
    """The server tells of an error in place of the rest."""

    @property
    def says_something(self) -> bool:
        """It is a token, of the answer or a thought."""
        return bool(self.text or self.thinks or self.calls)


def read_chunk(data: str) -> Chunk:
    """Raises Unreadable."""
    try:
        event = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Unreadable("an event that is not JSON, or half of one") from error
    if not isinstance(event, dict):
        raise Unreadable("an event that is not a JSON object")
    if event.get("error"):
        return Chunk(error=event["error"])
    choices = event.get("choices") or [{}]
    if not isinstance(choices, list) or not isinstance(choices[0], dict):
        raise Unreadable("an event whose choices are no list of objects")
    delta = choices[0].get("delta") or {}
    if not isinstance(delta, dict):
        raise Unreadable("an event whose delta is no object")
    return Chunk(
        text=_text(delta.get("content")),
        thinks=bool(delta.get("reasoning_content") or delta.get("reasoning")),
        calls=_calls(delta.get("tool_calls") or []),
        finish=str(choices[0].get("finish_reason") or ""),
        usage=_usage(event.get("usage")),
    )


def _text(content: Any) -> str:
    """Half a surrogate pair that the server made of a character is replaced: nobody could pass it on."""
    if content is None:
        return ""
    if not isinstance(content, str):
        raise Unreadable("text that is no string")
    return content.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _calls(parts: Any) -> tuple[CallPart, ...]:
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise Unreadable("tool calls that are no list of objects")
    return tuple(_call(part) for part in parts)


def _call(part: dict[str, Any]) -> CallPart:
    function = part.get("function") or {}
    if not isinstance(function, dict):
        raise Unreadable("a tool call whose function is no object")
    arguments = function.get("arguments")
    if isinstance(arguments, dict):  # some give the object itself
        arguments = json.dumps(arguments)
    index = part.get("index")
    return CallPart(
        index if isinstance(index, int) else None,
        str(part.get("id") or ""),
        str(function.get("name") or ""),
        _text(arguments),
    )


def _usage(usage: Any) -> Usage | None:
    if not isinstance(usage, dict):
        return None
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    return Usage(_count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")), _count(cached))


def _count(value: Any) -> int:
    return max(0, value) if isinstance(value, int) else 0
