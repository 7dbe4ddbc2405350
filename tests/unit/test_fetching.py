"""`make models`: what is fetched, how it goes, and the words when it cannot."""

import asyncio
import importlib
import subprocess
import sys
import types
import urllib.error
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ConfigDict

import deployments.tts.engines
from configs.schema import EngineChoice
from deployments.runtime.engines import Progress
from deployments.runtime.errors import ConfigError
from serve_app.environments.environment import ROOT
from serve_app.environments.fetching import ProgressLines, fetch, is_of_network

NAME = "fetched_in_a_test"


class Config(BaseModel):
    """Of an engine whose model takes some fetching."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fails: str = ""


async def download(config: Config, progress: Progress) -> None:
    """Three pieces, or an error on the way."""
    for done in (100_000, 1_000_000, 2_000_000):
        progress("voice.onnx", done, 2_000_000)
        await asyncio.sleep(0)
    if config.fails == "network":
        raise RuntimeError("no answer") from urllib.error.URLError("nobody there")
    if config.fails == "package":
        importlib.import_module("no_such_package")
    if config.fails == "bug":
        raise ZeroDivisionError


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine's module with this download, beside the real ones."""
    (tmp_path / f"{NAME}.py").write_text('EXTRA = "piper"\n')
    module: Any = types.ModuleType(f"deployments.tts.engines.{NAME}")
    module.Config, module.download = Config, download
    module.__spec__ = types.SimpleNamespace(origin=str(tmp_path / f"{NAME}.py"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(deployments.tts.engines, "__path__", [*deployments.tts.engines.__path__, str(tmp_path)])


def fetched(fails: str = "") -> list[str]:
    said: list[str] = []
    asyncio.run(fetch("tts", EngineChoice(engine=NAME, options={"fails": fails}), said.append))
    return said


def test_an_engine_without_models_says_so() -> None:
    said: list[str] = []
    asyncio.run(fetch("llm", EngineChoice(engine="rules"), said.append))
    assert said == ["llm engine 'rules': nothing to fetch"]


def test_progress_is_told_and_the_end(engine: None) -> None:
    assert fetched() == [
        "  voice.onnx: 0.1 of 2.0 MB",
        "  voice.onnx: 2.0 of 2.0 MB",
        f"tts engine '{NAME}': its models are here",
    ]


def test_progress_is_told_every_two_seconds_for_each_thing() -> None:
    said: list[str] = []
    now_s = 0.0
    progress = ProgressLines(said.append, lambda: now_s)
    for second in range(5):
        now_s = float(second)
        progress("a", second * 1_000_000, None)
    progress("b", 0, 5)
    assert said == ["  a: 0.0 MB", "  a: 2.0 MB", "  a: 4.0 MB", "  b: 0.0 of 0.0 MB"]


def test_without_a_network_it_says_what_to_do(engine: None) -> None:
    with pytest.raises(ConfigError) as raised:
        fetched("network")
    assert "its model cannot be fetched: no answer" in str(raised.value)
    assert "copy its folder to this machine, and name the folder in the options of args.tts" in str(raised.value)
    assert isinstance(raised.value.__cause__, RuntimeError)


def test_a_missing_package_is_named(engine: None) -> None:
    with pytest.raises(
        ConfigError, match=r"'no_such_package' is not installed here; get it with: make env ENGINE=piper"
    ):
        fetched("package")


def test_a_mistake_of_the_engine_is_not_called_the_networks(engine: None) -> None:
    with pytest.raises(ZeroDivisionError):
        fetched("bug")


@pytest.mark.parametrize(
    ("error", "of_network"),
    [
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (FileNotFoundError("no such folder"), False),
        (OSError(28, "No space left on device"), False),
        (ValueError(), False),
    ],
)
def test_errors_of_the_network_are_told_from_others(error: Exception, of_network: bool) -> None:
    assert is_of_network(error) is of_network


def test_the_clients_own_errors_are_the_networks() -> None:
    import httpx

    assert is_of_network(httpx.ConnectError("no route"))


def test_one_engine_can_be_fetched_for_in_another_python() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "serve_app.environments.fetching", "tts"],
        cwd=ROOT,
        input=EngineChoice(engine="espeak").model_dump_json(),
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stdout) == (0, "tts engine 'espeak': nothing to fetch\n"), run.stderr


def make_models(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "serve_app.environments.models", str(path)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_every_stage_of_a_configuration_is_gone_through() -> None:
    run = make_models(ROOT / "serve_config.yaml")
    assert run.returncode == 0, run.stderr
    assert [line.partition(":")[0] for line in run.stdout.splitlines()] == [
        "asr engine 'pocketsphinx'",
        "llm engine 'rules'",
        "tts engine 'espeak'",
        "avatar engine 'portrait'",
    ]


def test_a_mistake_in_the_configuration_is_said(tmp_path: Path) -> None:
    config = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    config["applications"][0]["args"]["tts"] = {"engine": "espeek"}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    run = make_models(path)
    assert run.returncode == 1
    assert "args.tts.engine: there is no 'espeek', but" in run.stderr
