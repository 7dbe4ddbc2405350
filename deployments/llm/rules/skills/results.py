"""Speaks what the tools gave back, and does not call them again."""

import json
from typing import Any

from deployments.llm.contract import ToolCall
from deployments.llm.rules.tools.results import spoken
from deployments.llm.rules.turn import Reply, Turn


def answer(turn: Turn) -> Reply | None:
    since = turn.messages[turn.asked_at + 1 :]
    results = [message for message in since if message.role == "tool"]
    if not results:
        return None
    spoken_at = max(
        (i for i, m in enumerate(since) if m.role == "assistant" and m.text and not m.tool_calls), default=-1
    )
    results = [message for message in since[spoken_at + 1 :] if message.role == "tool"] or results
    calls = {call.call_id: call for message in since for call in message.tool_calls}
    texts = [spoken(result.text, _arguments(calls.get(result.tool_call_id))) for result in results]
    return Reply(" ".join(dict.fromkeys(texts)))


def _arguments(call: ToolCall | None) -> dict[str, Any]:
    try:
        value = json.loads(call.arguments) if call else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
