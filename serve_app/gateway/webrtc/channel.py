"""The data channel of a call, `oai-events`: text messages both ways."""

import asyncio
from typing import Any, Protocol

from serve_app.session.closing import Closing

FLOODED = Closing(1008, "the client sends faster than it can be answered")
_EARLY_MESSAGES = 256
"""Kept for a channel that is not open yet. A client that opens none may still talk."""
_INBOX_MESSAGES = 256
_MOST_BUFFERED_BYTES = 2**22
"""Not taken by the client yet: minutes of events."""


class DataChannel(Protocol):
    """aiortc's `RTCDataChannel`, as far as it is used."""

    @property
    def readyState(self) -> str:
        """`open` while messages can be sent."""
        ...

    @property
    def bufferedAmount(self) -> int:
        """Bytes that the client has not taken yet."""
        ...

    def on(self, event: str, f: Any) -> Any:
        """Call `f` at each event."""
        ...

    def send(self, data: str) -> None:
        """Send without waiting."""
        ...


class EventChannel:
    """The first channel that the client opens; others are not looked at."""

    def __init__(self) -> None:
        self._channel: DataChannel | None = None
        self._early: list[str] | None = []
        self._inbox: asyncio.Queue[str | bytes] = asyncio.Queue(_INBOX_MESSAGES)
        self.closed = asyncio.Event()
        """By the client, after it was open."""
        self.flooded = asyncio.Event()
        """By the client."""

    def open(self, channel: DataChannel) -> None:
        """The client has opened a channel."""
        if self._channel is not None:
            return
        self._channel = channel
        channel.on("message", self._received)
        channel.on("close", self.closed.set)
        for message in self._early or ():
            channel.send(message)
        self._early = None

    def send(self, message: str) -> bool:
        """Send, or keep for later; False when the client does not read."""
        if self._channel is not None:
            if self._channel.readyState == "open":
                self._channel.send(message)
            return self._channel.bufferedAmount <= _MOST_BUFFERED_BYTES
        if self._early is not None:
            self._early.append(message)
            if len(self._early) > _EARLY_MESSAGES:
                self._early = None  # it began without its first events: it will not begin any more
        return True

    async def receive(self) -> str | bytes:
        """The client's next message."""
        return await self._inbox.get()

    async def flushed(self) -> None:
        """Return when the client has taken everything."""
        # aiortc's event for this fires only when the amount falls below a threshold, not when it is there already.
        channel = self._channel
        while channel is not None and channel.readyState == "open" and channel.bufferedAmount:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    def _received(self, message: str | bytes) -> None:
        try:
            self._inbox.put_nowait(message)
        except asyncio.QueueFull:
            self.flooded.set()
