"""What a replica says about the models that it has or could load, for operators and for the router."""

from dataclasses import dataclass
from typing import Literal, Protocol

from deployments.runtime.errors import Conflict, NotFound
from deployments.runtime.resident_table import Entry

ReportedState = Literal["absent", "waiting", "loading", "resident", "unloading", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReport:
    """One model of a replica."""

    name: str
    state: ReportedState
    default: bool = False
    memory_gib: float | None = None
    """What it takes at most; None where the engine does not say."""
    in_use: int = 0
    """Leases."""
    idle_s: float | None = None
    """Since its last use; None while it is used or not resident."""
    problem: str = ""
    """Why its last load failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaModels:
    """All models of a replica."""

    replica: str
    """Serve's name of it."""
    engine: str
    problem: str = ""
    """Why it is not ready; it then lists no models."""
    budget_gib: float | None = None
    models: tuple[ModelReport, ...] = ()
    """The default first."""


class Models(Protocol):
    """What a stage asks about the models of its engine. `Residency` is one."""

    @property
    def residents(self) -> tuple[str, ...]:
        """Those that can be used at once."""
        ...

    @property
    def budget_gib(self) -> float | None:
        """For all together; None: no bound."""
        ...

    def report(self) -> tuple[ModelReport, ...]:
        """All of them, the default first."""
        ...

    async def load(self, name: str) -> None:
        """Have one loaded and wait for it. Raises NotFound, StageUnavailable and ServerFull."""
        ...

    async def unload(self, name: str) -> None:
        """Unload one and wait for it. Raises NotFound and Conflict."""
        ...


class OnlyModel:
    """The models of an engine that has one and keeps it as long as it runs."""

    budget_gib: float | None = None

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def residents(self) -> tuple[str, ...]:
        return (self._name,)

    def report(self) -> tuple[ModelReport, ...]:
        return (ModelReport(name=self._name, state="resident", default=True),)

    async def load(self, name: str) -> None:
        """It is loaded. Raises NotFound for another."""
        if name != self._name:
            raise NotFound(f"There is no model {name!r}; there are: {self._name}.", "model_not_found", "model")

    async def unload(self, name: str) -> None:
        """Raises Conflict: nothing would be left."""
        await self.load(name)
        raise Conflict(f"The engine has no model but {name!r}, which stays loaded.", "in_use")


def model_report(name: str, entry: Entry, now_s: float, *, default: bool, waits: bool) -> ModelReport:
    """One entry of the table. `waits`: it is wanted, and its load has not begun."""
    state: ReportedState = entry.state
    if state == "absent":
        state = "waiting" if waits else "failed" if entry.failure else "absent"
    idle = entry.state == "resident" and not entry.leases
    return ModelReport(
        name=name,
        state=state,
        default=default,
        memory_gib=entry.size_bytes / 2**30,
        in_use=entry.leases,
        idle_s=now_s - entry.used_s if idle else None,
        problem=entry.failure,
    )
