"""`make models CONFIG=…`: fetch ahead what the engines of a configuration would load, each in its own environment."""

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from configs.schema import AppConfig
from deployments.runtime.engines import STAGES
from serve_app.environments.effective import deployment_entry, effective, misfits, parley_applications
from serve_app.environments.fetching import fetched
from serve_app.launch import DEFAULT_CONFIG, mistakes


def main() -> None:
    """Go through the stages; ends with 1 if any could not have its models."""
    config_path = Path(sys.argv[1] if len(sys.argv) > 1 else DEFAULT_CONFIG)
    if wrong := mistakes(config_path):
        sys.exit("\n".join(wrong))
    config = effective(yaml.safe_load(config_path.read_text()))
    if wrong := list(misfits(config)):
        sys.exit("\n".join(wrong))
    done = [_fetched(app, stage) for app in parley_applications(config) for stage in STAGES]
    sys.exit(0 if all(done) else 1)


def _fetched(app: dict[str, Any], stage: str) -> bool:
    choice = getattr(AppConfig.model_validate(app.get("args") or {}), stage)
    if choice is None:
        return True
    python = _python_of(app, stage)
    if python is None:
        return fetched(stage, choice)
    command = [*shlex.split(python), "-m", "serve_app.environments.fetching", stage]
    return subprocess.run(command, input=choice.model_dump_json(), text=True).returncode == 0


def _python_of(app: dict[str, Any], stage: str) -> str | None:
    """What a stage runs with; None is this Python."""
    entry = deployment_entry(app, stage.capitalize()) or {}
    of_stage = (entry.get("ray_actor_options") or {}).get("runtime_env") or {}
    python: str | None = {**(app.get("runtime_env") or {}), **of_stage}.get("py_executable")
    return python


if __name__ == "__main__":
    main()
