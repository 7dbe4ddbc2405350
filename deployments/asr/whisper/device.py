"""Where the model runs, and with which numbers."""

from dataclasses import dataclass
from typing import Any, Final

from deployments.runtime.errors import ConfigError

PREFERRED: Final = {"cpu": ("int8", "float32"), "cuda": ("float16", "int8_float16", "bfloat16", "float32")}
"""The first that the processor has. An old GPU lacks float16."""


@dataclass(frozen=True, slots=True)
class Device:
    """A choice that this machine can keep."""

    name: str
    """`cpu` or `cuda`."""
    compute_type: str
    """As CTranslate2 calls it."""


def choose(ctranslate2: Any, device: str, compute_type: str) -> Device:
    """`auto` becomes the best there is. Raises ConfigError for what this machine does not have."""
    gpus = int(ctranslate2.get_cuda_device_count())
    if device == "cuda" and not gpus:
        raise ConfigError(
            "asr engine 'faster_whisper': device is 'cuda', but CTranslate2 finds no GPU here. "
            "Give the deployment a GPU (ray_actor_options.num_gpus), or say device: auto or cpu"
        )
    name = ("cuda" if gpus else "cpu") if device == "auto" else device
    supported = sorted(ctranslate2.get_supported_compute_types(name))
    if compute_type == "auto":
        return Device(name, next((each for each in PREFERRED[name] if each in supported), "default"))
    if compute_type not in supported:
        raise ConfigError(
            f"asr engine 'faster_whisper': compute_type is {compute_type!r}, but the {name} here has only: "
            f"{', '.join(supported)} (or say auto)"
        )
    return Device(name, compute_type)
