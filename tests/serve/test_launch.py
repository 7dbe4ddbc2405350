"""`make run` from start to Ctrl-C: the shipped configuration with scripted engines, in processes of its own."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import websockets
import yaml

from tests.serve.processes import ROOT, free_port

READY_WITHIN_S = 90
"""A loaded machine; by itself it takes about 12."""
GONE_WITHIN_S = 10

# A process started in the background by a shell without job control ignores SIGINT, and so would its children.
LAUNCH = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv = ["launch", sys.argv[1]]
runpy.run_module("serve_app.launch", run_name="__main__")
"""


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
    """The running command; whatever it started is killed in the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCH, str(config_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with process:
        yield process
        for left in family(process.pid):
            with contextlib.suppress(psutil.NoSuchProcess):
                left.kill()


def family(pid: int) -> list[psutil.Process]:
    """A process and all that descend from it."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def read_until(process: subprocess.Popen[str], wanted: str) -> list[str]:
    """The lines of the terminal up to the one that begins so."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if line.startswith(wanted):
            return lines
    raise AssertionError("\n".join(["the server ended:", *lines]))


def readyz(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/readyz", timeout=10) as response:
        body: dict[str, Any] = json.load(response)
    return body


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
