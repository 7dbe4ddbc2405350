"""How a replica counts what it does, and measures how soon it stops."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from deployments.runtime.errors import StageUnavailable
from deployments.runtime.work import Work
from tests.virtual_time import run_virtual


class Figures:
    """What was exported."""

    def __init__(self) -> None:
        self.counts: list[int] = []
        self.stops_ms: list[float] = []

    def active(self, requests: int) -> None:
        self.counts.append(requests)

    def stopped(self, took_ms: float) -> None:
        self.stops_ms.append(took_ms)


async def counting(to: int, *, gives_way_s: float = 0.0, fails: bool = False) -> AsyncGenerator[int, None]:
    """An engine that says a number a second, and takes a while to stop."""
    try:
        for n in range(to):
            await asyncio.sleep(1)
            yield n
        if fails:
            raise LookupError("the engine's own")
    finally:
        await asyncio.sleep(gives_way_s)


def test_a_request_that_is_read_to_its_end_was_not_cancelled() -> None:
    figures = Figures()
    work = Work(figures)

    async def main() -> list[int]:
        async with aclosing(work.stream(counting(3))) as items:
            return [item async for item in items]

    assert run_virtual(main()) == [0, 1, 2]
    assert figures.counts == [0, 1, 0]
    assert figures.stops_ms == []
    assert (work.report().active, work.report().cancelled) == (0, 0)
    assert work.report().rested_s is not None


def test_what_the_engine_raises_comes_through() -> None:
    work = Work(Figures())

    async def main() -> None:
        async with aclosing(work.stream(counting(1, fails=True))) as items:
            assert [item async for item in items] == [0]

    with pytest.raises(LookupError, match="the engine's own"):
        run_virtual(main())
    assert (work.report().active, work.report().cancelled) == (0, 0)


def test_an_engine_that_cancels_itself_leaves_nobody_waiting() -> None:
    async def gives_up() -> AsyncGenerator[int, None]:
        raise asyncio.CancelledError
        yield 0

    async def main() -> None:
        async with aclosing(Work(Figures()).stream(gives_up())) as items:
            await anext(items)

    with pytest.raises(StageUnavailable, match="gave the request up"):
        run_virtual(main())


@pytest.mark.parametrize("after_s", [0.5, 2.5])
@pytest.mark.parametrize("closed", [False, True], ids=["cancelled", "closed"])
def test_the_time_from_the_cancellation_to_the_engine_s_end_is_measured(after_s: float, closed: bool) -> None:
    figures = Figures()
    work = Work(figures)

    async def read() -> None:
        async with aclosing(work.stream(counting(9, gives_way_s=0.03))) as items:
            async for _ in items:
                if closed:
                    return

    async def main() -> None:
        reading = asyncio.create_task(read())
        await asyncio.sleep(after_s)
        assert work.report().active == (0 if closed and after_s > 2 else 1)
        reading.cancel()
        await asyncio.wait((reading,))

    run_virtual(main())
    assert figures.counts == [0, 1, 0]
    assert figures.stops_ms == [pytest.approx(30, abs=1)]
    report = work.report()
    assert (report.active, report.cancelled) == (0, 1)
    assert report.slowest_stop_ms == pytest.approx(30, abs=1)


def test_requests_at_the_same_time_are_counted_together() -> None:
    figures = Figures()
    work = Work(figures)
    with work.request():
        with work.request():
            assert work.report().active == 2
        assert work.report().rested_s is None
    assert figures.counts == [0, 1, 2, 1, 0]
