"""Function calls put together from the pieces in which vLLM's parsers give them."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from deployments.llm.contract import ToolCall
from deployments.runtime.errors import EngineFailed


class FunctionPiece(Protocol):
    """Of a call's name and arguments, what is new."""

    @property
    def name(self) -> str | None: ...

    @property
    def arguments(self) -> str | None: ...


class CallPiece(Protocol):
    """What is new of one call."""

    @property
    def index(self) -> int: ...

    @property
    def id(self) -> str | None: ...

    @property
    def function(self) -> Any: ...  # a FunctionPiece or None; vLLM's own class is not known here


@dataclass(slots=True)
class _Open:
    index: int
    call_id: str
    name: str = ""
    arguments: str = ""


class CallAssembler:
    """Pieces in, whole calls out: a call is whole when the next one begins, or the reply ends."""

    def __init__(self) -> None:
        self.made = 0
        """Calls that were whole."""
        self._open: _Open | None = None
        self._taken: set[str] = set()

    def feed(self, piece: CallPiece, said: str = "") -> list[ToolCall]:
        """The call that this piece shows to be over, if any; `said` is all that the model has written so far.

        Raises EngineFailed if that call is not what it should be.
        """
        over = []
        if self._open is None or piece.index != self._open.index:
            over = self.flush(said)
            self._open = _Open(piece.index, self._new_id(piece.id))
        if piece.function is not None:
            self._open.name += piece.function.name or ""
            self._open.arguments += piece.function.arguments or ""
        return over

    def flush(self, said: str = "") -> list[ToolCall]:
        """The last call; `said` is all that the model wrote. Raises EngineFailed."""
        call, self._open = self._open, None
        if call is None:
            return []
        whole = _whole(call, said)
        self.made += 1
        return [whole]

    def drop(self) -> None:
        """Forget a call that the limit on tokens cut off."""
        self._open = None

    def _new_id(self, given: str | None) -> str:
        """The model's own id, or one of ours where it has none or repeats itself."""
        call_id = given if given and given not in self._taken else f"call_{uuid.uuid4().hex[:24]}"
        self._taken.add(call_id)
        return call_id


def _whole(call: _Open, said: str) -> ToolCall:
    arguments = call.arguments.strip() or "{}"
    if not _is_object(arguments):
        # vLLM's streaming parsers look for braces and closing marks inside strings as well, and cut an argument there.
        arguments = _written(said, call)
    if not call.name or not _is_object(arguments):
        raise EngineFailed(f"the model called {call.name or 'nameless'!r} with arguments that are no JSON object")
    return ToolCall(call.call_id, call.name, arguments)


def _written(said: str, call: _Open) -> str:
    """The call's arguments as the model wrote them in JSON; empty where it did not."""
    calls = list(_calls_in(said))
    if call.index >= len(calls) or calls[call.index][0] != call.name:
        return ""
    return json.dumps(calls[call.index][1])


def _calls_in(said: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and arguments of every call, whatever stands around them: a list's brackets, or a parser's marks."""
    decoder, at = json.JSONDecoder(), 0
    while (at := said.find("{", at)) >= 0:
        try:
            written, at = decoder.raw_decode(said, at)
        except (ValueError, RecursionError):
            at += 1
            continue
        name, arguments = written.get("name"), written.get("arguments", written.get("parameters"))
        if isinstance(name, str) and isinstance(arguments, dict):
            yield name, arguments


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
