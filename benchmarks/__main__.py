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

from benchmarks import endpointing, first_audio, machine, sessions, turn_ends
from benchmarks.report import Panel, Table, draw

_QUESTIONS = (first_audio.NAME, sessions.NAME, "endpointing", "turn_ends")
_RECORDINGS = Path(__file__).parents[1] / "tests" / "data"


async def main(options: argparse.Namespace) -> None:
    """Ask, print, write."""
    # As Ctrl-C, which asyncio handles itself: the servers are stopped on the way out.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, signal.raise_signal, signal.SIGINT)
    only = options.only or (_QUESTIONS[:2] if options.quick else _QUESTIONS)
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
    if "endpointing" in only:
        print("Endpointing\n", flush=True)
        quality = await endpointing.measure(_RECORDINGS)
        (options.out / "endpointing.json").write_bytes(orjson.dumps({"machine": about, **quality}))
    if "turn_ends" in only:
        waits = await turn_ends.measure(_RECORDINGS)
        (options.out / "turn_ends.json").write_bytes(orjson.dumps({"machine": about, **waits}))


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
    draw(panels, out / f"{name}.png", machine.line())


def _say(text: str) -> None:
    print(f"… {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer cells and turns: 5 minutes")
    parser.add_argument("--minutes", type=float, help="how long the largest cell through HAProxy lasts: 10")
    parser.add_argument("--only", nargs="+", choices=_QUESTIONS, help="all of them; --quick leaves out the last two")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "out")
    # A shell starts background jobs with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        asyncio.run(main(parser.parse_args()))
    except KeyboardInterrupt:
        sys.exit("stopped")
