"""What a session has said and its client has not read yet: bounded, in order."""

import asyncio
from collections.abc import AsyncGenerator

from serve_app.session.events import ServerEvent


class Outbox:
    """Written without waiting by the session, read by its transport."""

    def __init__(self, max_events: int) -> None:
        self._queue: asyncio.Queue[ServerEvent | None] = asyncio.Queue(max_events + 1)
        self._max_events = max_events
        self._closed = False

    def put(self, event: ServerEvent) -> bool:
        """Say it; False when the client is too far behind, and it was not taken. After `close`, nothing is said."""
        if self._closed:
            return True
        if self._queue.qsize() >= self._max_events:
            return False
        self._queue.put_nowait(event)
        return True

    def close(self) -> None:
        """Nothing more will be said; what was said is still read."""
        if not self._closed:
            self._closed = True
            self._queue.put_nowait(None)  # one place more than `max_events` is kept for it

    async def read(self) -> AsyncGenerator[ServerEvent, None]:
        """Everything that is said, until it is closed. For one reader."""
        while (event := await self._queue.get()) is not None:
            yield event
