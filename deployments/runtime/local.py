"""The ports of `ports.py` in process: for tests and for a server that needs no Ray.

Deadlines and errors are those of the Ray implementation, so a session cannot tell the two apart.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Generic, TypeVar

from deployments.runtime.errors import StageTimeout

RequestT = TypeVar("RequestT")
ReplyT = TypeVar("ReplyT")


class LocalPush(Generic[RequestT, ReplyT]):
    """A PushPort over one coroutine function, `push(session_id, request)`."""

    def __init__(self, push: Callable[[str, RequestT], Awaitable[ReplyT]]) -> None:
        self._push = push

    async def push(self, session_id: str, request: RequestT, *, deadline_s: float) -> ReplyT:
        """Await one reply; the call is cancelled when `deadline_s` passes. Raises StageTimeout and what it raises."""
        deadline = asyncio.timeout(deadline_s)
        try:
            async with deadline:
                return await self._push(session_id, request)
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise StageTimeout(f"no answer within {deadline_s:g} s") from error


class LocalStream(Generic[RequestT, ReplyT]):
    """A StreamPort over one async generator function, `stream(request)`."""

    def __init__(self, stream: Callable[[RequestT], AsyncGenerator[ReplyT, None]]) -> None:
        self._stream = stream

    async def stream(self, request: RequestT, *, deadline_s: float) -> AsyncGenerator[ReplyT, None]:
        """Yield the items; `deadline_s` bounds the wait for each. Raises StageTimeout and what the producer raises.

        Closing this generator closes the producer before it returns.
        """
        async with aclosing(self._stream(request)) as items:
            while True:
                deadline = asyncio.timeout(deadline_s)
                try:
                    async with deadline:
                        item = await anext(items)
                except StopAsyncIteration:
                    return
                except TimeoutError as error:
                    if not deadline.expired():
                        raise
                    raise StageTimeout(f"no item within {deadline_s:g} s") from error
                yield item
