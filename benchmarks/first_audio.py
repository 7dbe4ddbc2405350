"""How soon does the answer begin? From the endpoint decision, and from the last speech sample, to the first sound."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.cell import Cell, measure
from benchmarks.load import Load
from benchmarks.report import Curve, Panel, Table
from benchmarks.server import ROOT, serving
from benchmarks.spread import Spread

NAME = "first_audio"


@dataclass(frozen=True, slots=True)
class Setup:
    """A server and how many talk to it."""

    label: str
    config: str
    haproxy: bool
    turns: dict[int, int]
    """Turns of each user, by number of sessions."""


FULL = (
    Setup("instant, HAProxy", "configs/instant.yaml", True, {1: 30, 5: 12, 10: 8, 20: 5}),
    Setup("instant, Serve's proxy", "configs/instant.yaml", False, {1: 30, 5: 12, 10: 8, 20: 5}),
    Setup("embedded, Serve's proxy", "serve_config.yaml", False, {1: 12, 2: 12, 4: 12}),
)
QUICK = (
    Setup("instant, Serve's proxy", "configs/instant.yaml", False, {1: 12, 5: 6}),
    Setup("embedded, Serve's proxy", "serve_config.yaml", False, {1: 6}),
)
Measured = list[tuple[str, list[Cell]]]
"""Each setup's label and cells."""


async def ask(quick: bool, say: Callable[[str], None]) -> Measured:
    """Measure all cells."""
    measured: Measured = []
    for setup in QUICK if quick else FULL:
        cells: list[Cell] = []
        async with serving(ROOT / setup.config, haproxy=setup.haproxy) as server:
            await measure(server, Load(server.url, sessions=2, turns=2))  # not counted: everything is loaded once
            for sessions, turns in setup.turns.items():
                await server.quiet()
                say(f"first audio: {setup.label}, {sessions} sessions, {turns} turns each")
                cells.append(await measure(server, Load(server.url, sessions, turns, ramp_s=3.0)))
        measured.append((setup.label, cells))
    return measured


def table(measured: Measured) -> Table:
    """Milliseconds."""
    rows = []
    for label, cells in measured:
        for cell in cells:
            answers = cell.result.answers
            decision = Spread.of([answer.decision_to_audio_ms for answer in answers])
            server = Spread.of([answer.server_ms for answer in answers])
            speech = Spread.of([answer.speech_to_audio_ms for answer in answers])
            late = Spread.of([answer.decision_late_ms for answer in answers])
            own = Spread.of(cell.result.wake_late_ms).p99
            counts = (f"{len(answers)}/{cell.result.turns}", decision.p50, decision.p95, server.p50, server.p95)
            rows.append(
                (label, cell.sessions, *counts, speech.p50, speech.p95, late.p50, late.p95, own, cell.others_cores)
            )
    return Table(
        "First audio (ms)",
        (
            "engines, proxy",
            "sessions",
            "answers",
            "decision → sound p50",
            "p95",
            "in the server p50",
            "p95",
            "speech → sound p50",
            "p95",
            "speech → decision p50",
            "p95",
            "generator late p99",
            "other work, cores",
        ),
        rows,
        "From speech: the last speech sample plus the configured silence of 500 ms. "
        "Aims with instant engines at 1 to 5 sessions: 20 / 35 from the decision, 50 / 80 from speech.",
    )


def panels(measured: Measured) -> list[Panel]:
    """p50 and p95 by sessions."""
    shown = []
    for title, name, aims in (
        ("Endpoint decision → first sound", "decision_to_audio_ms", (("aim p50", 20.0), ("aim p95", 35.0))),
        ("Last speech + 500 ms → first sound", "speech_to_audio_ms", (("aim p50", 50.0), ("aim p95", 80.0))),
    ):
        curves = []
        for label, cells in measured:
            spreads = [(cell.sessions, Spread.of([getattr(a, name) for a in cell.result.answers])) for cell in cells]
            curves.append(Curve(f"{label} p50", [(n, spread.p50) for n, spread in spreads]))
            curves.append(Curve(f"{label} p95", [(n, spread.p95) for n, spread in spreads], dashed=True))
        shown.append(Panel(title, "sessions", "ms", curves, aims, log=True))
    return shown
