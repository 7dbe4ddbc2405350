"""The look at placement before the server starts: what is refused, and what is only said."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cluster.demands import Demand, demands_of
from cluster.planner import problems_of
from configs.hardware import HardwareConfig, NodeGroup
from configs.schema import AppConfig


@dataclass(frozen=True, slots=True)
class Placement:
    """What the look found, in words."""

    problems: tuple[str, ...] = ()
    """It cannot work so."""
    notes: tuple[str, ...] = ()
    """Some of it will not run, or not be kept; the rest will."""


def look_at(application: Mapping[str, Any], gpus_here: tuple[float, ...] | None) -> Placement:
    """Check an entry of `applications`, whose `args` are valid.

    `gpus_here` is the memory in GiB of each GPU of this machine; None where the replicas run elsewhere.
    """
    demands = demands_of(application)
    hardware = AppConfig.model_validate(application.get("args") or {}).hardware
    on_one = sum(group.most for group in hardware.nodes) <= 1
    notes = list(_notes(demands, hardware))
    if gpus_here is not None and on_one and any(demand.gpus for demand in demands):
        if gpus_here:
            hardware = _as_found(hardware, gpus_here)
        else:
            waiting = ", ".join(demand.name for demand in demands if demand.gpus)
            notes.append(f"this machine has no GPU that nvidia-smi knows: {waiting} will wait for one, the rest runs")
    return Placement(tuple(problems_of(demands, hardware)), tuple(notes))


def needs_gpus(application: Mapping[str, Any]) -> bool:
    """Whether any deployment books one."""
    return any(demand.gpus for demand in demands_of(application))


def _as_found(hardware: HardwareConfig, gpus_here: tuple[float, ...]) -> HardwareConfig:
    """One machine with the GPUs that it has; of unlike ones the smallest counts."""
    labels = hardware.nodes[0].labels if hardware.nodes else {}
    found = NodeGroup(name="this-machine", gpus=len(gpus_here), gpu_memory_gib=min(gpus_here), labels=labels)
    return HardwareConfig(nodes=(found,))


def _notes(demands: list[Demand], hardware: HardwareConfig) -> Iterator[str]:
    hosts = sum(group.most for group in hardware.nodes)
    gateway = next(demand for demand in demands if demand.name == "Gateway")
    if hosts > 1 and gateway.most == 1 and not gateway.selector:
        yield (
            "Gateway may run on any of the nodes, and conversations stay in a SQLite file of the one where it ran: "
            "give it a `label_selector` that one node meets"
        )
