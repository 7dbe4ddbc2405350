"""The launcher in processes of its own, and what it says at the terminal."""

import contextlib
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from tests.serve.processes import ROOT

READY_WITHIN_S = 90
"""A loaded machine; by itself it takes about 12."""

# A process started in the background by a shell without job control ignores SIGINT, and so would its children.
LAUNCH = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv = ["launch", sys.argv[1]]
runpy.run_module("serve_app.launch", run_name="__main__")
"""


@contextlib.contextmanager
def launched(config_path: Path) -> Iterator[subprocess.Popen[str]]:
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
        try:
            yield process
        finally:
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
    """What `/readyz` says, whether all is ready or not."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=10) as response:
            body: dict[str, Any] = json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            body = json.load(error)
    return body
