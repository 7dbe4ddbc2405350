"""What `make env ENGINE=…` does: a virtual environment of the running Python, with what one extra asks for."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Final

from configs.environments import extras, removed, requirements, requirements_without_dependencies
from deployments.runtime.errors import ConfigError
from serve_app.environments.environment import Environment, mismatch, versions_here

_NO_CONNECTION: Final = (
    "Failed to establish a new connection",
    "Name or service not known",
    "Temporary failure in name resolution",
    "Connection refused",
    "Network is unreachable",
    "timed out",
    "ProxyError",
)
_NOTHING_FOUND: Final = (
    "(from versions: none)",
    "Max retries exceeded",
    "Could not install packages due to an OSError",
)
"""Of what pip says, over several of its versions: one of each, and it did not reach the package index."""

Say = Callable[[str], None]


def prepare(environment: Environment, say: Say) -> None:
    """Make an environment, or leave it if it is as it would be made.

    Raises ConfigError for an extra that there is not, and for packages that cannot be had, saying why.
    """
    if environment.extra not in extras():
        raise ConfigError(f"there is no environment for {environment.extra!r}, but for: {', '.join(extras())}")
    wanted = _stamp_of(environment)
    if environment.stamp == wanted and not mismatch(str(environment.python)):
        say(f"{environment.folder} is ready.")
        return
    say(f"Preparing {environment.folder} (minutes; some packages are gigabytes) …")
    shutil.rmtree(environment.folder, ignore_errors=True)
    _make_folder(environment)
    for arguments in _installations(environment):
        _pip(environment, arguments)
    _remove(environment)
    if problem := mismatch(str(environment.python)):
        raise ConfigError(f"what {environment.extra} asks for does not fit Parley: {problem}")
    environment.finish(wanted)
    say(f"{environment.folder} is ready.")


def _stamp_of(environment: Environment) -> str:
    """All that decides what would be installed."""
    extra = environment.extra
    files = (requirements(extra), requirements_without_dependencies(extra), removed(extra))
    digest = hashlib.sha256("\0".join(path.read_text() for path in files if path).encode()).hexdigest()
    return json.dumps({**asdict(versions_here()), "parent": _parent(), "requirements": digest})


def _parent() -> list[str]:
    """Where the packages of the running Python are; some systems have two places."""
    return list(dict.fromkeys((sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))))


def _make_folder(environment: Environment) -> None:
    # Without pip: it is seen in the parent, and installs into the environment whose Python runs it.
    venv.EnvBuilder(symlinks=True, with_pip=False).create(environment.folder)
    # Ray is the parent's own, and so cannot be another. What the environment has itself comes first on the path.
    (_packages(environment) / "parley-parent.pth").write_text("".join(f"{folder}\n" for folder in _parent()))


def _packages(environment: Environment) -> Path:
    """Where an environment's own packages are."""
    folders = {"base": str(environment.folder), "platbase": str(environment.folder)}
    return Path(sysconfig.get_path("purelib", "venv", vars=folders))


def _remove(environment: Environment) -> None:
    path = removed(environment.extra)
    lines = path.read_text().splitlines() if path else []
    for pattern in (line for line in lines if line and not line.startswith("#")):
        for file in _packages(environment).glob(pattern):
            file.unlink()


def _installations(environment: Environment) -> list[list[str]]:
    """Arguments of `pip install`, in order."""
    constraint = environment.folder / "constraint.txt"
    constraint.write_text(f"ray=={versions_here().ray}\n")
    ray = ["--constraint", str(constraint)]
    steps = []
    if path := requirements(environment.extra):
        steps.append([*ray, "--requirement", str(path)])
    if path := requirements_without_dependencies(environment.extra):
        steps.append([*ray, "--no-deps", "--requirement", str(path)])
    if (environment.root / "pyproject.toml").is_file():
        steps.append(["--no-deps", "--quiet", "--editable", str(environment.root)])
    return steps


def _pip(environment: Environment, arguments: list[str]) -> None:
    """Show what pip says as it comes, and keep what it says of errors."""
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    command = [str(environment.python), "-m", "pip", "install", "--disable-pip-version-check", *arguments]
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True, errors="replace") as process:
        assert process.stderr is not None
        lines: list[str] = []
        for line in process.stderr:
            sys.stderr.write(line)
            lines = [*lines[-200:], line]
    if process.returncode == 0:
        return
    said = "".join(lines)
    if any(sign in said for sign in _NO_CONNECTION) and any(sign in said for sign in _NOTHING_FOUND):
        raise ConfigError(
            f"pip does not reach the package index, so there is no environment for {environment.extra}: try again with "
            "a network, or name an index or a folder of wheels of your own to pip (PIP_INDEX_URL; PIP_FIND_LINKS)"
        )
    raise ConfigError(f"pip cannot install what {environment.extra} asks for; it says why above")
