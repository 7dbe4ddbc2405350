"""How an engine learns what it may take of its GPU."""

import importlib
from typing import Any

from pydantic import BaseModel

from configs.schema import EngineChoice


def options_of(stage: str, choice: EngineChoice) -> dict[str, Any]:
    """The engine's options, with `gpu_memory_gib` of the configuration where its Config has a field of that name."""
    try:
        module = importlib.import_module(f"deployments.{stage}.engines.{choice.engine}")
    except ImportError:
        return choice.options  # the loading of the engine says what is missing
    return with_budget(module.Config, choice)


def with_budget(config: type[BaseModel], choice: EngineChoice) -> dict[str, Any]:
    """As `options_of`, for a known Config."""
    if choice.gpu_memory_gib is None or "gpu_memory_gib" not in config.model_fields:
        return choice.options
    return {**choice.options, "gpu_memory_gib": choice.gpu_memory_gib}
