"""What `Caller` does in its replica. Each function is one request; its result goes back to the test."""

import asyncio
import os
import signal
from collections import defaultdict
from collections.abc import Coroutine
from contextlib import aclosing
from typing import Any

from ray.serve.handle import DeploymentHandle

from deployments.runtime.calls import ServePush, ServeStream, call
from deployments.runtime.clock import now_s
from deployments.runtime.errors import ParleyError
from deployments.runtime.metrics import ConversationMetrics
from tests.serve.probe import Answer, Order, cancelled_count

Handles = dict[str, DeploymentHandle[Any]]

_CANCEL_WITHIN_S = 2.0


def _push(handles: Handles, name: str = "probe") -> ServePush[Order, Answer]:
    return ServePush(handles[name], "push")


def _stream(handles: Handles, name: str = "probe") -> ServeStream[Order, Answer]:
    return ServeStream(handles[name], "stream")


async def _error_of(awaitable: Any) -> tuple[str, str, str | None, str, float]:
    """The name, message, parameter and cause of the ParleyError that comes, and after how many seconds."""
    began_s = now_s()
    try:
        await awaitable
    except ParleyError as error:
        return type(error).__name__, error.message, error.param, type(error.__cause__).__name__, now_s() - began_s
    raise AssertionError("no error came")


async def _cancelled_more(handles: Handles, before: int) -> bool:
    """Whether the probe sees a cancellation in time."""
    until_s = now_s() + _CANCEL_WITHIN_S
    while now_s() < until_s:
        if await cancelled_count(handles["probe"]) > before:
            return True
        await asyncio.sleep(0.01)
    return False


async def echo(handles: Handles, payload: bytes) -> Answer:
    """One push."""
    return await _push(handles).push("s1", Order(payload=payload), deadline_s=10)


async def echo_of_size(handles: Handles, size_bytes: int) -> int:
    """A push of so many bytes."""
    return len((await echo(handles, bytes(size_bytes))).payload)


async def items(handles: Handles, count: int) -> list[Answer]:
    """One whole stream."""
    async with aclosing(_stream(handles).stream(Order(items=count, session_id="s2"), deadline_s=10)) as stream:
        return [item async for item in stream]


async def items_on_a_busy_loop(handles: Handles, streams: int, count: int) -> list[int]:
    """How many items each of some streams gives while this loop is held for 20 ms at a time."""

    async def hold() -> None:
        while True:
            held_until_s = now_s() + 0.02
            while now_s() < held_until_s:
                pass
            await asyncio.sleep(0)

    holding = asyncio.create_task(hold())
    try:
        return [len(await items(handles, count)) for _ in range(streams)]
    finally:
        holding.cancel()


async def push_error(handles: Handles, raises: str) -> Any:
    """What a push that fails in the stage raises."""
    return await _error_of(_push(handles).push("s", Order(raises=raises), deadline_s=10))


async def stream_error(handles: Handles, raises: str) -> Any:
    """What a stream that fails after its second item raises."""

    async def read() -> None:
        async with aclosing(_stream(handles).stream(Order(items=2, raises=raises), deadline_s=10)) as stream:
            async for _ in stream:
                pass

    return await _error_of(read())


async def push_too_long(handles: Handles) -> Any:
    """A push over its deadline: the error, and whether the work was stopped."""
    before = await cancelled_count(handles["probe"])
    error = await _error_of(_push(handles).push("s", Order(wait_s=30), deadline_s=0.2))
    return error, await _cancelled_more(handles, before)


async def stream_too_long(handles: Handles) -> Any:
    """A stream whose third item does not come."""
    before = await cancelled_count(handles["probe"])
    seen = 0

    async def read() -> None:
        nonlocal seen
        async with aclosing(_stream(handles).stream(Order(items=2, wait_s=30), deadline_s=0.3)) as stream:
            async for _ in stream:
                seen += 1

    error = await _error_of(read())
    return seen, error, await _cancelled_more(handles, before)


async def caller_cancelled(handles: Handles, kind: str) -> bool:
    """Whether the stage stops when the task that waits for it is cancelled."""
    before = await cancelled_count(handles["probe"])

    async def read() -> None:
        async with aclosing(_stream(handles).stream(Order(items=1, wait_s=30), deadline_s=20)) as stream:
            async for _ in stream:
                pass

    waiting: asyncio.Task[Any] = asyncio.create_task(
        read() if kind == "stream" else _push(handles).push("s", Order(wait_s=30), deadline_s=20)
    )
    await asyncio.sleep(0.2)
    waiting.cancel()
    result = await asyncio.gather(waiting, return_exceptions=True)
    assert isinstance(result[0], asyncio.CancelledError), result
    return await _cancelled_more(handles, before)


async def stream_left(handles: Handles) -> bool:
    """Whether the producer stops when its reader leaves the loop."""
    before = await cancelled_count(handles["probe"])
    async with aclosing(_stream(handles).stream(Order(items=3, wait_s=30), deadline_s=10)) as stream:
        async for _ in stream:
            break
    return await _cancelled_more(handles, before)


