"""A stream that is made no faster than someone could watch it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

from deployments.runtime.clock import now_s

T = TypeVar("T")


async def paced(
    items: AsyncGenerator[T, None], item_s: float, *, burst_s: float, speed: float
) -> AsyncGenerator[T, None]:
    """The same items, each `item_s` of media, at most `burst_s` ahead of a watcher at `speed` times real time.

    For a way on which a slow reader is not felt, as through Serve's own proxy. Who watches is taken to have seen what
    there was: where the items were slow to come, that is no reason to hurry afterwards. Read it inside `aclosing`.
    """
    ahead_s, at_s = 0.0, now_s()
    async with aclosing(items):
        async for item in items:
            yield item
            ahead_s = max(0.0, ahead_s - speed * (now_s() - at_s)) + item_s
            at_s = now_s()
            if ahead_s > burst_s:
                await asyncio.sleep((ahead_s - burst_s) / speed)
