"""Brings together what several sessions want at nearly the same time, and does it as one step in one thread."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from deployments.runtime.errors import ServerFull, StageUnavailable
from deployments.runtime.worker import Worker

T = TypeVar("T")
R = TypeVar("R")


class Batcher(Generic[T, R]):
    """Runs `step` on lists of at most `max_batch` items; it returns a result, or an error to raise, for each of them.

    The first of a batch waits `wait_ms` for others, and no longer once there are `max_batch`. While a step runs, what
    arrives gathers for the next one.
    """

    def __init__(
        self,
        step: Callable[[Sequence[T]], Sequence[R | BaseException]],
        worker: Worker,
        max_batch: int,
        wait_ms: float,
        max_waiting: int,
    ) -> None:
        self._step = step
        self._worker = worker
        self._max_batch = max_batch
        self._wait_s = wait_ms / 1000
        self._max_waiting = max_waiting
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._full = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.batches: dict[int, int] = {}
        """How many steps there were of each size."""

    async def submit(self, item: T) -> R:
        """Await the item's result. Cancelled while it waits, it is never run.

        Raises ServerFull when too many wait and StageUnavailable once closed.
        """
        if self._closed:
            raise StageUnavailable("the engine is closed")
        if len(self._waiting) >= self._max_waiting:
            raise ServerFull(f"{len(self._waiting)} blocks already wait for the device; try again later")
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if len(self._waiting) >= self._max_batch:
            self._full.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="ditto batches")
        return await future

    async def _run(self) -> None:
        while self._waiting:
            if len(self._waiting) < self._max_batch:
                self._full.clear()
                try:
                    async with asyncio.timeout(self._wait_s):
                        await self._full.wait()
                except TimeoutError:
                    pass  # nobody else came
            batch = self._take()
            if batch:
                await self._do(batch)

    def _take(self) -> list[tuple[T, asyncio.Future[R]]]:
        batch: list[tuple[T, asyncio.Future[R]]] = []
        while self._waiting and len(batch) < self._max_batch:
            item, future = self._waiting.popleft()
            if not future.done():
                batch.append((item, future))
        return batch

    async def _do(self, batch: list[tuple[T, asyncio.Future[R]]]) -> None:
        items = [item for item, _ in batch]
        self.batches[len(items)] = self.batches.get(len(items), 0) + 1
        try:
            results = await self._worker.run(lambda: self._step(items))
        except Exception as error:  # whatever it was, those who wait are told
            results = [error] * len(items)
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)

    async def close(self) -> None:
        """Refuse what waits, and let the running step end. May be called more than once."""
        self._closed = True
        while self._waiting:
            _, future = self._waiting.popleft()
            if not future.done():
                future.set_exception(StageUnavailable("the engine was closed"))
        self._full.set()
        if self._task is not None:
            await asyncio.wait([self._task])
