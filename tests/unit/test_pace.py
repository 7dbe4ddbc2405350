"""How fast a stream is made for a reader who takes everything at once."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from deployments.runtime.clock import now_s
from serve_app.gateway.pace import paced
from tests.virtual_time import run_virtual

ITEM_S = 0.2


class Film:
    """Some items, each after a wait."""

    def __init__(self, count: int, waits_s: dict[int, float] | None = None) -> None:
        self._count = count
        self._waits_s = waits_s or {}
        self.made_s: list[float] = []
        self.closed = False

    async def items(self) -> AsyncGenerator[int, None]:
        try:
            for n in range(self._count):
                await asyncio.sleep(self._waits_s.get(n, 0))
                self.made_s.append(now_s())
                yield n
        finally:
            self.closed = True


def made_s(film: Film, *, burst_s: float, speed: float) -> list[float]:
    """When each item was made."""

    async def read() -> None:
        async with aclosing(paced(film.items(), ITEM_S, burst_s=burst_s, speed=speed)) as items:
            assert [n async for n in items] == list(range(len(film.made_s)))

    run_virtual(read())
    assert film.closed
    return film.made_s


def test_after_a_burst_it_keeps_its_speed() -> None:
    times = made_s(Film(100), burst_s=2, speed=2)
    assert times[:10] == [0.0] * 10
    assert times == pytest.approx([max(0.0, (n * ITEM_S - 2) / 2) for n in range(100)])


def test_what_was_slow_is_not_made_up_for_beyond_the_burst() -> None:
    times = made_s(Film(60, {20: 50.0}), burst_s=2, speed=2)
    late_s = times[20]
    assert times[20:30] == pytest.approx([late_s] * 10)
    assert times[59] - late_s == pytest.approx((39 * ITEM_S - 2) / 2)


def test_items_slower_than_the_bound_are_never_held_up() -> None:
    waits = dict.fromkeys(range(50), 0.15)
    assert made_s(Film(50, waits), burst_s=1, speed=2) == pytest.approx([0.15 * (n + 1) for n in range(50)])


def test_who_leaves_while_it_waits_closes_it() -> None:
    film = Film(100)

    async def read() -> None:
        items = paced(film.items(), ITEM_S, burst_s=1, speed=1)
        reading = asyncio.create_task(_all(items))
        await asyncio.sleep(3.1)
        reading.cancel()
        await asyncio.wait([reading])
        await items.aclose()

    run_virtual(read())
    assert film.closed
    assert len(film.made_s) == 21, "4.1 s, begun items included"


async def _all(items: AsyncGenerator[int, None]) -> None:
    async with aclosing(items):
        async for _ in items:
            pass
