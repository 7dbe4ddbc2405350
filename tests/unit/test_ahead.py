"""A stream that is made ahead of its reader."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from deployments.runtime.errors import EngineFailed
from serve_app.gateway.ahead import ahead
from tests.virtual_time import run_virtual


class Source:
    """Numbers, one every 10 ms."""

    def __init__(self, count: int, fails: bool = False) -> None:
        self.made = 0
        self.closed = False
        self._count = count
        self._fails = fails

    async def numbers(self) -> AsyncGenerator[int, None]:
        try:
            for number in range(self._count):
                await asyncio.sleep(0.01)
                self.made += 1
                yield number
            if self._fails:
                raise EngineFailed("no more")
        finally:
            await asyncio.sleep(0)
            self.closed = True


@pytest.mark.parametrize("at_most", [1, 2, 5])
def test_it_is_so_far_ahead_and_no_further(at_most: int) -> None:
    async def main() -> None:
        source = Source(50)
        async with aclosing(ahead(source.numbers(), at_most)) as items:
            async for number in items:
                await asyncio.sleep(0.5)
                assert source.made == min(number + 1 + at_most, 50)
        assert source.closed

    run_virtual(main())


def test_all_of_it_comes_in_order() -> None:
    async def main() -> None:
        async with aclosing(ahead(Source(20).numbers(), 3)) as items:
            assert [number async for number in items] == list(range(20))

    run_virtual(main())


def test_its_error_comes_after_its_items() -> None:
    async def main() -> None:
        source = Source(3, fails=True)
        got: list[int] = []

        async def read() -> None:
            async with aclosing(ahead(source.numbers(), 2)) as items:
                async for number in items:
                    got.append(number)  # noqa: PERF401 - what came before the error counts

        with pytest.raises(EngineFailed):
            await read()
        assert got == [0, 1, 2]
        assert source.closed

    run_virtual(main())


def test_closing_it_stops_and_closes_the_source() -> None:
    async def main() -> None:
        source = Source(50)
        async with aclosing(ahead(source.numbers(), 2)) as items:
            assert await anext(items) == 0
        assert source.closed
        made = source.made
        await asyncio.sleep(1)
        assert source.made == made

    run_virtual(main())
