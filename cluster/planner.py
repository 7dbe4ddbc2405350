"""Whether a configuration fits its machines: every GPU has the memory for whatever may share it, and all get a place.

Ray books fractions of a GPU and knows nothing of its memory, and which replicas come to share a GPU depends on the
order in which they start. So memory is added up for the worst company that the fractions allow on each kind of GPU.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from cluster.demands import WHOLE_GPU, Demand
from cluster.selectors import matches
from configs.hardware import HardwareConfig, NodeGroup

SLACK_GIB = 1e-6
"""Sums of decimal fractions differ from the sum meant by less than this."""


def problems_of(demands: Sequence[Demand], hardware: HardwareConfig) -> list[str]:
    """What cannot work, in words with the sums; empty where all of it fits. Nothing is said of unknown hardware."""
    wrong = [problem for demand in demands for problem in _in_demand(demand)]
    if wrong or not hardware.nodes:
        return wrong
    wrong += [problem for group in hardware.nodes for problem in _in_memory(demands, group)]
    wrong += _without_place(demands, hardware)
    wrong += _in_gateways(demands, hardware)
    return wrong


def _in_demand(demand: Demand) -> Iterator[str]:
    field_name = f"args.{demand.name.lower()}.gpu_memory_gib"
    if demand.gpus > 1 and demand.gpus != int(demand.gpus):
        yield f"{demand.name} has `num_gpus: {demand.gpus:g}`: Ray takes parts of one GPU or whole GPUs"
    if demand.gpus and demand.share < WHOLE_GPU and demand.gpu_memory_gib is None:
        yield (
            f"{demand.name} has {demand.gpus:g} of a GPU, and nothing says how much of its memory: set `{field_name}`"
        )
    if demand.gpu_memory_gib and demand.models_gib and demand.models_gib > demand.gpu_memory_gib:
        yield (
            f"{demand.name}'s models may take {demand.models_gib:g} GiB (`residency.budget_gib`), more than the "
            f"{demand.gpu_memory_gib:g} of `{field_name}`"
        )
    if not demand.gpus and demand.gpu_memory_gib is not None:
        yield (
            f"`{field_name}` is {demand.gpu_memory_gib:g}, but {demand.name} has no GPU: "
            f"set `num_gpus` in the `ray_actor_options` of {demand.name}"
        )


def _in_memory(demands: Sequence[Demand], group: NodeGroup) -> Iterator[str]:
    """The sum of the worst company on one GPU of the group, where it is more than there is."""
    if not group.gpus or group.gpu_memory_gib is None:
        return
    with_gpus = [demand for demand in demands if demand.gpus and demand.whole_gpus <= group.gpus]
    here = [demand for demand in with_gpus if matches(demand.selector, group.labels)]
    company = worst_company(here, group.gpu_memory_gib)
    total_gib = sum(_takes_gib(demand, group.gpu_memory_gib) for demand in company)
    if total_gib <= group.gpu_memory_gib + SLACK_GIB:
        return
    sizes = " + ".join(f"{demand.name} {_takes_gib(demand, group.gpu_memory_gib):g}" for demand in company)
    shares = " + ".join(f"{min(demand.gpus, 1):g}" for demand in company)
    booked = sum(demand.share for demand in company) / WHOLE_GPU
    yield (
        f"a GPU of {group.name!r} has {group.gpu_memory_gib:g} GiB and may get {sizes} = {total_gib:g} GiB "
        f"(`num_gpus` {shares} = {booked:g}): lower `gpu_memory_gib`, "
        "or raise `num_gpus` so that Ray puts less on one GPU"
    )


def worst_company(demands: Sequence[Demand], gpu_gib: float) -> list[Demand]:
    """Of the replicas that Ray may put on one GPU those that take the most memory together, each once per replica."""
    # The worst for each sum of shares: there are few sums, however many replicas there may be.
    worst: dict[int, tuple[float, list[Demand]]] = {0: (0.0, [])}
    for demand in demands:
        limit = min(demand.most, demand.per_node or demand.most)
        for booked, (taken_gib, company) in list(worst.items()):
            for count in range(1, min(limit, (WHOLE_GPU - booked) // demand.share) + 1):
                total = booked + count * demand.share
                with_it = (taken_gib + count * _takes_gib(demand, gpu_gib), company + [demand] * count)
                worst[total] = max(worst.get(total, with_it), with_it, key=_gib)
    return max(worst.values(), key=_gib)[1]


def _gib(company: tuple[float, list[Demand]]) -> float:
    return company[0]


def _takes_gib(demand: Demand, gpu_gib: float) -> float:
    return gpu_gib if demand.gpu_memory_gib is None else demand.gpu_memory_gib


@dataclass(slots=True)
class _Node:
    group: NodeGroup
    free: list[int]
    """Of each GPU, in ten-thousandths."""
    replicas: dict[str, int] = field(default_factory=dict)

    def takes(self, demand: Demand) -> bool:
        """Book a replica here, on the fullest GPU that has room, as Ray does."""
        if demand.per_node is not None and self.replicas.get(demand.name, 0) >= demand.per_node:
            return False
        if demand.whole_gpus:
            chosen = [gpu for gpu, free in enumerate(self.free) if free == WHOLE_GPU][: demand.whole_gpus]
            if len(chosen) < demand.whole_gpus:
                return False
        else:
            fitting = [gpu for gpu, free in enumerate(self.free) if demand.gpus and free >= demand.share]
            if demand.gpus and not fitting:
                return False
            chosen = [min(fitting, key=self.free.__getitem__)] if fitting else []
        for gpu in chosen:
            self.free[gpu] -= demand.share
        self.replicas[demand.name] = self.replicas.get(demand.name, 0) + 1
        return True


def _without_place(demands: Sequence[Demand], hardware: HardwareConfig) -> Iterator[str]:
    """Deployments some of whose first replicas have no place, the largest placed first."""
    nodes = [_Node(group, [WHOLE_GPU] * group.gpus) for group in hardware.nodes for _ in range(group.count)]
    left_out = []
    for demand in sorted(demands, key=lambda each: -each.gpus):
        allowed = [node for node in nodes if matches(demand.selector, node.group.labels)]
        if not allowed:
            yield f"{demand.name}'s `label_selector` {dict(demand.selector)} is met by no node of `args.hardware`"
            continue
        # Fewest free first: large replicas that come later, under load, find whole GPUs.
        placed = 0
        while placed < demand.least and any(n.takes(demand) for n in sorted(allowed, key=lambda node: sum(node.free))):
            placed += 1
        left_out += [demand] * (demand.least - placed)
    if not left_out:
        return
    booked = " + ".join(f"{d.name} {d.least} × {d.gpus:g}" for d in demands if d.gpus and d.least)
    total = math.fsum(d.least * d.gpus for d in demands)
    there = sum(group.gpus * group.count for group in hardware.nodes)
    names = ", ".join(dict.fromkeys(demand.name for demand in left_out))
    limits = "" if all(d.per_node is None for d in left_out) else ", with their `max_replicas_per_node`"
    yield (
        f"no place for {len(left_out)} of the first replicas ({names}){limits}: {booked or '0'} = {total:g} GPUs "
        f"are booked, {there} are there"
    )


def _in_gateways(demands: Sequence[Demand], hardware: HardwareConfig) -> Iterator[str]:
    for gateway in (demand for demand in demands if demand.name == "Gateway"):
        hosts = sum(group.most for group in hardware.nodes if matches(gateway.selector, group.labels))
        if gateway.most > 1 and hosts > 1:
            yield (
                f"{gateway.most} Gateways may run on {hosts} nodes, but conversations are kept in a SQLite file, which "
                "one node has; several nodes need PostgreSQL, which this version has not: give Gateway a "
                "`label_selector` that one node meets, or one replica"
            )
