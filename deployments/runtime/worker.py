"""A thread for an engine that blocks, so that the event loop never waits for it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from deployments.runtime.errors import ServerFull, StageUnavailable

T = TypeVar("T")


class Worker:
    """Runs blocking calls one after the other in its own thread, at most `max_waiting` of them behind the running one.

    What a library must be told from one thread, or at most once at a time, is safe here. With several `threads` so many
    calls run at once, for a library that allows it.
    """

    def __init__(self, name: str, max_waiting: int = 16, *, threads: int = 1) -> None:
        self._name = name
        self._max_calls = max_waiting + threads
        self._calls = 0
        self._closed = False
        self._thread = ThreadPoolExecutor(max_workers=threads, thread_name_prefix=name)

    async def run(self, call: Callable[[], T]) -> T:
        """Await what `call` returns or raises.

        Cancelled while the call waits, it is never run; while it runs, it goes on to its end and its result is dropped.
        Raises ServerFull when too many wait and StageUnavailable once the worker is closed.
        """
        if self._closed:
            raise StageUnavailable(f"{self._name} is closed")
        if self._calls >= self._max_calls:
            raise ServerFull(f"{self._calls} calls already wait for {self._name}; try again later")
        self._calls += 1
        future = asyncio.get_running_loop().run_in_executor(self._thread, self._unless_closed, call)
        future.add_done_callback(self._forget)
        return await future

    def _unless_closed(self, call: Callable[[], T]) -> T:
        if self._closed:
            raise StageUnavailable(f"{self._name} was closed before the call began")
        return call()

    def _forget(self, _: asyncio.Future[T]) -> None:
        self._calls -= 1

    async def close(self) -> None:
        """Refuse what waits and join the threads, which end after the running calls. May be called more than once."""
        self._closed = True
        await asyncio.to_thread(self._thread.shutdown)
