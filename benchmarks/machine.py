"""What the figures were measured on."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import psutil


def describe() -> dict[str, str | int | float]:
    """Processor, cores, memory, GPU and the versions that matter."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "gpu": _gpu(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "ray": version("ray"),
        "parley": version("parley"),
    }


def line() -> str:
    """The same in one line, for a table's caption."""
    about = describe()
    return (
        f"{about['cores']} cores of {about['processor']}, {about['memory_gib']} GiB, GPU: {about['gpu']}, "
        f"Python {about['python']}, Ray {about['ray']}"
    )


def _processor() -> str:
    for text in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = text.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def _gpu() -> str:
    # The driver's own files: no package is needed to read a name.
    names = [
        value.strip()
        for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
        for name, _, value in (text.partition(":") for text in path.read_text(encoding="utf-8").splitlines())
        if name.strip() == "Model"
    ]
    return ", ".join(names) or "none"
