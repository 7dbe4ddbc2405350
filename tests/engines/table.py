"""Which engines have an environment of their own to be tested in, read from their modules and from the files here."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from configs.environments import variants
from deployments.runtime.engines import STAGES, engine_names, extra_of

HERE: Final = Path(__file__).parent
CONTRACT: Final = HERE.parent / "contract"
NEEDS: Final = {"ditto": "PARLEY_DITTO_CHECKOUT"}
"""Environment variables without which there is nothing to test an engine with."""


@dataclass(frozen=True, slots=True)
class EngineTests:
    """An engine, and the files of the tests that hold for it."""

    stage: str
    engine: str
    extra: str
    """Whose environment it is tested in: that for machines without a GPU, where there is one."""
    files: tuple[Path, ...]

    @property
    def left_out(self) -> str:
        """Why it cannot be tested here, in words; empty if it can."""
        return why_left_out(self, os.environ)


def why_left_out(tests: EngineTests, environ: Mapping[str, str]) -> str:
    """What is missing, in words."""
    if not tests.extra:
        return "configs/environments has no requirements for it"
    if not tests.files:
        return f"there is neither test_{tests.engine}.py nor {tests.engine}_models.py in tests/engines"
    variable = NEEDS.get(tests.engine)
    if variable and not environ.get(variable):
        return f"{variable} is not set"
    return ""


def engine_table() -> tuple[EngineTests, ...]:
    """All engines that declare an extra, in the order of the stages."""
    return tuple(
        EngineTests(stage, name, (variants(extra) or ("",))[-1], _files(stage, name))
        for stage in STAGES
        for name in engine_names(stage)
        if (extra := extra_of(stage, name))
    )


def makes_models(engine: str) -> bool:
    """Whether its tiny models can be made, which the contract tests of its stage and the whole graph are run with."""
    path = HERE / f"{engine}_models.py"
    return path.is_file() and "\ndef options(" in path.read_text()


def _files(stage: str, engine: str) -> tuple[Path, ...]:
    own = HERE / f"test_{engine}.py"
    contract = [CONTRACT / f"test_{stage}_engines.py"] if makes_models(engine) else []
    return (*contract, *([own] if own.is_file() else []))
