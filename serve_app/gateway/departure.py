"""Work for one request that ends when its client leaves."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine
from contextlib import AsyncExitStack, suppress
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from deployments.runtime.errors import ParleyError

log = logging.getLogger(__name__)

T = TypeVar("T")


async def unless_it_leaves(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """What the work gives. The body must have been read. Raises ClientDisconnect when the client leaves before: then
    the work has been cancelled and is over.
    """
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_left(receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


class Streamed(Response):
    """A body that is sent as it is made, no faster than the client takes it.

    What fails after the first byte breaks the transfer off, so that nobody takes what came for the whole: a server that
    is left without the last piece closes the connection.
    """

    def __init__(self, first: bytes, rest: AsyncGenerator[bytes, None], media_type: str, held: AsyncExitStack) -> None:
        """`held` is left when the response is over, however it ends, and closes `rest`."""
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        self.init_headers({"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"})
        self._first = first
        self._rest = rest
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all of it; returns when the client leaves."""
        async with self._held:
            try:
                with suppress(ClientDisconnect, OSError):  # a server's `send` raises OSError when nobody is there
                    await unless_it_leaves(receive, self._send(send))
            except ParleyError as error:
                log.warning("%s broke off: %s: %s", scope["path"], type(error).__name__, error)

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self._first, "more_body": True})
        async for chunk in self._rest:
            if chunk:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def gone() -> Response:
    """For a client that is not there any more: nginx's word for it."""
    return Response(status_code=499)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
