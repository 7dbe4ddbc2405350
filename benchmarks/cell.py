"""One cell of a table: a load against a server, with what the users noted and what the server's processes used."""

import asyncio
import sys
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from pydantic import TypeAdapter

from benchmarks.load import Load, Result
from benchmarks.server import ROOT, Server, Usage, die_with_parent

_WATCH_EVERY_S = 10.0
_RESULT_LIMIT_BYTES = 2**28


@dataclass(frozen=True, slots=True)
class Cell:
    """What was measured at one number of sessions."""

    sessions: int
    result: Result
    cores: dict[str, float]
    """Used by each part of the server while all streamed."""
    memory_mb: list[tuple[float, float]]
    """Of the Gateway: seconds since all streamed, resident MB."""
    others_cores: float
    """Used by whatever else ran on the machine: with more than a few hundredths, do not trust the rest."""


async def measure(server: Server, load: Load) -> Cell:
    """Run the load in a process of its own. Raises RuntimeError where it fails."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.load",
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_RESULT_LIMIT_BYTES,
        start_new_session=True,
        preexec_fn=die_with_parent,
    )
    assert process.stdin is not None
    try:
        process.stdin.write(orjson.dumps(asdict(load)) + b"\n")
        await _line(process)
        watched = [_look(server)]
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(_watch(server, watched))
            await _line(process)
            watching.cancel()
        watched.append(_look(server))
        result = TypeAdapter(Result).validate_python((await _line(process))["result"])
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    begun_s, before = watched[0]
    over_s, after = watched[-1]
    cores = {part: round((after[part].cpu_s - before[part].cpu_s) / (over_s - begun_s), 4) for part in after}
    machine_cores = cores.pop("machine")
    return Cell(
        load.sessions,
        result,
        cores,
        [(round(at_s - begun_s, 1), round(usage["gateway"].memory_mb, 2)) for at_s, usage in watched],
        round(machine_cores - sum(cores.values()) - result.cpu_cores, 3),
    )


def _look(server: Server) -> tuple[float, dict[str, Usage]]:
    return asyncio.get_running_loop().time(), server.usage()


async def _watch(server: Server, watched: list[tuple[float, dict[str, Usage]]]) -> None:
    while True:
        await asyncio.sleep(_WATCH_EVERY_S)
        watched.append(_look(server))


async def _line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError(f"the load generator ended with {await process.wait()}; its error stands above")
    said: dict[str, Any] = orjson.loads(line)
    return said
