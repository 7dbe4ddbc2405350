"""Environments made in tests, without a network: a Python of their own that sees the packages of the running one."""

import sysconfig
import venv
from pathlib import Path

from serve_app.environments.environment import ROOT, Environment


def made(root: Path, extra: str, *, ray: str = "") -> Environment:
    """A prepared environment under a root; `ray` makes its metadata name another version of Ray."""
    environment = Environment(extra, root)
    venv.EnvBuilder(symlinks=True, with_pip=False).create(environment.folder)
    packages = packages_of(environment)
    (packages / "parent.pth").write_text(f"{ROOT}\n{sysconfig.get_path('purelib')}\n")
    if ray:
        other = packages / f"ray-{ray}.dist-info"
        other.mkdir()
        (other / "METADATA").write_text(f"Metadata-Version: 2.1\nName: ray\nVersion: {ray}\n")
    environment.finish("made in a test")
    return environment


def packages_of(environment: Environment) -> Path:
    """Where its own packages are."""
    base = str(environment.folder)
    return Path(sysconfig.get_path("purelib", "venv", vars={"base": base, "platbase": base}))
