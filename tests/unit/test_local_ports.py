import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from deployments.runtime.errors import EngineFailed, StageTimeout
from deployments.runtime.local import LocalPush, LocalStream
from tests.virtual_time import run_virtual


class Counter:
    """Counts up to the request with a wait before each number; remembers that it was closed."""

    def __init__(self, wait_s: float = 0.0) -> None:
        self.wait_s = wait_s
        self.closed = False

    async def stream(self, request: int) -> AsyncGenerator[int, None]:
        try:
            for number in range(request):
                await asyncio.sleep(self.wait_s)
                yield number
        finally:
            self.closed = True


def test_push_gives_session_and_request_to_the_callable() -> None:
    async def push(session_id: str, request: int) -> str:
        return f"{session_id}:{request}"

    assert run_virtual(LocalPush(push).push("s", 7, deadline_s=1)) == "s:7"


def test_push_past_its_deadline_is_cancelled_and_raises_stage_timeout() -> None:
    cancelled = []

    async def push(session_id: str, request: int) -> None:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            cancelled.append(request)
            raise

    with pytest.raises(StageTimeout, match=r"no answer within 0\.5 s"):
        run_virtual(LocalPush(push).push("s", 7, deadline_s=0.5))
    assert cancelled == [7]


def test_push_lets_the_callables_own_errors_through() -> None:
    async def failing(session_id: str, request: int) -> None:
        raise EngineFailed("broken")

    async def timing_out(session_id: str, request: int) -> None:
        raise TimeoutError("its own")

    with pytest.raises(EngineFailed):
        run_virtual(LocalPush(failing).push("s", 1, deadline_s=1))
    with pytest.raises(TimeoutError, match="its own"):
        run_virtual(LocalPush(timing_out).push("s", 1, deadline_s=1))


def test_stream_bounds_each_wait_and_not_the_whole() -> None:
    async def main() -> list[int]:
        async with aclosing(LocalStream(Counter(wait_s=0.9).stream).stream(5, deadline_s=1)) as items:
            return [item async for item in items]

    assert run_virtual(main()) == [0, 1, 2, 3, 4]


def test_stream_past_its_deadline_closes_the_producer() -> None:
    counter = Counter(wait_s=2)

    async def main() -> None:
        async with aclosing(LocalStream(counter.stream).stream(5, deadline_s=1)) as items:
            await anext(items)

    with pytest.raises(StageTimeout, match="no item within 1 s"):
        run_virtual(main())
    assert counter.closed


def test_closing_a_stream_closes_the_producer() -> None:
    counter = Counter()

    async def main() -> bool:
        async with aclosing(LocalStream(counter.stream).stream(5, deadline_s=1)) as items:
            assert await anext(items) == 0
        return counter.closed

    assert run_virtual(main())


def test_cancelling_the_reader_closes_the_producer() -> None:
    counter = Counter(wait_s=5)

    async def read() -> None:
        async with aclosing(LocalStream(counter.stream).stream(5, deadline_s=60)) as items:
            async for _ in items:
                pass

    async def main() -> bool:
        task = asyncio.create_task(read())
        await asyncio.sleep(7)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return counter.closed

    assert run_virtual(main())
