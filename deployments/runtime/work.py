"""What a stage's replica is doing now, and how soon it rests when nobody wants the answer any more.

A request runs in a task of its own. So the moment of its cancellation is seen when it comes, not when the engine has
given way, and what lies between is measured.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from deployments.runtime.clock import now_s, wall_s
from deployments.runtime.errors import StageUnavailable

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkReport:
    """A replica's work, as it stands. Unlike the exported figures it is never old."""

    active: int = 0
    """Requests in progress."""
    cancelled: int = 0
    """Requests so far that were given up by the one who asked."""
    slowest_stop_ms: float = 0.0
    """The longest that the engine went on with such a request."""
    rested_s: float | None = None
    """When the last request in progress ended, by the wall clock."""


class WorkMetrics(Protocol):
    """Where the figures go. Called in the hot path: returns at once and never raises."""

    def active(self, requests: int) -> None:
        """So many requests are in progress."""
        ...

    def stopped(self, took_ms: float) -> None:
        """A cancelled request has ended."""
        ...


class Work:
    """Counts the requests of one replica."""

    def __init__(self, metrics: WorkMetrics) -> None:
        self._metrics = metrics
        self._active = 0
        self._cancelled = 0
        self._slowest_stop_ms = 0.0
        self._rested_s: float | None = None
        metrics.active(0)

    def report(self) -> WorkReport:
        """As it stands."""
        return WorkReport(
            active=self._active,
            cancelled=self._cancelled,
            slowest_stop_ms=self._slowest_stop_ms,
            rested_s=self._rested_s,
        )

    @contextmanager
    def request(self) -> Iterator[None]:
        """One is in progress."""
        self._active += 1
        self._metrics.active(self._active)
        try:
            yield
        finally:
            self._active -= 1
            if not self._active:
                self._rested_s = wall_s()
            self._metrics.active(self._active)

    async def stream(self, items: AsyncGenerator[ItemT, None]) -> AsyncGenerator[ItemT, None]:
        """One request's items as they come, at most one ahead. Read it inside `aclosing`, which closes `items`."""
        handed: asyncio.Queue[ItemT | _End] = asyncio.Queue(1)
        with self.request():
            pump = asyncio.create_task(_pump(items, handed))
            try:
                while not isinstance(item := await handed.get(), _End):
                    yield item
                if item.error is not None:
                    raise item.error
            finally:
                if not pump.done():
                    await self._stop(pump)

    async def _stop(self, pump: "asyncio.Task[None]") -> None:
        began_s = now_s()
        pump.cancel()
        await asyncio.wait((pump,))
        took_ms = 1000 * (now_s() - began_s)
        self._cancelled += 1
        self._slowest_stop_ms = max(self._slowest_stop_ms, took_ms)
        self._metrics.stopped(took_ms)


@dataclass(frozen=True, slots=True)
class _End:
    """After the last item."""

    error: Exception | None = None


async def _pump(items: AsyncGenerator[ItemT, None], handed: "asyncio.Queue[ItemT | _End]") -> None:
    end = _End()
    try:
        async with aclosing(items):
            async for item in items:
                await handed.put(item)
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        given_up = StageUnavailable("the engine gave the request up")
        given_up.__cause__ = error
        end = _End(given_up)
    except Exception as error:  # goes to the one who reads
        end = _End(error)
    await handed.put(end)
