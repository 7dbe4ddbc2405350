"""A conversation as chat templates take it: OpenAI's messages, as plain dictionaries.

What was said before is never written anew when the conversation goes on: a prompt begins with the whole of the prompt
before it, or vLLM's prefix cache would miss.
"""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from deployments.llm.contract import Message, Tool, ToolCall

CUT_OFF = " —"
"""Behind the words of a reply that the user cut off: nothing else of it was heard."""
INTERRUPTING = "(I interrupted you there.) "
"""Before what the user said then. A note in the system prompt would change the beginning of every later prompt, and
one in the reply itself would be imitated."""


def wire_messages(messages: Sequence[Message], control_tokens: Iterable[str] = ()) -> list[dict[str, Any]]:
    """The messages in order. Words of the user next to each other become one message, as many templates insist.

    A text that spells one of the model's `control_tokens` gets a space into it, so that nobody speaks the end of the
    system's turn. Half a surrogate pair, which a client may send, becomes a question mark.
    """
    plain = _Plain(control_tokens)
    written: list[dict[str, Any]] = []
    cut_off = False
    for message in messages:
        text = plain(message.text)
        if message.role == "user":
            text = INTERRUPTING + text if cut_off else text
            if written and written[-1]["role"] == "user":
                written[-1]["content"] += "\n" + text
            else:
                written.append({"role": "user", "content": text})
        elif message.role == "tool":
            written.append({"role": "tool", "tool_call_id": message.tool_call_id, "content": text})
        elif message.role == "assistant":
            text = text.rstrip() + CUT_OFF if message.interrupted else text
            written.append(_assistant(text, message.tool_calls, plain))
        else:
            written.append({"role": message.role, "content": text})
        cut_off = message.interrupted or (cut_off and message.role == "tool")
    return written


def wire_tools(tools: Sequence[Tool]) -> list[dict[str, Any]]:
    """The functions that the model may call. One without parameters takes none, as with OpenAI."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": {"type": "object", "properties": {}, **(tool.parameters or _NOTHING)},
            },
        }
        for tool in tools
    ]


_NOTHING: Final[dict[str, Any]] = {"additionalProperties": False}


class _Plain:
    """Text without control tokens."""

    def __init__(self, control_tokens: Iterable[str]) -> None:
        longest_first = sorted({token for token in control_tokens if len(token) > 1}, key=len, reverse=True)
        self._tokens = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def __call__(self, text: str) -> str:
        text = text.encode(errors="replace").decode()
        return text if self._tokens is None else self._tokens.sub(lambda token: f"{token[0][0]} {token[0][1:]}", text)


def _assistant(text: str, calls: Sequence[ToolCall], plain: _Plain) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if calls:
        message["tool_calls"] = [
            {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": _object(call, plain)}}
            for call in calls
        ]
    return message


def _object(call: ToolCall, plain: _Plain) -> str:
    """The arguments as the text of a JSON object: templates read it, and stop at anything else."""
    text = plain(call.arguments)
    try:
        whole = isinstance(json.loads(text), dict)
    except ValueError:
        whole = False
    return text if whole else "{}"
