"""Start the server: `python -m serve_app.launch [CONFIG]` is `serve run CONFIG` with the settings that only the
environment of its process can give, after a look whether it can work at all. SIGTERM ends it as Ctrl-C does.
"""

import functools
import hashlib
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NoReturn

import yaml
from pydantic import BaseModel, ValidationError

from cluster.start_check import notes_on, problems_in
from configs.schema import AppConfig
from configs.session import SessionConfig
from deployments.runtime.engines import STAGES, engine_names
from deployments.runtime.errors import ConfigError
from deployments.runtime.memory import load_quickly
from serve_app.environments.effective import effective, inherited, misfits, parley_applications, python_here
from serve_app.environments.environment import ROOT

DEFAULT_CONFIG: Final = "serve_config.yaml"

ENVIRONMENT: Final = {
    # Whoever reaches Ray's ports without the token (~/.ray/auth_token) could run code here.
    "RAY_AUTH_MODE": "token",
    # Ray would otherwise report its use to its makers.
    "RAY_USAGE_STATS_ENABLED": "0",
    # Two idle workers of 80 MB, of no use to replicas, which have an environment of their own.
    "RAY_prestart_worker_first_driver": "0",
    # While the graph is being built, Ray starts the first replica's process; it then imports instead of waiting: 1.5 s.
    "RAY_preload_python_modules": "deployments.runtime.first_import,ray.serve._private.replica",
    # Lines of replicas as they wrote them, without "(ServeReplica:parley:Gateway pid=…)".
    "RAY_DISABLE_WORKER_LOG_PREFIX": "1",
    "RAY_COLOR_PREFIX": "0",
}

_FEW_CORES: Final = 4
_START_AHEAD: Final = {"RAY_enable_worker_prestart": "1"}
"""A process for each core, made while Ray is still starting: the first two become Serve's controller and its HTTP
proxy, 2.6 s sooner. More cores would get more processes, of no use to anybody."""

_LONGEST_TMPDIR: Final = 40
"""Ray puts Unix sockets below it, whose paths may have 107 characters; it needs about 65 of its own."""


def environment(given: dict[str, str]) -> dict[str, str]:
    """The environment for `serve run`; what the user has set stays."""
    ahead = _START_AHEAD if (os.cpu_count() or 1) <= _FEW_CORES else {}
    env = {**ENVIRONMENT, **ahead, **given}
    if "RAY_TMPDIR" not in env and len(env.get("TMPDIR", "")) > _LONGEST_TMPDIR:
        env["RAY_TMPDIR"] = "/tmp"
    return env


def problems(config_path: Path) -> list[str]:
    """What keeps this configuration from being served here, in words; empty if nothing is known to."""
    if wrong := mistakes(config_path):
        return wrong
    config = yaml.safe_load(config_path.read_text())
    return _in_address(config.get("http_options") or {}, config_path)


def mistakes(config_path: Path) -> list[str]:
    """What is wrong in a configuration, in words.

    Engines' options are left to the engines, whose packages may be in another environment.
    """
    try:
        config = yaml.safe_load(config_path.read_text())
    except OSError as error:
        return [f"cannot read {config_path}: {error.strerror}"]
    except yaml.YAMLError as error:
        return [f"{config_path} is not YAML: {error}"]
    if not isinstance(config, dict) or not isinstance(config.get("applications"), list):
        return [f"{config_path} has no list `applications`: it is no configuration of Ray Serve"]
    return [f"{config_path}: {problem}" for app in parley_applications(config) for problem in _in_application(app)]


def _in_application(app: dict[str, Any]) -> Iterator[str]:
    args = app.get("args") or {}
    yield from _invalid("args", AppConfig, args)
    for stage in STAGES:
        choice = args.get(stage)
        name = choice.get("engine") if isinstance(choice, dict) else None
        if name and name not in engine_names(stage):
            yield f"args.{stage}.engine: there is no {name!r}, but {', '.join(engine_names(stage))}"
    for deployment in app.get("deployments") or []:
        if deployment.get("name") == "Gateway":
            yield from _invalid("Gateway's user_config", SessionConfig, deployment.get("user_config") or {})
    yield from problems_in(app)


def _invalid(where: str, model: type[BaseModel], values: dict[str, Any]) -> Iterator[str]:
    try:
        model.model_validate(values)
    except ValidationError as error:
        for each in error.errors():
            yield f"{'.'.join([where, *map(str, each['loc'])])}: {each['msg']}"


def _in_address(http: dict[str, Any], config_path: Path) -> list[str]:
    host, port = http.get("host", "0.0.0.0"), http.get("port", 8000)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # As the proxy does: connections of a server just stopped may still be closing.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            change = f"choose another `port` under `http_options` in {config_path}"
            return [f"cannot listen on {host}:{port}: {error.strerror}; stop what uses it, or {change}"]
    return []


def served(config_path: Path, root: Path = ROOT) -> tuple[Path, dict[str, str]]:
    """The configuration to be served, and the variables that Serve's own processes inherit instead of having an
    environment of their own. Where it is not the given one it is written into `.data`.

    Raises ConfigError for an environment of other versions than this process, whose replicas could not be relied on.
    """
    config = yaml.safe_load(config_path.read_text())
    changed, variables = inherited(effective(config, functools.partial(python_here, root=root)))
    if wrong := list(misfits(changed)):
        raise ConfigError("\n".join(wrong))
    if changed == config:
        return config_path, variables
    place = hashlib.sha256(bytes(config_path.resolve())).hexdigest()[:8]
    path = root / ".data" / "effective" / f"{config_path.stem}-{place}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"# Written from {config_path} at its start; a change here is lost.\n{yaml.safe_dump(changed)}")
    return path, variables


def main() -> None:
    """Be `serve run`."""
    load_quickly()
    config_path = Path(sys.argv[1] if len(sys.argv) > 1 else DEFAULT_CONFIG)
    if wrong := problems(config_path):
        _refuse(wrong)
    try:
        config_path, variables = served(config_path)
    except ConfigError as error:
        _refuse(str(error).splitlines())
    os.environ.update({**environment(dict(os.environ)), **variables})
    # Here: Ray reads its environment while it is imported.
    import ray
    from ray.serve.scripts import run

    ray.init(namespace="serve")  # as `serve run` would, which takes the one it finds
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # Ray's own handler kills all at once
    for note in notes_on(config_path):
        print(f"Note: {note}", file=sys.stderr)  # noqa: T201 - there is no log yet
    run.main([str(config_path)], prog_name="serve run")


def _refuse(wrong: list[str]) -> NoReturn:
    sys.exit("\n".join(["Parley cannot start:", *(f"  {problem}" for problem in wrong)]))


if __name__ == "__main__":
    main()
