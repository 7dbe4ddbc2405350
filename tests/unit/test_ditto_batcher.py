import asyncio
import threading
from collections.abc import Callable, Sequence

import pytest

from deployments.avatar.ditto.batcher import Batcher
from deployments.avatar.ditto.replay import batch_sizes, split
from deployments.runtime.errors import ServerFull, StageUnavailable
from deployments.runtime.worker import Worker

WAIT_MS = 20.0


class Doubling:
    """A step that remembers its batches, and waits where it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.threads: set[int] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Event()

    def __call__(self, items: Sequence[int]) -> Sequence[int | BaseException]:
        self.begun.set()
        assert self.gate.wait(10)
        self.batches.append(list(items))
        self.threads.add(threading.get_ident())
        return [ZeroDivisionError("thirteen") if item == 13 else 2 * item for item in items]


def batcher(
    step: Callable[[Sequence[int]], Sequence[int | BaseException]], max_batch: int = 4, max_waiting: int = 32
) -> tuple[Batcher[int, int], Worker]:
    worker = Worker("batches")
    return Batcher(step, worker, max_batch, WAIT_MS, max_waiting), worker


def test_what_comes_together_is_done_together_in_one_thread() -> None:
    step = Doubling()

    async def main() -> list[int]:
        batches, worker = batcher(step)
        first = await asyncio.gather(*(batches.submit(item) for item in range(3)))
        second = await batches.submit(7)
        await batches.close()
        await worker.close()
        assert batches.batches == {3: 1, 1: 1}
        return [*first, second]

    assert asyncio.run(main()) == [0, 2, 4, 14]
    assert step.batches == [[0, 1, 2], [7]]
    assert len(step.threads) == 1
    assert threading.get_ident() not in step.threads


def test_no_batch_is_larger_than_allowed_and_a_full_one_does_not_wait() -> None:
    step = Doubling()

    async def main() -> None:
        worker = Worker("batches")
        batches: Batcher[int, int] = Batcher(step, worker, 4, 60_000.0, 32)
        assert await asyncio.gather(*(batches.submit(item) for item in range(8))) == [2 * item for item in range(8)]
        await batches.close()
        await worker.close()

    asyncio.run(asyncio.wait_for(main(), 10))
    assert step.batches == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_what_arrives_during_a_step_gathers_for_the_next() -> None:
    step = Doubling()

    async def main() -> None:
        batches, worker = batcher(step)
        step.gate.clear()
        tasks = [asyncio.create_task(batches.submit(0))]
        await asyncio.sleep(3 * WAIT_MS / 1000)
        tasks += [asyncio.create_task(batches.submit(item)) for item in range(1, 4)]
        await asyncio.sleep(0)
        step.gate.set()
        await asyncio.gather(*tasks)
        await batches.close()
        await worker.close()

    asyncio.run(main())
    assert step.batches == [[0], [1, 2, 3]]


def test_what_is_cancelled_while_it_waits_is_not_done() -> None:
    step = Doubling()

    async def main() -> None:
        batches, worker = batcher(step)
        tasks = [asyncio.create_task(batches.submit(item)) for item in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        assert await tasks[0] == 0
        assert await tasks[2] == 4
        assert tasks[1].cancelled()
        await batches.close()
        await worker.close()

    asyncio.run(main())
    assert step.batches == [[0, 2]]


def test_one_items_error_is_its_own() -> None:
    async def main() -> None:
        batches, worker = batcher(Doubling())
        results = await asyncio.gather(*(batches.submit(item) for item in (12, 13, 14)), return_exceptions=True)
        assert results[0] == 24
        assert isinstance(results[1], ZeroDivisionError)
        assert results[2] == 28
        await batches.close()
        await worker.close()

    asyncio.run(main())


def test_a_step_that_fails_fails_its_batch_and_no_other() -> None:
    calls = []

    def step(items: Sequence[int]) -> Sequence[int | BaseException]:
        calls.append(items)
        if len(calls) == 1:
            raise RuntimeError("device lost")
        return list(items)

    async def main() -> None:
        batches, worker = batcher(step)
        with pytest.raises(RuntimeError, match="device lost"):
            await batches.submit(1)
        assert await batches.submit(2) == 2
        await batches.close()
        await worker.close()

    asyncio.run(main())


def test_the_queue_is_bounded() -> None:
    step = Doubling()

    async def main() -> None:
        batches, worker = batcher(step, max_waiting=2)
        tasks = [asyncio.create_task(batches.submit(item)) for item in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(ServerFull):
            await batches.submit(2)
        assert await asyncio.gather(*tasks) == [0, 2]
        await batches.close()
        await worker.close()

    asyncio.run(main())


def test_closing_refuses_what_waits_and_what_comes() -> None:
    step = Doubling()

    async def main() -> None:
        batches, worker = batcher(step, max_batch=1)
        step.gate.clear()
        running = asyncio.create_task(batches.submit(1))
        waiting = asyncio.create_task(batches.submit(2))
        assert await asyncio.to_thread(step.begun.wait, 10)
        closing = asyncio.create_task(batches.close())
        await asyncio.sleep(0)
        step.gate.set()
        await closing
        assert await running == 2
        with pytest.raises(StageUnavailable):
            await waiting
        with pytest.raises(StageUnavailable):
            await batches.submit(3)
        await batches.close()
        await worker.close()

    asyncio.run(main())
    assert step.batches == [[1]]


@pytest.mark.parametrize(("largest", "sizes"), [(1, (1,)), (3, (1, 2)), (8, (1, 2, 4, 8)), (9, (1, 2, 4, 8))])
def test_batch_sizes_are_powers_of_two(largest: int, sizes: tuple[int, ...]) -> None:
    assert batch_sizes(largest) == sizes


@pytest.mark.parametrize("count", [0, 1, 5, 13, 40])
def test_batches_are_split_without_padding(count: int) -> None:
    parts = split(count, batch_sizes(8))
    assert sum(parts) == count
    assert parts == sorted(parts, reverse=True)
    assert set(parts) <= {1, 2, 4, 8}
    assert len(parts) <= count // 8 + 3
