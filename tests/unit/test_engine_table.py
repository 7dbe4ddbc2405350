"""Which engines `make test-engines` tests, and why not the others."""

import subprocess
import sys
from pathlib import Path

import pytest

from configs.environments import extras
from deployments.runtime.engines import STAGES, engine_names, extra_of
from serve_app.environments.environment import ROOT
from tests.engines.table import EngineTests, engine_table, why_left_out


def test_every_engine_with_an_extra_is_in_the_table() -> None:
    assert {(tests.stage, tests.engine) for tests in engine_table()} == {
        (stage, name) for stage in STAGES for name in engine_names(stage) if extra_of(stage, name)
    }


def test_its_files_are_there_and_its_environment_can_be_made() -> None:
    for tests in engine_table():
        assert tests.extra in extras()
        assert tests.files
        assert all(path.is_file() for path in tests.files)


@pytest.mark.parametrize(
    ("tests", "environ", "said"),
    [
        (EngineTests("avatar", "ditto", "ditto", (Path("t.py"),)), {"PARLEY_DITTO_CHECKOUT": "/d"}, ""),
        (EngineTests("avatar", "ditto", "ditto", (Path("t.py"),)), {}, "PARLEY_DITTO_CHECKOUT is not set"),
        (EngineTests("tts", "xtts", "", (Path("t.py"),)), {}, "configs/environments has no requirements for it"),
        (EngineTests("tts", "xtts", "xtts", ()), {}, "there is neither test_xtts.py nor xtts_models.py"),
        (EngineTests("tts", "xtts", "xtts", (Path("t.py"),)), {}, ""),
    ],
)
def test_what_is_missing_is_said(tests: EngineTests, environ: dict[str, str], said: str) -> None:
    reason = why_left_out(tests, environ)
    assert reason.startswith(said)
    assert bool(reason) == bool(said)


def test_where_nothing_can_be_tested_no_test_is_run_and_it_is_said() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.engines", "ditto"],
        cwd=ROOT,
        env={"PATH": "", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stdout) == (0, "Left out: ditto, because PARLEY_DITTO_CHECKOUT is not set.\n")


def test_an_unknown_engine_is_refused_with_those_there_are() -> None:
    run = subprocess.run([sys.executable, "-m", "tests.engines", "dito"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 1
    assert "is called dito; there are:" in run.stderr
    assert "ditto" in run.stderr
