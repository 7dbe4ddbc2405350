"""`make run`: the shipped configuration says where it is, and Ctrl-C ends it. The last of the tests that use it."""

import asyncio
import os
import signal
import time

import psutil
import pytest
import websockets

from tests.serve.launching import READY_WITHIN_S, Launched, family, readyz

GONE_WITHIN_S = 10


@pytest.mark.ray
@pytest.mark.timeout(READY_WITHIN_S + 60)
def test_it_says_where_it_is_and_ctrl_c_closes_all(parley: Launched) -> None:
    assert sum("Parley" in line for line in parley.lines) == 1, parley.lines
    assert parley.url.startswith("http://127.0.0.1:")
    assert readyz(parley.url)["ready"] is True
    processes = family(parley.pid)
    assert len(processes) > 8

    async def interrupt() -> tuple[int | None, str | None]:
        async with websockets.connect(f"ws{parley.url.removeprefix('http')}/v1/realtime?model=parley") as client:
            # What a terminal does: to all of its foreground group.
            os.killpg(parley.pid, signal.SIGINT)
            async for _ in client:
                pass
            return client.close_code, client.close_reason

    began_s = time.monotonic()
    code, reason = asyncio.run(interrupt())
    assert code == 1001, "the WebSocket was not closed with a reason"
    assert reason is not None
    assert "shutting down" in reason
    _, alive = psutil.wait_procs(processes, timeout=GONE_WITHIN_S)
    assert alive == []
    assert time.monotonic() - began_s < GONE_WITHIN_S
