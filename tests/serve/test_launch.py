"""`make run` from start to Ctrl-C: the shipped configuration with scripted engines, in processes of its own."""

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import websockets
import yaml

from tests.serve.launching import READY_WITHIN_S, family, launched, read_until, readyz
from tests.serve.processes import free_port

GONE_WITHIN_S = 10


@pytest.fixture
def config_path(serve_config: dict[str, Any], tmp_path: Path) -> Path:
    """The shipped configuration with scripted engines, on a free port."""
    config = json.loads(json.dumps(serve_config))
    config["http_options"]["port"] = free_port()
    args = config["applications"][0]["args"]
    for stage in ("asr", "llm", "tts", "avatar"):
        args[stage] = {"engine": "fake"}
    args["store"] = {"path": str(tmp_path / "parley.db")}
    path = tmp_path / "serve_config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture
def server(config_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The running command."""
    with launched(config_path) as process:
        yield process


@pytest.mark.ray
@pytest.mark.timeout(READY_WITHIN_S + 60)
def test_it_says_where_it_is_and_ctrl_c_closes_all(server: subprocess.Popen[str]) -> None:
    lines = read_until(server, "Parley ")
    assert sum("Parley" in line for line in lines) == 1, lines
    url = lines[-1].removeprefix("Parley is ready: ")
    assert url.startswith("http://127.0.0.1:")
    assert readyz(url)["ready"] is True
    processes = family(server.pid)
    assert len(processes) > 8

    async def interrupt() -> tuple[int | None, str | None]:
        async with websockets.connect(f"ws{url.removeprefix('http')}/v1/realtime?model=parley") as client:
            # What a terminal does: to all of its foreground group.
            os.killpg(server.pid, signal.SIGINT)
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
