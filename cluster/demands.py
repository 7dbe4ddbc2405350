"""What the deployments of a configuration ask of the machines, read from Serve's own fields and from `args`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from configs.schema import AppConfig, EngineChoice

WHOLE_GPU: Final = 10_000
"""Ray counts parts of a GPU in ten-thousandths."""

AUTO_REPLICAS: Final = 100
"""What Serve takes for the limit where `num_replicas` is `auto`."""

STAGES: Final = {"Asr": "asr", "Llm": "llm", "Tts": "tts", "Avatar": "avatar"}
"""The deployments that run an engine, with the field under `args` that chooses it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """One deployment: how many replicas, and what each of them books and takes."""

    name: str
    least: int = 1
    """Replicas when it starts."""
    most: int = 1
    """Replicas under load."""
    gpus: float = 0
    """`num_gpus` of each."""
    gpu_memory_gib: float | None = None
    """What each takes of a GPU; None: not said."""
    models_gib: float | None = None
    """The bound of the engine's models together (`options.residency.budget_gib`)."""
    selector: Mapping[str, str] = field(default_factory=dict)
    """Ray's `label_selector`."""
    per_node: int | None = None
    """`max_replicas_per_node`."""

    @property
    def share(self) -> int:
        """What each that has GPUs books of one, in ten-thousandths."""
        return WHOLE_GPU if self.gpus >= 1 else max(1, round(self.gpus * WHOLE_GPU))

    @property
    def whole_gpus(self) -> int:
        """How many GPUs each has for itself; 0 where it shares one."""
        return round(self.gpus) if self.gpus >= 1 else 0


def demands_of(application: Mapping[str, Any]) -> list[Demand]:
    """The demands of an entry of `applications`, whose `args` are valid, in the order in which data goes."""
    config = AppConfig.model_validate(application.get("args") or {})
    described = {each["name"]: each for each in application.get("deployments") or [] if "name" in each}
    demands = [_demand("Gateway", described.get("Gateway", {}), None)]
    for name, stage in STAGES.items():
        if (choice := getattr(config, stage)) is not None:
            demands.append(_demand(name, described.get(name, {}), choice))
    return demands


def _demand(name: str, deployment: Mapping[str, Any], choice: EngineChoice | None) -> Demand:
    actor = deployment.get("ray_actor_options") or {}
    least, most = _replicas(deployment)
    return Demand(
        name=name,
        least=least,
        most=most,
        gpus=float(actor.get("num_gpus") or 0),
        gpu_memory_gib=_budget_gib(choice) if choice else None,
        models_gib=_models_gib(choice) if choice else None,
        selector=actor.get("label_selector") or {},
        per_node=deployment.get("max_replicas_per_node"),
    )


def _budget_gib(choice: EngineChoice) -> float | None:
    """Where it stands, as `deployments/runtime/budget.py` gives it to the engine."""
    return _number(choice.options.get("gpu_memory_gib")) if choice.gpu_memory_gib is None else choice.gpu_memory_gib


def _models_gib(choice: EngineChoice) -> float | None:
    residency = choice.options.get("residency")
    return _number(residency.get("budget_gib")) if isinstance(residency, dict) else None


def _number(option: Any) -> float | None:
    """What is none, the engine's own Config refuses."""
    return float(option) if isinstance(option, int | float) else None


def _replicas(deployment: Mapping[str, Any]) -> tuple[int, int]:
    """How many at the start, and at most, with Serve's defaults."""
    wanted = deployment.get("num_replicas", 1)
    scaling = deployment.get("autoscaling_config")
    if scaling is None and wanted != "auto":
        return int(wanted or 1), int(wanted or 1)
    scaling = scaling or {}
    least = int(scaling.get("min_replicas", 1))
    most = int(scaling.get("max_replicas", AUTO_REPLICAS if wanted == "auto" else 1))
    return max(least, int(scaling.get("initial_replicas") or 0)), most
