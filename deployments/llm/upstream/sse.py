"""Server-sent events: from bytes to the data of each event (WHATWG HTML §9.2, the fields that chat servers use)."""

from typing import Final

MOST_BYTES: Final = 4 * 2**20
"""Of one event. A whole tool call in one piece is far below."""


class EventTooLong(Exception):
    """An event goes on and on."""


class EventReader:
    """Bytes in, the data of whole events out. Comments and other fields are dropped."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, received: bytes) -> list[str]:
        """The events that end in `received`. Raises EventTooLong."""
        events = []
        *lines, rest = received.split(b"\n")
        for line in lines:
            whole = bytes(self._line + line).removesuffix(b"\r")
            self._line.clear()
            if whole:
                self._field(whole)
            elif self._data:
                events.append(self._taken())
        self._line += rest
        if len(self._line) + self._size > MOST_BYTES:
            raise EventTooLong(f"an event of more than {MOST_BYTES} bytes")
        return events

    def flush(self) -> list[str]:
        """The last event, where the server did not end it with an empty line."""
        line, self._line = bytes(self._line), bytearray()
        if line:
            self._field(line)
        return [self._taken()] if self._data else []

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
            self._size += len(value)

    def _taken(self) -> str:
        data, self._data, self._size = self._data, [], 0
        return b"\n".join(data).decode(errors="replace")
