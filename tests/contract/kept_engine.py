"""An engine that takes a minute to start is started once for all tests, on a loop of its own."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from deployments.runtime.engines import load_engine
from tests.contract.engines_here import options_for

T = TypeVar("T")

IN_ITS_ENVIRONMENT = bool(os.environ.get("PARLEY_TEST_ENGINE"))
PATIENCE = [pytest.mark.timeout(900)] if IN_ITS_ENVIRONMENT else []
"""Marks for tests that may have to wait for the start."""


@dataclass
class _Kept:
    runner: asyncio.Runner
    engine: Any


_kept: dict[tuple[str, str], _Kept] = {}


def run_kept(stage: str, name: str, use: Callable[[Any], Awaitable[T]]) -> T:
    """What `use` gives of the engine, which is started by the first call and goes on behind the last."""
    kept = _kept.get((stage, name))
    if kept is None:
        runner, engine = asyncio.Runner(), load_engine(stage, name, options_for(name))
        runner.run(engine.start())
        kept = _kept[stage, name] = _Kept(runner, engine)
    return kept.runner.run(_awaited(use, kept.engine))


def close_kept() -> None:
    """End them all: at the end of the session, or before a test that closes its engine itself."""
    while _kept:
        _, kept = _kept.popitem()
        kept.runner.run(kept.engine.close())
        kept.runner.close()


async def _awaited(use: Callable[[Any], Awaitable[T]], engine: Any) -> T:
    return await use(engine)
