"""Engines by name: `deployments.<stage>.engines.<name>` holds a `Config` and an `Engine`."""

import importlib
import pkgutil
from typing import Any

from pydantic import ValidationError

from deployments.runtime.errors import ConfigError


def engine_names(stage: str) -> tuple[str, ...]:
    """The engines that a stage (`asr`, `llm`, `tts`) has, sorted."""
    package = importlib.import_module(f"deployments.{stage}.engines")
    return tuple(sorted(module.name for module in pkgutil.iter_modules(package.__path__)))


def load_engine(stage: str, name: str, options: dict[str, Any]) -> Any:
    """Build an engine, not yet started.

    Raises ConfigError for an unknown name (listing those there are), an option that is unknown or out of range
    (naming it), or a package that is missing (saying which extra brings it).
    """
    if name not in engine_names(stage):
        raise ConfigError(f"{stage} has no engine {name!r}; there are: {', '.join(engine_names(stage))}")
    try:
        module = importlib.import_module(f"deployments.{stage}.engines.{name}")
    except ImportError as error:
        raise ConfigError(
            f"{stage} engine {name!r} needs a package that is not installed: {error}. "
            f"Install it with: pip install 'parley[{name.replace('_', '-')}]'"
        ) from error
    try:
        config = module.Config.model_validate(options)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"{stage} engine {name!r}: {problems}") from error
    return module.Engine(config)
