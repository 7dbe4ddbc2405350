"""The look at placement before the server starts: what is refused, and what is only said."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from cluster.demands import Demand, demands_of
from cluster.gpus_here import gpus_here
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


def look_at(application: Mapping[str, Any], gpus_gib: tuple[float, ...] | None) -> Placement:
    """Check an entry of `applications`, whose `args` are valid.

    `gpus_gib` is the memory of each GPU of this machine; None where the replicas run elsewhere.
    """
    demands = demands_of(application)
    hardware = AppConfig.model_validate(application.get("args") or {}).hardware
    on_one = sum(group.most for group in hardware.nodes) <= 1
    notes = list(_notes(demands, hardware))
    if gpus_gib is not None and on_one and any(demand.gpus for demand in demands):
        if gpus_gib:
            hardware = _as_found(hardware, gpus_gib)
        else:
            waiting = ", ".join(demand.name for demand in demands if demand.gpus)
            notes.append(f"this machine has no GPU that nvidia-smi knows: {waiting} will wait for one, the rest runs")
    return Placement(tuple(problems_of(demands, hardware)), tuple(notes))


def problems_in(application: Mapping[str, Any]) -> tuple[str, ...]:
    """What cannot be placed, here or where RAY_ADDRESS says; nothing where `args` are not valid."""
    return _look(application).problems


def notes_on(config_path: Path) -> list[str]:
    """What the operator should know of a valid configuration's placement, in words."""
    applications = yaml.safe_load(config_path.read_text())["applications"]
    return [note for application in applications for note in _look(application).notes]


def _look(application: Mapping[str, Any]) -> Placement:
    try:
        wants_gpus = any(demand.gpus for demand in demands_of(application))
    except ValidationError:
        return Placement()  # said by who checks the fields
    here = gpus_here() if wants_gpus and "RAY_ADDRESS" not in os.environ else None
    return look_at(application, here)


def _as_found(hardware: HardwareConfig, gpus_gib: tuple[float, ...]) -> HardwareConfig:
    """One machine with the GPUs that it has; of unlike ones the smallest counts."""
    labels = hardware.nodes[0].labels if hardware.nodes else {}
    found = NodeGroup(name="this-machine", gpus=len(gpus_gib), gpu_memory_gib=min(gpus_gib), labels=labels)
    return HardwareConfig(nodes=(found,))


def _notes(demands: list[Demand], hardware: HardwareConfig) -> Iterator[str]:
    hosts = sum(group.most for group in hardware.nodes)
    gateway = next(demand for demand in demands if demand.name == "Gateway")
    if hosts > 1 and gateway.most == 1 and not gateway.selector:
        yield (
            "Gateway may run on any of the nodes, and conversations stay in a SQLite file of the one where it ran: "
            "give it a `label_selector` that one node meets"
        )
