"""Ask all questions: tables to the terminal, JSON and plots to a directory.

    python -m benchmarks [--quick] [--minutes 10] [--only sessions] [--out DIR]

Figures mean something on a machine that does nothing else: look at the load in the first line.
"""

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from benchmarks import (
    avatar,
    avatar_cost,
    endpointing,
    first_audio,
    lip_sync,
    machine,
    recognition,
    sessions,
    speech,
    turn_ends,
)
from benchmarks.report import Panel, Table, draw

_QUICK = (first_audio.NAME, sessions.NAME, avatar.NAME, avatar_cost.NAME)
_QUESTIONS = (*_QUICK, lip_sync.NAME, speech.NAME, "endpointing", "turn_ends")
_OF_ENGINES = (recognition.NAME,) if recognition.POSSIBLE else ()
"""Asked by name, in the environment of the engine."""
_EVERY_VOICE = 4
"""Of those that the lips are watched with, so many less: `python -m benchmarks.lip_sync` takes all."""
_RECORDINGS = Path(__file__).parents[1] / "tests" / "data"


async def main(options: argparse.Namespace) -> None:
    """Ask, print, write."""
    # As Ctrl-C, which asyncio handles itself: the servers are stopped on the way out.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, signal.raise_signal, signal.SIGINT)
    only = options.only or (_QUICK if options.quick else _QUESTIONS)
    options.out.mkdir(parents=True, exist_ok=True)
    about = machine.describe()
    print(machine.line(), flush=True)
    print(f"load before: {os.getloadavg()[0]:.2f}\n", flush=True)
    if first_audio.NAME in only:
        first = await first_audio.ask(options.quick, _say)
        cells = [{"setup": label, "cells": [asdict(cell) for cell in cells]} for label, cells in first]
        _publish(options.out, first_audio.NAME, about, [first_audio.table(first)], first_audio.panels(first), cells)
    if sessions.NAME in only:
        minutes = options.minutes or (None if options.quick else 10.0)
        fronts = await sessions.ask(options.quick, minutes, _say)
        whole = [asdict(front) for front in fronts]
        _publish(options.out, sessions.NAME, about, sessions.tables(fronts), sessions.panels(fronts), whole)
    if recognition.NAME in only:
        heard = await recognition.ask(options.quick, _say)
        whole = [asdict(cell) for cell in heard]
        _publish(options.out, recognition.NAME, about, [recognition.table(heard)], recognition.panels(heard), whole)
    await _ask_of_faces(options, only, about)
    if speech.NAME in only:
        spoken = await speech.ask(options.quick, _say)
        _publish(options.out, speech.NAME, about, speech.tables(spoken), [], [speech.as_json(spoken)])
    if "endpointing" in only:
        print("Endpointing\n", flush=True)
        quality = await endpointing.measure(_RECORDINGS)
        (options.out / "endpointing.json").write_bytes(orjson.dumps({"machine": about, **quality}))
    if "turn_ends" in only:
        waits = await turn_ends.measure(_RECORDINGS)
        (options.out / "turn_ends.json").write_bytes(orjson.dumps({"machine": about, **waits}))


async def _ask_of_faces(options: argparse.Namespace, only: Sequence[str], about: dict[str, Any]) -> None:
    if avatar.NAME in only:
        measured = await avatar.ask(options.quick, options.minutes, _say)
        tables, panels = avatar.tables(measured), avatar.panels(measured)
        _publish(options.out, avatar.NAME, about, tables, panels, [asdict(measured)])
    if avatar_cost.NAME in only:
        _say("cost of the portrait")
        # In a thread of its own: it asks for that thread's CPU time, and runs an event loop.
        cost = await asyncio.to_thread(avatar_cost.cost, seconds=10.0)
        _publish(options.out, avatar_cost.NAME, about, [avatar_cost.table(cost)], [], [asdict(cost)])
    if lip_sync.NAME in only:
        _say("lips against what is said")
        lips, scenes = await asyncio.to_thread(lip_sync.measure, _RECORDINGS, _EVERY_VOICE)
        _publish(options.out, lip_sync.NAME, about, [lips], [], [scenes])


def _publish(
    out: Path, name: str, about: dict[str, Any], tables: Sequence[Table], panels: Sequence[Panel], cells: Sequence[Any]
) -> None:
    for table in tables:
        print(f"\n{table.text()}\n", flush=True)
    written = {
        "machine": about,
        "at_s": round(time.time()),
        "tables": [asdict(table) for table in tables],
        "cells": cells,
    }
    (out / f"{name}.json").write_bytes(orjson.dumps(written))
    if panels:
        draw(panels, out / f"{name}.png", machine.line())


def _say(text: str) -> None:
    print(f"… {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer cells and turns: 7 minutes")
    parser.add_argument(
        "--minutes",
        type=float,
        help="of the largest cell through HAProxy: 10; of each face: ½",
    )
    parser.add_argument(
        "--only", nargs="+", choices=(*_QUESTIONS, *_OF_ENGINES), help="all of them; --quick leaves out the last four"
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "out")
    # A shell starts background jobs with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        asyncio.run(main(parser.parse_args()))
    except KeyboardInterrupt:
        sys.exit("stopped")
