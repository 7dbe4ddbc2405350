"""Which engines the contract tests hold to their contract: those whose packages this environment has.

An engine with an environment of its own names it in its module's `EXTRA`. `make test` leaves it to `make test-engines`,
which runs the same tests in that environment with PARLEY_TEST_ENGINE naming the engine, and its tiny models from
`options(folder)` of `tests/engines/<engine>_models.py`.
"""

import atexit
import functools
import importlib
import os
import tempfile
from pathlib import Path
from typing import Any

from deployments.runtime.engines import engine_names, extra_of


def engines_here(stage: str) -> tuple[str, ...]:
    """The engines of a stage to be tested here."""
    chosen = os.environ.get("PARLEY_TEST_ENGINE")
    if chosen:
        return tuple(name for name in engine_names(stage) if name == chosen)
    return tuple(name for name in engine_names(stage) if not extra_of(stage, name))


@functools.cache
def options_for(name: str) -> dict[str, Any]:
    """Options that an engine runs with here: those of its tiny models, which are made once and removed at the end, or
    of a server for it to ask. None for an engine that needs neither.
    """
    if not Path(__file__).parents[1].joinpath("engines", f"{name}_models.py").exists():
        return {}
    folder = tempfile.TemporaryDirectory(prefix="parley-models-")
    atexit.register(folder.cleanup)
    models = importlib.import_module(f"tests.engines.{name}_models")
    options: dict[str, Any] = models.options(Path(folder.name))
    return options