async def left_at_any_moment(handles: Handles, calls: int) -> int:
    """How many calls still run in the stage after as many were cancelled, each one millisecond later than the last."""

    async def read() -> None:
        async with aclosing(_stream(handles).stream(Order(items=20, wait_s=30), deadline_s=10)) as stream:
            async for _ in stream:
                pass

    async def cancelled_after(delay_s: float, work: Coroutine[Any, Any, Any]) -> None:
        waiting = asyncio.create_task(work)
        await asyncio.sleep(delay_s)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    push = _push(handles)
    for n in range(calls):
        await asyncio.gather(
            cancelled_after(n / 1000, read()),
            cancelled_after(n / 1000, push.push(f"left{n}", Order(wait_s=30), deadline_s=10)),
        )
    until_s = now_s() + _CANCEL_WITHIN_S
    while (running := (await call(handles["probe"], "state", deadline_s=5))[1]) and now_s() < until_s:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    return int(running)


async def many_at_once(handles: Handles, name: str, raw: bool) -> int:
    """Calls at the same time from this one request; `raw` bypasses `calls.py`."""
    if raw:
        handle = handles[name].options(method_name="push", _by_reference=False)
        calls: list[Any] = [handle.remote(f"s{n}", Order(wait_s=0.05)) for n in range(6)]
        return len(await asyncio.gather(*calls))
    push, stream = _push(handles, name), _stream(handles, name)

    async def read(n: int) -> int:
        async with aclosing(stream.stream(Order(items=3, session_id=f"s{n}"), deadline_s=10)) as replies:
            return len([reply async for reply in replies])

    pushes = [push.push(f"s{n % 3}", Order(wait_s=0.05), deadline_s=10) for n in range(8)]
    return len(await asyncio.gather(*pushes, *(read(n) for n in range(4))))


async def seats(handles: Handles, sessions: int, rounds: int) -> dict[str, list[int]]:
    """Which processes of the crowd each session's pushes and streams reached; all sessions of a round at once."""
    push, stream = _push(handles, "crowd"), _stream(handles, "crowd")
    seen: dict[str, set[int]] = defaultdict(set)

    async def one(session_id: str) -> None:
        seen[session_id].add((await push.push(session_id, Order(), deadline_s=10)).pid)
        async with aclosing(stream.stream(Order(items=1, session_id=session_id), deadline_s=10)) as replies:
            seen[session_id].update([reply.pid async for reply in replies])

    for _ in range(rounds):
        await asyncio.gather(*(one(f"seat{n}") for n in range(sessions)))
    return {session_id: sorted(pids) for session_id, pids in seen.items()}


async def one_too_many(handles: Handles, session_id: str) -> tuple[int, int, int]:
    """Where a session's calls go: the first, one more while that fills its replica, and the next after both."""
    push = _push(handles, "pair")
    home = (await push.push(session_id, Order(), deadline_s=10)).pid
    filling = asyncio.create_task(push.push(session_id, Order(wait_s=1.0), deadline_s=10))
    await asyncio.sleep(0.3)
    elsewhere = (await push.push(session_id, Order(), deadline_s=10)).pid
    assert not filling.done(), "the second call has waited for the first"
    assert (await filling).pid == home
    return home, elsewhere, (await push.push(session_id, Order(), deadline_s=10)).pid


async def without_session(handles: Handles, calls: int) -> set[int]:
    """Processes that calls without a session reach, all at once."""
    push = handles["crowd"].options(method_name="push", _by_reference=False)
    answers = await asyncio.gather(*(push.remote("", Order(wait_s=0.2)) for _ in range(calls)))
    return {answer.pid for answer in answers}


async def killed_in_push(handles: Handles) -> Any:
    """A push whose only replica is killed, and whether the next push reaches another process."""
    pid = (await _push(handles).push("k", Order(), deadline_s=10)).pid
    waiting = asyncio.create_task(_error_of(_push(handles).push("k", Order(wait_s=20), deadline_s=15)))
    await asyncio.sleep(0.3)
    os.kill(pid, signal.SIGKILL)
    error = await waiting
    return error, (await _push(handles).push("k", Order(), deadline_s=30)).pid != pid


async def killed_in_stream(handles: Handles) -> Any:
    """A stream whose only replica is killed, and the next stream."""
    pid = (await _push(handles).push("k", Order(), deadline_s=30)).pid

    async def read() -> None:
        async with aclosing(_stream(handles).stream(Order(items=1, wait_s=30), deadline_s=20)) as stream:
            async for _ in stream:
                os.kill(pid, signal.SIGKILL)

    error = await _error_of(read())
    async with aclosing(_stream(handles).stream(Order(items=1), deadline_s=30)) as stream:
        after = [item.pid async for item in stream]
    return error, after != [pid]


async def kill_one_of_the_crowd(handles: Handles, sessions: int) -> tuple[dict[str, int], dict[str, int], int]:
    """The process of each session before and after one of three is killed, and which that was."""
    push = _push(handles, "crowd")

    async def where() -> dict[str, int]:
        names = [f"kill{n}" for n in range(sessions)]
        answers = await asyncio.gather(*(push.push(name, Order(), deadline_s=30) for name in names))
        return dict(zip(names, (answer.pid for answer in answers), strict=True))

    before = await where()
    killed = before["kill0"]
    os.kill(killed, signal.SIGKILL)
    return before, await where(), killed


async def count_metrics(handles: Handles) -> None:
    """Record one of everything."""
    metrics = ConversationMetrics()
    metrics.sessions(1)
    metrics.refused()
    metrics.first_output(12.5, None)
    metrics.first_output(12.5, 512.5)
    metrics.response_ended("completed", 1500, 0.0)
    metrics.response_ended("cancelled", 0, 12.0)
    metrics.interrupted()
