"""What carries a conversation: messages of the Realtime protocol, there and back."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import orjson
import websockets
from websockets.asyncio.client import ClientConnection

Message = dict[str, Any]
Said = Sequence[tuple[str, float]]
"""Words and the second of the loop's clock at which each ends."""


class Line(Protocol):
    """A connection to a server."""

    async def send(self, message: Message) -> None:
        """To the server."""
        ...

    def messages(self) -> AsyncIterator[Message]:
        """From it, to the end."""
        ...

    def foretell(self, words: Said) -> None:
        """What the user is about to say, for a recogniser that reads a script; a real one listens."""
        ...


class WebSocketLine:
    """To a server that runs."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def send(self, message: Message) -> None:
        await self._socket.send(orjson.dumps(message).decode())

    async def messages(self) -> AsyncGenerator[Message, None]:
        async for text in self._socket:
            yield orjson.loads(text)

    def foretell(self, words: Said) -> None:
        pass


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[WebSocketLine, None]:
    """A conversation of one's own with the server at `url`."""
    address = url.replace("http", "ws", 1) + "/v1/realtime?model=parley&parley_events=1"
    async with websockets.connect(address, max_size=2**24, compression=None) as socket:
        yield WebSocketLine(socket)
