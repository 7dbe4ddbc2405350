"""Parley as a process of its own: started as its users start it, watched from outside, stopped by Ctrl-C's signal."""

import asyncio
import ctypes
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

ROOT = Path(__file__).parents[1]
_START_DEADLINE_S = 120.0
_STOP_DEADLINE_S = 20.0
_POLL_S = 0.1
_QUIET_CORES = 0.15
_QUIET_DEADLINE_S = 20.0
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Usage:
    """What some processes have used and hold."""

    cpu_s: float = 0.0
    """Since they began, user and system."""
    memory_mb: float = 0.0
    """Resident."""

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.cpu_s + other.cpu_s, self.memory_mb + other.memory_mb)


@dataclass(frozen=True, slots=True)
class Server:
    """One that runs and is ready."""

    url: str
    pid: int

    def usage(self) -> dict[str, Usage]:
        """By part: `gateway`, `stages` (Asr, Llm, Tts), `proxy` (Serve's own or HAProxy), `rest` (of Ray), and
        `machine`: everything on it.
        """
        usage = {part: Usage() for part in ("gateway", "stages", "proxy", "rest")}
        usage["machine"] = _machine()
        for process in _family(self.pid):
            try:
                with process.oneshot():
                    times, memory, part = process.cpu_times(), process.memory_info(), _part(process)
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
            usage[part] += Usage(times.user + times.system, memory.rss / 1e6)
        return usage

    async def quiet(self) -> float:
        """Return when nothing is left of earlier work, or after 20 s: the Gateway's idle use, in cores."""
        deadline_s = asyncio.get_running_loop().time() + _QUIET_DEADLINE_S
        while True:
            before = self.usage()
            await asyncio.sleep(2)
            after = self.usage()
            busy_cores = sum(after[part].cpu_s - before[part].cpu_s for part in ("gateway", "stages", "proxy")) / 2
            if busy_cores < _QUIET_CORES or asyncio.get_running_loop().time() > deadline_s:
                return (after["gateway"].cpu_s - before["gateway"].cpu_s) / 2


@asynccontextmanager
async def serving(
    config: Path, *, replies: tuple[str, ...] | None = None, face: str | None = None, haproxy: bool = False
) -> AsyncGenerator[Server, None]:
    """Run a Serve config on a free port of loopback, with a Ray and data of its own; leaves nothing behind.

    `replies` replaces what the `fake` language model says, `face` the engine of the avatar. HAProxy needs two more
    ports, for its figures; it opens them on every interface. Raises RuntimeError with the end of the log where the
    server does not become ready.
    """
    # Short, whatever TMPDIR says: Ray and HAProxy add up to 80 characters, and a socket's path may have about 100.
    home = Path(tempfile.mkdtemp(prefix="parley-bench-", dir="/tmp"))
    try:
        port = _free_port()
        effective = home / "serve_config.yaml"
        effective.write_text(yaml.safe_dump(_effective(config, port, replies, face)))
        with (home / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *_command(effective),
                cwd=ROOT,
                env=_environment(home, haproxy),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
            try:
                url = f"http://127.0.0.1:{port}"
                await _ready(process, url, home / "log")
                yield Server(url, process.pid)
            finally:
                await _stop(process)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def die_with_parent() -> None:
    """Runs in a child before it becomes another program: even a killed benchmark leaves no server."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
    # A shell starts background jobs with SIGINT ignored, and that is inherited.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _command(config: Path) -> list[str]:
    return [sys.executable, "-m", "serve_app.launch", str(config)]


def _effective(config: Path, port: int, replies: tuple[str, ...] | None, face: str | None) -> dict[str, Any]:
    effective: dict[str, Any] = yaml.safe_load(config.read_text())
    effective["http_options"] = {"host": "127.0.0.1", "port": port}
    if replies is not None:
        effective["applications"][0]["args"]["llm"]["options"]["replies"] = list(replies)
    if face is not None:
        effective["applications"][0]["args"]["avatar"] = {"engine": face}
    return effective


def _environment(home: Path, haproxy: bool) -> dict[str, str]:
    """Of the launcher, without a RAY_ADDRESS: it starts a Ray of its own, in a directory of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "PARLEY_"))}
    environment |= {
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_TMPDIR": str(home / "ray"),
        "XDG_DATA_HOME": str(home / "data"),
    }
    if haproxy:
        environment |= _switches(ROOT / "cluster" / "haproxy.env") | {
            "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(home / "haproxy.cfg"),
            "RAY_SERVE_HAPROXY_SOCKET_PATH": str(home / "admin.sock"),
            "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(home),
            "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(home / "server-state"),
            "RAY_SERVE_HAPROXY_METRICS_PORT": str(_free_port()),
            "RAY_SERVE_HAPROXY_STATS_PORT": str(_free_port()),
        }
    return environment


def _switches(file: Path) -> dict[str, str]:
    """The variables of an environment file."""
    lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


async def _ready(process: asyncio.subprocess.Process, url: str, log: Path) -> None:
    deadline_s = asyncio.get_running_loop().time() + _START_DEADLINE_S
    while not await asyncio.to_thread(_answers, f"{url}/readyz"):
        late = asyncio.get_running_loop().time() > deadline_s
        if late or process.returncode is not None:
            why = f"was not ready within {_START_DEADLINE_S:g} s" if late else f"ended with {process.returncode}"
            raise RuntimeError(f"the server {why}; its log ends:\n{_end_of(log)}")
        await asyncio.sleep(_POLL_S)


def _end_of(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-40:])


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError):
        return False


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Ctrl-C; what is left of its processes after the deadline is killed."""
    family = list(_family(process.pid))
    if process.returncode is None:
        process.send_signal(signal.SIGINT)
        try:
            async with asyncio.timeout(_STOP_DEADLINE_S):
                await process.wait()
        except TimeoutError:
            print(f"the server did not stop within {_STOP_DEADLINE_S:g} s and was killed", file=sys.stderr)
    _, left = psutil.wait_procs(family, timeout=3)
    for each in left:
        each.kill()
    psutil.wait_procs(left, timeout=3)


def _family(pid: int) -> Iterator[psutil.Process]:
    try:
        process = psutil.Process(pid)
        yield process
        yield from process.children(recursive=True)
    except psutil.NoSuchProcess:
        return


def _part(process: psutil.Process) -> str:
    name = process.name()
    title = (process.cmdline() or [name])[0]
    if title.startswith("ray::ServeReplica:"):
        return "gateway" if ":Gateway" in title else "stages"
    return "proxy" if title.startswith("ray::ProxyActor") or name == "haproxy" else "rest"


def _machine() -> Usage:
    times = psutil.cpu_times()
    # `guest` is within `user`; what the hypervisor took away (`steal`) was not there for us either.
    busy_s = times.user + times.nice + times.system + times.irq + times.softirq + times.steal
    return Usage(busy_s, psutil.virtual_memory().used / 1e6)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
