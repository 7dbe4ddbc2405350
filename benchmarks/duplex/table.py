"""The tables that are printed."""

import math
from collections.abc import Sequence

from benchmarks.duplex import published
from benchmarks.duplex.intervals import Estimate
from benchmarks.duplex.judge import Verdict
from benchmarks.duplex.scores import FIGURES, Figure, half, yields
from benchmarks.duplex.trials import Kind
from benchmarks.report import Table

Sets = dict[str, Sequence[Verdict]]
"""`virtual clock` and `real time`."""


def figures(sets: Sets) -> Table:
    """Each figure, of both halves of each set, with its interval."""
    columns = ["figure", "aim"]
    for name in sets:
        columns += [f"{name}: tuning", "held out", "both", "aim reached"]
    rows = []
    for figure in FIGURES:
        row: list[str] = [figure.name, figure.aim]
        for verdicts in sets.values():
            both = figure.of(verdicts)
            halves = [figure.of(half(verdicts, held_out)) for held_out in (False, True)]
            row += [*(shown(each) for each in (*halves, both)), _verdict(figure, both)]
        rows.append(tuple(row))
    counts = ", ".join(f"{name}: {len(all_)} trials, {len(yields(all_))} interruptions" for name, all_ in sets.items())
    return Table(
        "Full duplex",
        tuple(columns),
        rows,
        f"{counts}. Value, 95 % interval (Wilson; order statistics; bootstrap for means), number measured. A response "
        "latency contains the silence that ends a turn; yield latencies are of the interruptions that were yielded to.",
    )


def kinds(sets: Sets) -> Table:
    """How many trials of each kind ended right."""
    columns = ["what happens"]
    for name in sets:
        columns += [f"{name}: tuning", "held out"]
    rows = []
    for kind in Kind:
        row = [str(kind)]
        for verdicts in sets.values():
            for held_out in (False, True):
                group = [verdict.right for verdict in half(verdicts, held_out) if verdict.kind is kind]
                row.append(f"{sum(group)}/{len(group)}" if group else "–")
        rows.append(tuple(row))
    return Table("Right answers", tuple(columns), rows)


def beside_others(sets: Sets) -> Table:
    """Our rows and the published ones."""
    by_name = {figure.name: figure for figure in FIGURES}
    rows = []
    for name, verdicts in sets.items():
        values = {label: figure.of(verdicts).value for label, figure in by_name.items()}
        rows.append(
            (
                f"Parley, {name}",
                values["response latency, p50 (ms)"] / 1000,
                values["speech → last sound sent, p50 (ms)"] / 1000,
                values["yield rate"],
                values["agent interrupts per user turn"],
                values["turn kept on backchannels"],
                values["turn kept on noise and silence"],
            )
        )
    return published.table(rows)


def shown(estimate: Estimate) -> str:
    """`0.98 (0.93–1.00) n=91`."""
    if estimate.count == 0:
        return "–"
    low, high = _number(estimate.low), _number(estimate.high)
    return f"{_number(estimate.value)} ({low}–{high}) n={estimate.count}"


def _number(value: float) -> str:
    if math.isinf(value):
        return "?"
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.2f}"


def _verdict(figure: Figure, estimate: Estimate) -> str:
    if figure.reached is None or estimate.count == 0:
        return ""
    return "yes" if figure.reached(estimate.value) else "no"
