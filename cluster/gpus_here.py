"""The GPUs of this machine, asked of the driver's own tool."""

import os
import subprocess
from collections.abc import Mapping
from typing import Final

_QUERY: Final = ("nvidia-smi", "--query-gpu=index,uuid,memory.total", "--format=csv,noheader,nounits")
_ANSWER_WITHIN_S: Final = 10
"""A driver that starts up takes seconds; one that hangs must not keep the server from saying so."""


def gpus_here(environment: Mapping[str, str] = os.environ) -> tuple[float, ...]:
    """Memory of each GPU that Ray would find, in GiB; empty where there is none, or no driver that answers."""
    try:
        answer = subprocess.run(_QUERY, capture_output=True, text=True, timeout=_ANSWER_WITHIN_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return read_answer(answer.stdout, environment.get("CUDA_VISIBLE_DEVICES"))


def read_answer(lines: str, visible: str | None) -> tuple[float, ...]:
    """Memory in GiB of the lines `index, uuid, MiB` that `visible` names, as CUDA_VISIBLE_DEVICES does; None: all."""
    found = [[part.strip() for part in line.split(",")] for line in lines.splitlines() if line.count(",") == 2]
    if visible is not None:
        wanted = [each.strip() for each in visible.split(",")]
        found = [row for row in found if any(row[0] == each or (each and row[1].startswith(each)) for each in wanted)]
    # Not a number where the memory is the processor's own.
    return tuple(round(int(mib) / 1024, 2) for _, _, mib in found if mib.isdigit())
