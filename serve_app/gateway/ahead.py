"""A stream that is made some way ahead of its reader, and no further."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _End:
    error: Exception | None = None


async def ahead(items: AsyncGenerator[T, None], at_most: int) -> AsyncGenerator[T, None]:
    """The same items, of which at most so many (1 at least) are made and not read. Raises what `items` raises.

    Read it inside `aclosing`, which stops and closes `items`. They are made in a task of their own, so reading may
    pass from one task to another.
    """
    ready: asyncio.Queue[T | _End] = asyncio.Queue(at_most)
    # A place is taken before an item is made: the queue alone would let one more wait in hand.
    room = asyncio.Semaphore(at_most)
    making = asyncio.create_task(_make(items, ready, room))
    try:
        while not isinstance(item := await ready.get(), _End):
            room.release()
            yield item
        if item.error is not None:
            raise item.error
    finally:
        making.cancel()
        await asyncio.wait((making,))


async def _make(items: AsyncGenerator[T, None], ready: "asyncio.Queue[T | _End]", room: asyncio.Semaphore) -> None:
    end = _End()
    try:
        async with aclosing(items):
            while True:
                await room.acquire()
                item = await anext(items, end)
                if isinstance(item, _End):
                    break
                await ready.put(item)
    except Exception as error:  # goes to the one who reads
        end = _End(error)
    await ready.put(end)
