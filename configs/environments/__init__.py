"""What the environments of engines hold: of each extra, the exact versions that were tested.

`<extra>.txt` holds requirements for pip; `<extra>.no-deps.txt` those that are installed without what they ask for;
`<extra>.removed.txt` patterns of files among the packages that are deleted then.
"""

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
_WITHOUT_DEPENDENCIES: Final = ".no-deps"
_REMOVED: Final = ".removed"


def extras() -> tuple[str, ...]:
    """Those that have requirements, sorted."""
    names = {path.stem.removesuffix(_WITHOUT_DEPENDENCIES).removesuffix(_REMOVED) for path in FOLDER.glob("*.txt")}
    return tuple(sorted(names))


def requirements(extra: str) -> Path | None:
    """The file for pip; None where there is none."""
    return _file(f"{extra}.txt")


def requirements_without_dependencies(extra: str) -> Path | None:
    """The file for `pip install --no-deps`; None where there is none."""
    return _file(f"{extra}{_WITHOUT_DEPENDENCIES}.txt")


def removed(extra: str) -> Path | None:
    """The file with patterns of what is deleted after the installation; None where there is none."""
    return _file(f"{extra}{_REMOVED}.txt")


def variants(extra: str) -> tuple[str, ...]:
    """The extras that an engine with this one runs in: it, and the same for machines without a GPU, `<extra>-cpu`."""
    return tuple(name for name in (extra, f"{extra}-cpu") if name in extras())


def _file(name: str) -> Path | None:
    path = FOLDER / name
    return path if path.is_file() else None
