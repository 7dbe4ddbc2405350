"""One environment: where it is, and whether it fits the process that asks."""

import json
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Final

from configs.environments import variants

ROOT: Final = Path(__file__).parents[2]
"""The checkout."""
_STAMP: Final = "parley-environment.json"
_ASK_TIMEOUT_S: Final = 60
"""For a Python that starts while the machine is busy; by itself 0.1 s."""

# Runs in the other Python, which may lack any package.
_ASK: Final = """
import json, sys
from importlib import metadata
def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
python = ".".join(map(str, sys.version_info[:3]))
print(json.dumps({"python": python, "ray": version("ray"), "parley": version("parley")}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """What must be the same in all processes of one graph; empty where it is not installed."""

    python: str
    ray: str
    parley: str


def versions_here() -> Versions:
    """Those of this process."""
    python = ".".join(map(str, sys.version_info[:3]))
    return Versions(python=python, ray=metadata.version("ray"), parley=metadata.version("parley"))


def mismatch(py_executable: str) -> str:
    """Why a Python cannot run a stage of a graph that this process starts, in words; empty if it can.

    `py_executable` is a shell's command line, as in a `runtime_env`; one with arguments is not asked.
    """
    command = shlex.split(py_executable)
    if not command or shutil.which(command[0]) is None:
        return f"there is no {py_executable!r} that can be run"
    if len(command) > 1:
        return ""
    try:
        answer = subprocess.run(
            [command[0], "-I", "-c", _ASK], capture_output=True, text=True, timeout=_ASK_TIMEOUT_S, check=True
        )
        there = Versions(**json.loads(answer.stdout))
    except (OSError, subprocess.SubprocessError, ValueError, TypeError) as error:
        return f"{py_executable} does not run: {error}"
    here = versions_here()
    differ = [
        f"{label} {theirs or 'is missing'} there and {ours} here"
        for label, theirs, ours in (
            ("Python", there.python, here.python),
            ("Ray", there.ray, here.ray),
            ("Parley", there.parley, here.parley),
        )
        if theirs != ours
    ]
    return f"{py_executable} has other versions: {'; '.join(differ)}" if differ else ""


@dataclass(frozen=True)
class Environment:
    """A folder with a Python and one engine's packages."""

    extra: str
    root: Path = ROOT
    """The checkout that it belongs to."""

    @cached_property
    def folder(self) -> Path:
        """Where it is or would be."""
        return self.root / ".envs" / self.extra

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def stamp(self) -> str:
        """What its last preparation was finished with; empty where there was none."""
        try:
            return (self.folder / _STAMP).read_text()
        except OSError:
            return ""

    def finish(self, stamp: str) -> None:
        """Say that it is whole."""
        (self.folder / _STAMP).write_text(stamp)


def prepared(extra: str, root: Path = ROOT) -> Environment | None:
    """The environment for engines with this extra, if one has been prepared; the one for a GPU before the other."""
    environments = (Environment(variant, root) for variant in variants(extra) or (extra,))
    return next((environment for environment in environments if environment.stamp), None)
