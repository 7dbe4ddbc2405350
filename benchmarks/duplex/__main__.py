"""Play all trials: tables to the terminal, JSON and a plot to a directory.

    python -m benchmarks.duplex [--quick] [--only virtual real] [--seed N] [--out DIR]

Figures mean something on a machine that does nothing else.
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

import orjson

from benchmarks import machine
from benchmarks.duplex import runs, trials
from benchmarks.duplex.judge import Verdict
from benchmarks.duplex.plot import panels
from benchmarks.duplex.studio import Studio
from benchmarks.duplex.table import Sets, beside_others, figures, kinds
from benchmarks.duplex.trials import Trial
from benchmarks.report import draw

_QUICK_EVERY = 4
"""Of each kind and half; the virtual clock is quick enough for all."""
_SETS = {"virtual": "virtual clock", "real": "real time"}


def main(options: argparse.Namespace) -> None:
    """Play, print, write."""
    print(f"{machine.line()}\nload before: {os.getloadavg()[0]:.2f}\n", flush=True)
    played: dict[str, tuple[Sequence[Trial], Sequence[Verdict]]] = {}
    with Studio() as studio:
        if "virtual" in options.only:
            scripted = trials.scripted(options.seed)
            _say(f"{len(scripted)} trials on the virtual clock")
            played[_SETS["virtual"]] = scripted, runs.on_virtual_clock(scripted, studio)
        if "real" in options.only:
            spoken = trials.real_time(options.seed)
            spoken = trials.sample(spoken, _QUICK_EVERY) if options.quick else spoken
            played[_SETS["real"]] = spoken, asyncio.run(runs.in_real_time(spoken, studio, _say))
    _publish(played, options.out, options.seed)


def _publish(played: dict[str, tuple[Sequence[Trial], Sequence[Verdict]]], out: Path, seed: int) -> None:
    sets: Sets = {name: verdicts for name, (_, verdicts) in played.items()}
    tables = [figures(sets), kinds(sets), beside_others(sets)]
    for table in tables:
        print(f"\n{table.text()}\n", flush=True)
    for name, (all_trials, verdicts) in played.items():
        wrong = [(trial, verdict) for trial, verdict in zip(all_trials, verdicts, strict=True) if verdict.why]
        print(f"{name}, wrong: {len(wrong)} of {len(verdicts)}")
        for trial, verdict in wrong:
            print(f"  {trial.kind}: {verdict.why}: {', '.join(trial.clips) or trial.noise}, {trial.snr_db:g} dB")
    written = {
        "machine": machine.describe(),
        "at_s": round(time.time()),
        "seed": seed,
        "tables": [asdict(table) for table in tables],
        "trials": {
            name: [
                {"trial": asdict(trial), "verdict": asdict(verdict)}
                for trial, verdict in zip(all_trials, verdicts, strict=True)
            ]
            for name, (all_trials, verdicts) in played.items()
        },
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "duplex.json").write_bytes(orjson.dumps(written))
    draw(panels(sets), out / "duplex.png", machine.line())


def _say(text: str) -> None:
    print(f"… {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.duplex", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a quarter of the trials in real time")
    parser.add_argument("--only", nargs="+", choices=tuple(_SETS), default=tuple(_SETS))
    parser.add_argument("--seed", type=int, default=trials.SEED)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "out")
    # A shell starts background jobs with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        main(parser.parse_args())
    except KeyboardInterrupt:
        sys.exit("stopped")
