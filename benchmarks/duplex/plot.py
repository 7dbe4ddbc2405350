"""The plot: how fast turns change hands."""

from collections.abc import Sequence

from benchmarks.duplex.judge import Verdict
from benchmarks.duplex.scores import half, yields
from benchmarks.duplex.table import Sets
from benchmarks.report import Curve, Panel


def panels(sets: Sets) -> list[Panel]:
    """Shares of interruptions by yield latency, and of answers by response latency."""
    sent, answered = [], []
    for name, verdicts in sets.items():
        for held_out in (False, True):
            group = half(verdicts, held_out)
            label = f"{name}, {'held out' if held_out else 'tuning'}"
            times = [each.last_sent_ms for each in yields(group) if each.last_sent_ms is not None]
            sent += _curve(label, times, held_out, of=len(yields(group)))
            answered += _responses(label, group, held_out)
    return [
        Panel("Speech → last sound of the reply", "ms", "share of interruptions", sent, (("aim p95", 0.95),)),
        Panel("End of speech → first sound of the answer", "ms", "share of answers", answered),
    ]


def _responses(label: str, verdicts: Sequence[Verdict], held_out: bool) -> list[Curve]:
    times = [verdict.response_ms for verdict in verdicts if verdict.response_ms is not None]
    return _curve(label, times, held_out, of=len(times))


def _curve(label: str, times: Sequence[float], dashed: bool, *, of: int) -> list[Curve]:
    """The share that is over by then; those that never are keep it below 1."""
    points = [(time_ms, (n + 1) / of) for n, time_ms in enumerate(sorted(times))]
    return [Curve(label, points, dashed)] if points else []
