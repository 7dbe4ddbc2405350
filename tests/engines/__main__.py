"""`make test-engines`: each engine with packages of its own, tested in its environment; then all of them as one graph.

`python -m tests.engines [ENGINE …]`; without a name, all. Where nothing can be tested, no test is run.
"""

import functools
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from serve_app.environments.environment import ROOT, Environment
from tests.engines.table import HERE, EngineTests, engine_table, makes_models

WHOLE_GRAPH = HERE / "test_whole_graph.py"
ENVIRONMENTS = HERE / "test_environments.py"
"""A graph whose stages are in environments of their own, whatever these are."""

_LENIENT = ("-W", "default::ResourceWarning", "-W", "default::pytest.PytestUnraisableExceptionWarning")
"""What an engine's library leaves to be collected when all is over, vLLM its sockets, is not for us to close."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one part went."""

    name: str
    passed: bool
    seconds: float

    def __str__(self) -> str:
        return f"{self.name}: {'passed' if self.passed else 'FAILED'} in {self.seconds:.0f} s"


def main() -> None:
    """Test what can be tested here, and say what could not."""
    named = sys.argv[1:]
    table = engine_table()
    if unknown := sorted(set(named) - {tests.engine for tests in table}):
        known = ", ".join(tests.engine for tests in table)
        sys.exit(f"No engine with an environment of its own is called {', '.join(unknown)}; there are: {known}")
    wanted = [tests for tests in table if not named or tests.engine in named]
    possible = [tests for tests in wanted if not tests.left_out]
    outcomes = [_timed(tests.engine, functools.partial(_tested, tests)) for tests in possible]
    if not named:
        outcomes.append(_timed("environments", lambda: _pytest(sys.executable, [str(ENVIRONMENTS)])))
    if not named and WHOLE_GRAPH.is_file() and any(makes_models(tests.engine) for tests in possible):
        outcomes.append(_timed("the whole graph", lambda: _pytest(sys.executable, [str(WHOLE_GRAPH)])))
    for line in (*(str(outcome) for outcome in outcomes), *_left_out(wanted)):
        print(line)
    sys.exit(0 if all(outcome.passed for outcome in outcomes) else 1)


def _tested(tests: EngineTests) -> bool:
    prepared = subprocess.run([sys.executable, "-m", "serve_app.environments", tests.extra], cwd=ROOT)
    python = str(Environment(tests.extra).python)
    return prepared.returncode == 0 and _pytest(python, [str(path) for path in tests.files], tests.engine)


def _pytest(python: str, arguments: list[str], engine: str = "") -> bool:
    if engine:
        arguments = [*arguments, *_LENIENT]
    environment = {**os.environ, **({"PARLEY_TEST_ENGINE": engine} if engine else {})}
    return subprocess.run([python, "-m", "pytest", *arguments], cwd=ROOT, env=environment).returncode == 0


def _timed(name: str, run: Callable[[], bool]) -> Outcome:
    print(f"== {name}", flush=True)
    began_s = time.monotonic()
    passed = run()
    return Outcome(name, passed, time.monotonic() - began_s)


def _left_out(wanted: list[EngineTests]) -> list[str]:
    return [f"Left out: {tests.engine}, because {tests.left_out}." for tests in wanted if tests.left_out]


if __name__ == "__main__":
    main()
