"""Engines by name: `deployments.<stage>.engines.<name>` holds a `Config` and an `Engine`.

A module whose engine needs packages that Parley itself does not bring says which extra of `pyproject.toml` does, in
`EXTRA`, and imports them when it starts. One whose models can be fetched ahead has a `download` (`ModelDownload`).
"""

import ast
import importlib
import importlib.util
import pkgutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, Protocol

from pydantic import BaseModel, ValidationError

from configs.environments import variants
from deployments.runtime.errors import ConfigError

STAGES: Final = ("asr", "llm", "tts", "avatar")
"""Those that run engines."""

Progress = Callable[[str, int, int | None], None]
"""What is fetched, for people; how many bytes of it are here; how many there are, None where that is not known."""


class ModelDownload(Protocol):
    """The module-level `download` of an engine's module, for `make models`; it runs in the engine's environment."""

    def __call__(self, config: Any, progress: Progress) -> Awaitable[None]:
        """Fetch what the engine with this `Config` would load to where it will look for it, calling `progress`.

        What is here already is not fetched again. Raises ConfigError, saying what to do, for a model that there is
        not; errors of the network may come as they are.
        """
        ...


def engine_names(stage: str) -> tuple[str, ...]:
    """The engines that a stage (`asr`, `llm`, `tts`, `avatar`) has, sorted."""
    package = importlib.import_module(f"deployments.{stage}.engines")
    return tuple(sorted(module.name for module in pkgutil.iter_modules(package.__path__)))


def extra_of(stage: str, name: str) -> str:
    """The extra of `pyproject.toml` that an engine declares; empty where Parley itself has all it needs.

    Read from its module's source, so that nothing is imported.
    """
    spec = importlib.util.find_spec(f"deployments.{stage}.engines.{name}")
    if spec is None or spec.origin is None:
        return ""
    for node in ast.parse(Path(spec.origin).read_text()).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="EXTRA")], value=ast.Constant(value=str(extra))):
                return extra
            case ast.AnnAssign(target=ast.Name(id="EXTRA"), value=ast.Constant(value=str(extra))):
                return extra
    return ""


def missing_package(error: ImportError, extra: str) -> ConfigError:
    """What an engine raises, from the ImportError, when it cannot import what its extra brings."""
    way = " or, without a GPU, ".join(f"make env ENGINE={variant}" for variant in variants(extra) or (extra,))
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        return ConfigError(f"the package {package!r} is not installed here; get it with: {way}")
    package = repr(error.name) if error.name else "a package"
    return ConfigError(f"cannot import {package}: {error}; prepare its environment anew with: {way}")


def load_engine(stage: str, name: str, options: dict[str, Any]) -> Any:
    """Build an engine, not yet started. Raises ConfigError as `engine_module` and `engine_config` do."""
    module = engine_module(stage, name)
    return module.Engine(engine_config(stage, name, options))


def engine_module(stage: str, name: str) -> Any:
    """An engine's module.

    Raises ConfigError for an unknown name (listing those there are), and a missing package (saying how to get it).
    """
    if name not in engine_names(stage):
        raise ConfigError(f"{stage} has no engine {name!r}; there are: {', '.join(engine_names(stage))}")
    try:
        return importlib.import_module(f"deployments.{stage}.engines.{name}")
    except ImportError as error:
        missing = missing_package(error, extra_of(stage, name) or name.replace("_", "-"))
        raise ConfigError(f"{stage} engine {name!r}: {missing}") from error


def engine_config(stage: str, name: str, options: dict[str, Any]) -> BaseModel:
    """An engine's `Config`. Raises ConfigError for an option that is unknown or out of range, naming it."""
    try:
        config: BaseModel = engine_module(stage, name).Config.model_validate(options)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"{stage} engine {name!r}: {problems}") from error
    return config
