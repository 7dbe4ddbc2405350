"""What does a session cost, and how many keep real time? All talk and are talked to, with instant engines."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.cell import Cell, measure
from benchmarks.load import Load
from benchmarks.report import Curve, Panel, Table, Value
from benchmarks.server import ROOT, serving
from benchmarks.spread import Spread

NAME = "sessions"
CUSHION_MS = 240.0
"""The lead at which the server sends: a client hears a gap when sound comes later than this."""
_REPLY = " ".join(["One two three four five six seven eight nine ten."] * 4)
"""8 s of tones in four sentences."""


@dataclass(frozen=True, slots=True)
class Front:
    """What stands before the Gateway, and how many talk through it."""

    label: str
    haproxy: bool
    sessions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """One front's figures."""

    label: str
    idle_cores: float
    """Of the Gateway without a session."""
    baseline_mb: float
    """Of the Gateway after its first conversations."""
    cells: list[Cell]

    def cores_per_session(self, cell: Cell) -> float:
        """Of the Gateway, above its idle use."""
        return (cell.cores["gateway"] - self.idle_cores) / cell.sessions

    def mb_per_session(self, cell: Cell) -> float:
        """Of the Gateway, above its baseline."""
        return (cell.memory_mb[-1][1] - self.baseline_mb) / cell.sessions


async def ask(quick: bool, minutes: float | None, say: Callable[[str], None]) -> list[Measured]:
    """Measure all cells; with `minutes`, the last one through HAProxy lasts so long."""
    window_s = 10.0 if quick else 20.0
    fronts = (
        Front("HAProxy", True, (1, 20) if quick else (1, 10, 20, 40)),
        Front("Serve's proxy", False, (10,) if quick else (1, 5, 10, 20)),
    )
    measured = []
    for front in fronts:
        async with serving(ROOT / "configs/instant.yaml", replies=(_REPLY,), haproxy=front.haproxy) as server:
            await measure(
                server, Load(server.url, sessions=4, turns=None, window_s=5)
            )  # not counted: all is loaded once
            idle_cores, baseline_mb = await server.quiet(), server.usage()["gateway"].memory_mb
            cells = []
            for sessions in front.sessions:
                long = minutes is not None and front.haproxy and sessions == front.sessions[-1]
                cell_s = 60 * minutes if long and minutes is not None else window_s
                say(f"sessions: {front.label}, {sessions} for {cell_s:.0f} s")
                load = Load(server.url, sessions, None, cell_s, ramp_s=1 + 0.15 * sessions)
                cells.append(await measure(server, load))
                await server.quiet()
        measured.append(Measured(front.label, idle_cores, baseline_mb, cells))
    return measured


def keeps_real_time(cell: Cell) -> bool:
    """Whether 99 % of the sound and 95 % of the decisions come within a client's cushion."""
    late = Spread.of(cell.result.lateness_ms)
    decision = Spread.of([answer.decision_late_ms for answer in cell.result.answers])
    return late.p99 <= CUSHION_MS and not decision.p95 > CUSHION_MS and cell.result.behind_ms <= CUSHION_MS


def tables(measured: list[Measured]) -> list[Table]:
    """Whether real time is kept, and what it costs."""
    cells = [(front, cell) for front in measured for cell in front.cells]
    idle = ", ".join(f"{front.label} {front.idle_cores:.3f} cores, {front.baseline_mb:.0f} MB" for front in measured)
    return [
        Table(
            "Sessions, all streaming both ways: lateness (ms)",
            (
                "through",
                "sessions",
                "real time",
                "sound p50",
                "p99",
                "max",
                "decision p50",
                "p95",
                "generator p99",
                "max",
                "other work, cores",
            ),
            [(front.label, cell.sessions, *_lateness(cell)) for front, cell in cells],
            f"Real time: 99 % of the sound and 95 % of the decisions at most {CUSHION_MS:.0f} ms late. "
            "Aim at 40 sessions through HAProxy: sound p99 20 ms.",
        ),
        Table(
            "Sessions, all streaming both ways: cost",
            (
                *("through", "sessions", "gateway cores/session", "MB/session"),
                *("cores: gateway", "proxy", "stages", "Ray", "generator", "spoken to"),
            ),
            [(front.label, cell.sessions, *_cost(front, cell)) for front, cell in cells],
            f"The Gateway without sessions: {idle}; what a session costs is above that. Spoken to: share of the time. "
            "Aims at 40 sessions through HAProxy: 0.02 core and 2 MB a session.",
        ),
    ]


def _lateness(cell: Cell) -> tuple[Value, ...]:
    sound = Spread.of(cell.result.lateness_ms)
    decision = Spread.of([answer.decision_late_ms for answer in cell.result.answers])
    own = Spread.of(cell.result.wake_late_ms)
    kept = "yes" if keeps_real_time(cell) else "no"
    return kept, sound.p50, sound.p99, sound.max, decision.p50, decision.p95, own.p99, own.max, cell.others_cores


def _cost(front: Measured, cell: Cell) -> tuple[Value, ...]:
    parts = tuple(cell.cores[part] for part in ("gateway", "proxy", "stages", "rest"))
    each = (front.cores_per_session(cell), front.mb_per_session(cell))
    return *each, *parts, cell.result.cpu_cores, cell.result.sound_share


def panels(measured: list[Measured]) -> list[Panel]:
    """Lateness, processor and memory."""
    lateness = [
        Curve(f"{front.label} p99", [(cell.sessions, Spread.of(cell.result.lateness_ms).p99) for cell in front.cells])
        for front in measured
    ]
    cores = [
        Curve(front.label, [(cell.sessions, front.cores_per_session(cell)) for cell in front.cells])
        for front in measured
    ]
    memory = [Curve(f"{front.cells[-1].sessions} sessions, {front.label}", _growth(front)) for front in measured]
    return [
        Panel("Lateness of sound", "sessions", "ms", lateness, (("aim", 20.0), ("cushion", CUSHION_MS)), log=True),
        Panel("Gateway's processor time", "sessions", "cores a session", cores, (("aim", 0.02),)),
        Panel("Gateway's memory above its baseline", "seconds", "MB a session", memory, (("aim", 2.0),)),
    ]


def _growth(front: Measured) -> list[tuple[float, float]]:
    cell = front.cells[-1]
    return [(at_s, (mb - front.baseline_mb) / cell.sessions) for at_s, mb in cell.memory_mb]
