"""Every configuration that ships: valid for us, for Serve and for its engines, and it fits its hardware."""

import importlib
import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

from cluster.demands import STAGES
from cluster.start_check import look_at
from configs.schema import AppConfig, EngineChoice
from configs.session import SessionConfig
from deployments.runtime.engines import engine_names

CONFIGS = Path(__file__).parents[2] / "configs"
WAYS = ("local", "local-neural", "gpu-24g", "gpu-80g", "gpu-2x24g", "multi-host", "hosted-llm")
FILES = sorted(CONFIGS.glob("*.yaml"))


def application(path: Path) -> dict[str, Any]:
    (found,) = yaml.safe_load(path.read_text())["applications"]
    assert isinstance(found, dict)
    return found


def choices(path: Path) -> list[tuple[str, EngineChoice]]:
    config = AppConfig.model_validate(application(path).get("args", {}))
    found = [(stage, getattr(config, stage)) for stage in STAGES.values()]
    return [(stage, choice) for stage, choice in found if choice is not None]


def test_every_way_to_run_has_its_file() -> None:
    assert {path.stem for path in FILES} >= set(WAYS)


def test_local_is_what_make_run_runs() -> None:
    assert (CONFIGS / "local.yaml").read_text() == (CONFIGS.parent / "serve_config.yaml").read_text()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
class TestEach:
    def test_serve_takes_it(self, path: Path) -> None:
        schema = ServeDeploySchema.model_validate(yaml.safe_load(path.read_text()))
        assert [app.import_path for app in schema.applications] == ["serve_app.app:build_app"]

    def test_we_take_it(self, path: Path) -> None:
        app = application(path)
        AppConfig.model_validate(app.get("args", {}))
        gateway = next(each for each in app["deployments"] if each["name"] == "Gateway")
        SessionConfig.model_validate(gateway.get("user_config", {}))

    def test_it_deploys_just_the_stages_that_it_has(self, path: Path) -> None:
        stages = {name for name, stage in STAGES.items() if stage in dict(choices(path))}
        assert {each["name"] for each in application(path)["deployments"]} == {"Gateway", *stages}

    def test_it_fits_the_hardware_that_it_names(self, path: Path) -> None:
        placement = look_at(application(path), None)
        assert (placement.problems, placement.notes) == ((), ())

    def test_its_routers_are_those_of_the_graph(self, path: Path) -> None:
        sticky = {each["name"] for each in application(path)["deployments"] if "request_router_config" in each}
        assert sticky == {name for name, stage in STAGES.items() if stage in dict(choices(path))} - {"Tts"}

    def test_what_scales_under_load_does_so_before_people_give_up(self, path: Path) -> None:
        app = application(path)
        scaling = [each["autoscaling_config"] for each in app["deployments"] if "autoscaling_config" in each]
        for each in scaling:
            assert each["upscale_delay_s"] <= 5
            assert each["downscale_delay_s"] >= 60
            assert each["min_replicas"] >= 1, "a cold start takes longer than anybody waits for an answer"
        pushed = app["runtime_env"]["env_vars"].get("RAY_SERVE_HANDLE_AUTOSCALING_METRIC_PUSH_INTERVAL_S")
        assert (pushed is not None) == bool(scaling)


CHOICES = [(path, stage, choice) for path in FILES for stage, choice in choices(path)]
HERE = {stage: engine_names(stage) for stage in STAGES.values()}


@pytest.mark.parametrize(
    ("stage", "choice"),
    [
        pytest.param(stage, each, id=f"{path.stem}-{each.engine}")
        for path, stage, each in CHOICES
        if each.engine in HERE[stage]
    ],
)
def test_the_engine_takes_its_options(stage: str, choice: EngineChoice) -> None:
    engine = importlib.import_module(f"deployments.{stage}.engines.{choice.engine}")
    engine.Config.model_validate(choice.options)


def test_engines_are_those_that_exist_or_are_announced() -> None:
    announced = {"asr": {"faster_whisper"}, "llm": {"vllm", "openai"}, "tts": {"xtts", "piper"}, "avatar": set()}
    named = {(stage, choice.engine) for _, stage, choice in CHOICES}
    known = set(itertools.chain.from_iterable(((s, e) for e in {*HERE[s], *announced[s]}) for s in HERE))
    assert named <= known
