"""Puts tool calls together from their stretches."""

import json
import uuid
from dataclasses import dataclass
from typing import Final

from deployments.llm.contract import ToolCall
from deployments.llm.upstream.chunks import CallPart, Unreadable

MOST_CALLS: Final = 64
MOST_CHARS: Final = 2**18
"""Of the arguments of one call."""


@dataclass(slots=True)
class _Open:
    index: int | None
    call_id: str
    name: str
    arguments: str


class CallAssembler:
    """Of one reply. Parts of one call share an index; servers that give none, or the same to all, are told apart by the
    call's id, and where there is no id either by its name.
    """

    def __init__(self, taken: frozenset[str]) -> None:
        """`taken`: ids of calls that the conversation has. Some servers count from 0 in each reply."""
        self._taken = set(taken)
        self._open: list[_Open] = []

    @property
    def pending(self) -> bool:
        """Whether there is one."""
        return bool(self._open)

    def feed(self, part: CallPart) -> None:
        """Raises Unreadable over the bounds and for arguments of no call."""
        call = self._continued(part)
        if call is None:
            if not part.name:
                raise Unreadable("a tool call without a name")
            if len(self._open) >= MOST_CALLS:
                raise Unreadable(f"more than {MOST_CALLS} tool calls")
            self._open.append(call := _Open(part.index, part.call_id, part.name, ""))
        call.arguments += part.arguments
        if len(call.arguments) > MOST_CHARS:
            raise Unreadable(f"a tool call with more than {MOST_CHARS} characters of arguments")

    def take(self) -> list[ToolCall]:
        """The calls, complete. Raises Unreadable for arguments that are no JSON object."""
        calls, self._open = self._open, []
        return [ToolCall(self._own_id(call.call_id), call.name, _object(call)) for call in calls]

    def _continued(self, part: CallPart) -> _Open | None:
        for call in reversed(self._open):
            if part.call_id and call.call_id and part.call_id != call.call_id:
                continue
            if part.index is not None and part.index != call.index:
                continue
            if part.name and not part.call_id:
                continue  # a new name begins a new call
            return call
        return None

    def _own_id(self, call_id: str) -> str:
        if not call_id or call_id in self._taken:
            call_id = f"call_{uuid.uuid4().hex}"
        self._taken.add(call_id)
        return call_id


def _object(call: _Open) -> str:
    text = call.arguments.strip() or "{}"
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"a call of {call.name} whose arguments are not JSON, or half of it") from error
    if value is None:
        return "{}"
    if not isinstance(value, dict):
        raise Unreadable(f"a call of {call.name} whose arguments are no JSON object")
    return text
