"""One engine at a time starts on a device.

An engine that measures free memory while another allocates takes too much or too little of it (vLLM compares what is
free before and after its profiling run, and fails if another process let go in between).
"""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from deployments.runtime.errors import StageUnavailable


@contextmanager
def start_turn(device: str, within_s: float, folder: Path | None = None) -> Iterator[None]:
    """Hold the machine's turn for a device (a GPU's UUID, or `cpu`) while an engine starts. Blocks: use a thread.

    The system frees the turn of a process that dies. Raises StageUnavailable when it is not had `within_s`.
    """
    name = re.sub(r"[^A-Za-z0-9-]", "_", device)
    lock = FileLock((folder or Path(tempfile.gettempdir())) / f"parley-start-{name}.lock", timeout=within_s, mode=0o666)
    try:
        lock.acquire()
    except Timeout as error:
        raise StageUnavailable(f"another engine has been starting on {device} for {within_s:g} s") from error
    try:
        yield
    finally:
        lock.release()
