"""The configuration, and the file that ships with it."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from configs.hardware import HardwareConfig
from configs.schema import AppConfig, EngineChoice
from configs.session import SessionConfig

SHIPPED = yaml.safe_load((Path(__file__).parents[2] / "serve_config.yaml").read_text())
APP = SHIPPED["applications"][0]


def test_the_defaults_are_the_engines_that_need_no_download() -> None:
    config = AppConfig()
    assert (config.asr.engine, config.llm.engine, config.tts.engine) == ("pocketsphinx", "rules", "espeak")


def test_the_shipped_file_is_valid_and_says_the_defaults() -> None:
    assert AppConfig.model_validate(APP["args"]) == AppConfig()
    deployments = {deployment["name"]: deployment for deployment in APP["deployments"]}
    assert set(deployments) == {"Gateway", "Asr", "Llm", "Tts", "Avatar"}
    SessionConfig.model_validate(deployments["Gateway"]["user_config"])


@pytest.mark.parametrize("name", ["instant", "pattern"])
def test_the_files_of_the_benchmarks_are_valid_and_deploy_what_they_name(name: str) -> None:
    file = yaml.safe_load((Path(__file__).parents[2] / "configs" / f"{name}.yaml").read_text())
    (app,) = file["applications"]
    config = AppConfig.model_validate(app["args"])
    deployments = {deployment["name"]: deployment for deployment in app["deployments"]}
    assert set(deployments) == {"Gateway", "Asr", "Llm", "Tts"} | ({"Avatar"} if config.avatar else set())
    SessionConfig.model_validate(deployments["Gateway"]["user_config"])


def test_the_shipped_file_listens_on_loopback_and_limits_no_request_in_time() -> None:
    assert SHIPPED["http_options"] == {"host": "127.0.0.1", "port": 8000}


@pytest.mark.parametrize(
    "wrong",
    [
        {"llms": {"engine": "rules"}},
        {"llm": {"engine": "rules", "model": "x"}},
        {"llm": {"engine": ""}},
        {"gateway": {"max_sessions": 0}},
        {"gateway": {"public_url": "parley.example.org"}},
        {"deadlines": {"llm_s": 0}},
        {"store": {"path": "parley.db"}},
    ],
)
def test_what_cannot_work_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AppConfig.model_validate(wrong)


def test_a_configuration_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        AppConfig().llm.engine = "vllm"  # type: ignore[misc]  # what the test is about


def test_engine_options_are_passed_on_as_they_are() -> None:
    choice = EngineChoice.model_validate({"engine": "openai", "options": {"model": "m", "retries": 2}})
    assert choice.options == {"model": "m", "retries": 2}


@pytest.mark.parametrize(
    ("xdg", "expected"),
    [("/data", "/data/parley/parley.db"), ("relative", "/home/u/.local/share/parley/parley.db"), ("", None)],
)
def test_the_store_is_below_the_data_directory(monkeypatch: pytest.MonkeyPatch, xdg: str, expected: str | None) -> None:
    monkeypatch.setenv("HOME", "/home/u")
    monkeypatch.setenv("XDG_DATA_HOME", xdg)
    assert AppConfig().store.path == Path(expected or "/home/u/.local/share/parley/parley.db")


def test_a_tilde_is_the_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/u")
    assert AppConfig.model_validate({"store": {"path": "~/x.db"}}).store.path == Path("/home/u/x.db")


def test_hardware_begins_with_the_one_head() -> None:
    nodes = [{"name": "front"}, {"name": "gpu", "count": 2, "gpus": 1, "gpu_memory_gib": 22}]
    assert [group.most for group in HardwareConfig.model_validate({"nodes": nodes}).nodes] == [1, 2]
    with pytest.raises(ValidationError, match="'gpu', is the head: one node"):
        HardwareConfig.model_validate({"nodes": nodes[1:]})
    with pytest.raises(ValidationError, match="two groups of nodes have the same name"):
        HardwareConfig.model_validate({"nodes": [*nodes, nodes[1]]})
    with pytest.raises(ValidationError, match="need `gpu_memory_gib`"):
        HardwareConfig.model_validate({"nodes": [{"name": "gpu", "gpus": 1}]})
    with pytest.raises(ValidationError, match="below count"):
        HardwareConfig.model_validate({"nodes": [*nodes[:1], {"name": "more", "count": 3, "max_count": 2}]})
