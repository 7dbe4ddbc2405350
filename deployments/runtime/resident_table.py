"""Which models of a replica are in memory, who uses them, and who must go to make room.

Pure: models are names, time is an argument, and what is to be done comes back as a `Step`. `residency.py` does it.

    absent ──step──▶ loading ──loaded──▶ resident ──step, evict──▶ unloading ──unloaded──▶ absent
                        └──────load_failed──────────────────────────────────────────────────▲
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from deployments.runtime.errors import ConfigError, Conflict, NotFound

State = Literal["absent", "loading", "resident", "unloading"]


@dataclass(frozen=True, slots=True)
class Step:
    """What is to begin now. All of it may run at once."""

    load: tuple[str, ...] = ()
    unload: tuple[str, ...] = ()


@dataclass(slots=True)
class Entry:
    """One model that the replica can load."""

    size_bytes: int
    kept: bool
    """Default or preloaded."""
    state: State = "absent"
    leases: int = 0
    used_s: float = 0.0
    """When its last lease ended, or its load."""
    failure: str = ""
    """Why its last load failed; empty once one has succeeded."""
    retry_at_s: float = field(default=float("-inf"))


class ResidentTable:
    """The rules: nothing in use is unloaded, the budget holds at every moment, and a model is loaded once at a time.

    Memory counts from the beginning of a load to the end of the unloading.
    """

    def __init__(
        self,
        sizes_gib: Mapping[str, float],
        *,
        kept: Collection[str] = (),
        budget_gib: float | None = None,
        idle_s: float | None = None,
        max_loads: int = 1,
        retry_s: float = 0.0,
    ) -> None:
        """Raises ConfigError for `kept` models that are not there, and for what can never fit."""
        self._entries = {name: Entry(_bytes(size), name in kept) for name, size in sizes_gib.items()}
        self._budget_bytes = None if budget_gib is None else _bytes(budget_gib)
        self._idle_s = idle_s
        self._max_loads = max_loads
        self._retry_s = retry_s
        self._wanted: dict[str, None] = {}
        """In the order in which they were asked for."""
        for name in kept:
            if name not in self._entries:
                raise ConfigError(f"there is no model {name!r} to be loaded; there are: {self._listed()}")
        self._check_budget(sizes_gib, kept)

    @property
    def names(self) -> tuple[str, ...]:
        """All models, in the order given."""
        return tuple(self._entries)

    @property
    def residents(self) -> tuple[str, ...]:
        """Those that can be used at once."""
        return tuple(name for name, entry in self._entries.items() if entry.state == "resident")

    @property
    def used_bytes(self) -> int:
        """Memory of all that is loading, resident or unloading."""
        return sum(entry.size_bytes for entry in self._entries.values() if entry.state != "absent")

    @property
    def budget_bytes(self) -> int | None:
        """For all together."""
        return self._budget_bytes

    def entry(self, name: str) -> Entry:
        """To be read only. Raises NotFound."""
        entry = self._entries.get(name)
        if entry is None:
            raise NotFound(f"There is no model {name!r}; there are: {self._listed()}.", "model_not_found", "model")
        return entry

    def waits(self, name: str) -> bool:
        """Whether it is wanted and its load has not begun."""
        return name in self._wanted

    def want(self, name: str) -> None:
        """Have it loaded by one of the next steps, unless it is there or on its way."""
        if self.entry(name).state in ("absent", "unloading"):
            self._wanted.setdefault(name)

    def give_up(self, name: str) -> None:
        """Nobody waits for it any more. A load that has begun goes on."""
        self._wanted.pop(name, None)

    def take(self, name: str) -> bool:
        """Begin to use it, if it is resident: it stays until `give_back`."""
        entry = self.entry(name)
        if entry.state != "resident":
            return False
        entry.leases += 1
        return True

    def give_back(self, name: str, now_s: float) -> None:
        """The end of one `take`."""
        entry = self.entry(name)
        if entry.leases < 1:
            raise RuntimeError(f"{name} was given back more often than taken")
        entry.leases -= 1
        entry.used_s = now_s

    def evict(self, name: str) -> bool:
        """Begin to unload it now; whether there is anything to unload. Raises Conflict while it is used or loaded."""
        entry = self.entry(name)
        if entry.leases:
            raise Conflict(f"The model {name!r} is used by {entry.leases} at the moment; try again later.", "in_use")
        if entry.state == "loading":
            raise Conflict(f"The model {name!r} is being loaded; try again later.", "in_use")
        if entry.state != "resident":
            return False
        entry.state = "unloading"
        return True

    def loaded(self, name: str, now_s: float) -> None:
        """A load has succeeded."""
        entry = self._expect(name, "loading")
        entry.state, entry.used_s, entry.failure, entry.retry_at_s = "resident", now_s, "", float("-inf")

    def load_failed(self, name: str, reason: str, now_s: float) -> None:
        """A load has failed, and holds no memory any more."""
        entry = self._expect(name, "loading")
        entry.state, entry.failure, entry.retry_at_s = "absent", reason, now_s + self._retry_s

    def unloaded(self, name: str) -> None:
        """Its memory is free."""
        self._expect(name, "unloading").state = "absent"

    def refusal(self, name: str, now_s: float) -> str:
        """Why its load is not tried at this moment: it has just failed. Empty when it may be."""
        entry = self.entry(name)
        return entry.failure if now_s < entry.retry_at_s else ""

    def next_expiry_s(self) -> float | None:
        """When `step` will unload something for being idle, if nothing happens before."""
        if self._idle_s is None:
            return None
        return min((e.used_s + self._idle_s for e in self._entries.values() if self._may_expire(e)), default=None)

    def step(self, now_s: float) -> Step:
        """Let what is idle go, and begin the loads that have a place and room, first come first served.

        Where room is lacking it is made by unloading what was used longest ago. A model whose room cannot be made,
        because others are in use, is passed over by those behind it.
        """
        unload = [name for name, entry in self._entries.items() if self._expired(entry, now_s)]
        for name in unload:
            self._entries[name].state = "unloading"
        load: list[str] = []
        budget = self._budget_bytes
        free = None if budget is None else budget - self.used_bytes
        coming = sum(entry.size_bytes for entry in self._entries.values() if entry.state == "unloading")
        for name in list(self._wanted):
            if self._loading() >= self._max_loads:
                break
            entry = self._entries[name]
            if entry.state == "unloading":
                continue
            if free is None or entry.size_bytes <= free:
                self._wanted.pop(name)
                entry.state = "loading"
                load.append(name)
                free = None if free is None else free - entry.size_bytes
                continue
            victims = self._victims(entry.size_bytes - free - coming)
            if victims is None:
                continue
            for victim in victims:
                self._entries[victim].state = "unloading"
                unload.append(victim)
                coming += self._entries[victim].size_bytes
            # This room is promised: who comes behind must not take it.
            taken = min(free, entry.size_bytes)
            free -= taken
            coming -= entry.size_bytes - taken
        return Step(tuple(load), tuple(unload))

    def _victims(self, missing_bytes: int) -> list[str] | None:
        """Whom to unload for so much more room; None where it cannot be had."""
        idle = [(e.kept, e.used_s, name) for name, e in self._entries.items() if e.state == "resident" and not e.leases]
        victims: list[str] = []
        for _, _, name in sorted(idle):
            if missing_bytes <= 0:
                break
            victims.append(name)
            missing_bytes -= self._entries[name].size_bytes
        return victims if missing_bytes <= 0 else None

    def _may_expire(self, entry: Entry) -> bool:
        return entry.state == "resident" and not entry.leases and not entry.kept

    def _expired(self, entry: Entry, now_s: float) -> bool:
        return self._idle_s is not None and self._may_expire(entry) and now_s >= entry.used_s + self._idle_s

    def _loading(self) -> int:
        return sum(entry.state == "loading" for entry in self._entries.values())

    def _expect(self, name: str, state: State) -> Entry:
        entry = self.entry(name)
        if entry.state != state:
            raise RuntimeError(f"{name} is {entry.state}, not {state}")
        return entry

    def _check_budget(self, sizes_gib: Mapping[str, float], kept: Collection[str]) -> None:
        budget = self._budget_bytes
        if budget is None:
            return
        budget_gib = budget / 2**30
        for name, entry in self._entries.items():
            if entry.size_bytes > budget:
                raise ConfigError(f"model {name!r} takes {sizes_gib[name]:g} GiB, the budget is {budget_gib:g} GiB")
        if sum(self._entries[name].size_bytes for name in set(kept)) > budget:
            summed = " + ".join(f"{name} {sizes_gib[name]:g}" for name in dict.fromkeys(kept))
            raise ConfigError(f"default and preloaded models ({summed} GiB) exceed the budget of {budget_gib:g} GiB")

    def _listed(self) -> str:
        return ", ".join(self._entries)


def _bytes(gib: float) -> int:
    """Whole bytes, so that sums are exact."""
    if gib < 0:
        raise ConfigError(f"a model's memory cannot be {gib:g} GiB")
    return round(gib * 2**30)
