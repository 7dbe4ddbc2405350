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
    process = _begun(config_path)
    with process:
        try:
            yield process
        finally:
            _kill(process)


class Launched:
    """The command on one configuration: started when first asked for, and again after it ended."""

    def __init__(self, config_path: Path) -> None:
        self._config_path = config_path
        self._process: subprocess.Popen[str] | None = None
        self.lines: list[str] = []
        """What it said up to the one that it is ready."""

    def start(self) -> None:
        """Wait until it is ready. Raises AssertionError, with what it said, if it ends before."""
        if self._process is None or self._process.poll() is not None:
            self.kill()
            self._process = _begun(self._config_path)
            self.lines = read_until(self._process, "Parley ")

    @property
    def url(self) -> str:
        """Where it said that it is."""
        return self.lines[-1].removeprefix("Parley is ready: ")

    @property
    def pid(self) -> int:
        """Of the command; it leads the terminal's foreground group."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """End it and whatever it started."""
        if self._process is not None:
            with self._process:
                _kill(self._process)
            self._process = None


def _begun(config_path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", LAUNCH, str(config_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _kill(process: subprocess.Popen[str]) -> None:
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
