"""The configuration that Serve is really given: engines with packages of their own run in their environments."""

import shlex
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from configs.schema import AppConfig, EngineChoice
from deployments.runtime.engines import STAGES, extra_of
from serve_app.environments.environment import ROOT, mismatch, prepared

BUILDER: Final = "serve_app.app:build_app"

ACTOR_OPTIONS: Final[dict[str, Any]] = {"num_cpus": 0}
"""What a deployment's `ray_actor_options` are where the configuration has none: the graph starts on any machine."""

_OWN_PYTHON: Final = ("py_executable", "container", "image_uri", "pip", "uv", "conda")
"""Fields of a `runtime_env` that choose a Python. Who has set one knows what runs there."""

FindPython = Callable[[str], str | None]
"""The `py_executable` for an extra; None where nothing was prepared for it."""


@dataclass(frozen=True, slots=True)
class Staffed:
    """A stage whose engine has packages of its own, and where its deployment stands in the configuration."""

    deployment: str
    choice: EngineChoice
    extra: str


def python_here(extra: str, root: Path = ROOT) -> str | None:
    """The `py_executable` of an environment that `make env` has made on this machine."""
    environment = prepared(extra, root)
    return None if environment is None else shlex.quote(str(environment.python))


def effective(config: dict[str, Any], find_python: FindPython = python_here) -> dict[str, Any]:
    """The Serve config in which every engine that has an environment runs in it; the same one where none has.

    YAML's `ray_actor_options` replace those of the code as a whole, so what is added keeps what was there. Serve merges
    the application's `runtime_env` into each deployment's, `env_vars` by name.
    """
    changed = deepcopy(config)
    for app in parley_applications(changed):
        for stage in staffed(app.get("args") or {}):
            entry = deployment_entry(app, stage.deployment)
            python = None if _has_own_python(app, entry or {}) else find_python(stage.extra)
            if python is None:
                continue
            if entry is None:
                entry = {"name": stage.deployment}
                app["deployments"] = [*(app.get("deployments") or []), entry]
            options = {**(entry.get("ray_actor_options") or ACTOR_OPTIONS)}
            options["runtime_env"] = {**(options.get("runtime_env") or {}), "py_executable": python}
            entry["ray_actor_options"] = options
    return config if changed == config else changed


def inherited(config: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The config without the environment of Serve's controller and proxies, and that environment's variables.

    Ray has processes ready for actors without an environment only; from the launcher's they inherit the variables.
    """
    options = config.get("controller_options") or {}
    environment = options.get("runtime_env") or {}
    if set(environment) != {"env_vars"}:
        return config, {}
    left = {name: value for name, value in options.items() if name != "runtime_env"}
    changed = {name: value for name, value in config.items() if name != "controller_options"}
    return {**changed, **({"controller_options": left} if left else {})}, environment["env_vars"]


def misfits(config: dict[str, Any]) -> Iterator[str]:
    """What keeps the Pythons that an effective configuration names from running their stages, in words."""
    for app in parley_applications(config):
        everywhere = (app.get("runtime_env") or {}).get("py_executable")
        if everywhere and (problem := mismatch(everywhere)):
            yield f"the application's environment: {problem}"
        extras = {stage.deployment: stage.extra for stage in staffed(app.get("args") or {})}
        for entry in app.get("deployments") or []:
            options = entry.get("ray_actor_options") or {}
            python = (options.get("runtime_env") or {}).get("py_executable")
            if python and (problem := mismatch(python)):
                extra = extras.get(entry["name"])
                anew = f"; prepare it anew: make env ENGINE={extra}" if extra else ""
                yield f"{entry['name']}'s environment: {problem}{anew}"


def parley_applications(config: dict[str, Any]) -> list[dict[str, Any]]:
    """Those of a Serve config's applications that are Parley."""
    return [app for app in config["applications"] if app.get("import_path") == BUILDER]


def staffed(args: dict[str, Any]) -> Iterator[Staffed]:
    """The stages whose engines declare an extra."""
    app = AppConfig.model_validate(args)
    for stage in STAGES:
        choice: EngineChoice | None = getattr(app, stage)
        if choice is not None and (extra := extra_of(stage, choice.engine)):
            yield Staffed(stage.capitalize(), choice, extra)


def deployment_entry(app: dict[str, Any], name: str) -> dict[str, Any] | None:
    """What the configuration says of a deployment."""
    return next((entry for entry in app.get("deployments") or [] if entry.get("name") == name), None)


def _has_own_python(app: dict[str, Any], entry: dict[str, Any]) -> bool:
    options = entry.get("ray_actor_options") or {}
    environments = (app.get("runtime_env") or {}, options.get("runtime_env") or {})
    return any(field in environment for environment in environments for field in _OWN_PYTHON)
