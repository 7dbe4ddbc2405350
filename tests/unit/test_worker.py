import asyncio
import threading
from functools import partial

import pytest

from deployments.runtime.errors import ServerFull, StageUnavailable
from deployments.runtime.worker import Worker


def test_calls_run_in_order_in_one_thread_that_is_not_the_loops() -> None:
    async def main() -> tuple[list[int], set[int]]:
        worker = Worker("test")
        order: list[int] = []
        threads: set[int] = set()

        def call(number: int) -> None:
            order.append(number)
            threads.add(threading.get_ident())

        async with asyncio.TaskGroup() as group:
            for number in range(5):
                group.create_task(worker.run(partial(call, number)))
        await worker.close()
        return order, threads

    order, threads = asyncio.run(main())
    assert order == [0, 1, 2, 3, 4]
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_result_and_exception_reach_the_caller() -> None:
    async def main() -> int:
        worker = Worker("test")
        try:
            with pytest.raises(ZeroDivisionError):
                await worker.run(lambda: 1 // 0)
            return await worker.run(lambda: 42)
        finally:
            await worker.close()

    assert asyncio.run(main()) == 42


def test_one_call_too_many_is_refused_and_the_others_go_on() -> None:
    async def main() -> list[str]:
        worker = Worker("test", max_waiting=1)
        go = threading.Event()
        running = asyncio.create_task(worker.run(lambda: go.wait() and "running"))
        waiting = asyncio.create_task(worker.run(lambda: "waiting"))
        await asyncio.sleep(0)
        with pytest.raises(ServerFull, match="2 calls already wait for test"):
            await worker.run(lambda: None)
        go.set()
        results = [str(await running), await waiting, await worker.run(lambda: "later")]
        await worker.close()
        return results

    assert asyncio.run(main()) == ["running", "waiting", "later"]


def test_cancelled_while_waiting_is_never_run_and_while_running_ends_alone() -> None:
    async def main() -> list[str]:
        worker = Worker("test")
        begun, go, done = threading.Event(), threading.Event(), []

        def blocking() -> None:
            begun.set()
            go.wait()
            done.append("blocking")

        running = asyncio.create_task(worker.run(blocking))
        waiting = asyncio.create_task(worker.run(lambda: done.append("waiting")))
        await asyncio.to_thread(begun.wait)
        for task in (running, waiting):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert done == []
        go.set()
        await worker.run(lambda: done.append("next"))
        await worker.close()
        return done

    assert asyncio.run(main()) == ["blocking", "next"]


def test_close_joins_the_thread_refuses_what_waits_and_may_be_repeated() -> None:
    async def main() -> list[str]:
        worker = Worker("close-joins")
        begun, go = threading.Event(), threading.Event()

        def blocking() -> bool:
            begun.set()
            return go.wait()

        running = asyncio.create_task(worker.run(blocking))
        waiting = asyncio.create_task(worker.run(lambda: None))
        await asyncio.to_thread(begun.wait)
        closing = asyncio.create_task(worker.close())
        await asyncio.sleep(0)
        go.set()
        await closing
        assert await running
        with pytest.raises(StageUnavailable):
            await waiting
        with pytest.raises(StageUnavailable, match="close-joins is closed"):
            await worker.run(lambda: None)
        await worker.close()
        return [thread.name for thread in threading.enumerate()]

    assert not [name for name in asyncio.run(main()) if name.startswith("close-joins")]
