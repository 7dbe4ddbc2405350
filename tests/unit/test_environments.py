"""Environments of engines: found, compared, made; and the configuration that is served with them."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.environments import extras, requirements, requirements_without_dependencies, variants
from deployments.runtime.engines import STAGES, engine_names, extra_of
from deployments.runtime.errors import ConfigError
from serve_app.environments.effective import ACTOR_OPTIONS, effective, misfits, staffed
from serve_app.environments.environment import ROOT, Environment, mismatch, prepared
from serve_app.environments.preparation import prepare
from tests.environments import made

SHIPPED = (ROOT / "serve_config.yaml").read_text()
DITTO = {"engine": "ditto", "options": {}}
"""The engine with an extra that is always there."""


def shipped(**args: Any) -> dict[str, Any]:
    """The shipped configuration with other engines."""
    config: dict[str, Any] = yaml.safe_load(SHIPPED)
    config["applications"][0]["args"].update(args)
    return config


def entry(config: dict[str, Any], name: str = "Avatar") -> dict[str, Any]:
    """What a configuration says of a deployment."""
    found: dict[str, Any] = next(each for each in config["applications"][0]["deployments"] if each["name"] == name)
    return found


def python_of(extra: str) -> str:
    return f"/envs/{extra}/python"


class TestRequirements:
    def test_every_engine_with_an_extra_can_be_given_its_environment(self) -> None:
        wanted = {extra for stage in STAGES for name in engine_names(stage) if (extra := extra_of(stage, name))}
        assert "ditto" in wanted
        assert wanted <= set(extras())

    def test_they_are_exact_and_name_no_place(self) -> None:
        for extra in extras():
            for path in (requirements(extra), requirements_without_dependencies(extra)):
                for line in path.read_text().splitlines() if path else ():
                    if line and not line.startswith("#"):
                        assert "==" in line, f"{path}: {line} names no exact version"
                        assert "://" not in line
                        assert not line.startswith("-")

    def test_every_extra_stands_in_the_project_too(self) -> None:
        import tomllib

        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        assert set(extras()) <= set(project["optional-dependencies"])

    def test_an_extra_may_have_a_variant_for_machines_without_a_gpu(self) -> None:
        assert variants("ditto") == ("ditto",)
        assert variants("no-such-extra") == ()
        assert variants("vllm") == tuple(extra for extra in ("vllm", "vllm-cpu") if extra in extras())


class TestAnEnvironment:
    def test_one_of_the_same_versions_fits(self, tmp_path: Path) -> None:
        assert mismatch(str(made(tmp_path, "ditto").python)) == ""

    def test_one_with_another_ray_does_not(self, tmp_path: Path) -> None:
        from importlib import metadata

        problem = mismatch(str(made(tmp_path, "ditto", ray="2.59.0").python))
        assert problem.endswith(f"has other versions: Ray 2.59.0 there and {metadata.version('ray')} here")

    def test_one_without_ray_and_parley_does_not(self, tmp_path: Path) -> None:
        environment = made(tmp_path, "ditto")
        (parent,) = environment.folder.glob("lib/*/site-packages/parent.pth")
        parent.unlink()
        problem = mismatch(str(environment.python))
        assert "Ray is missing there" in problem
        assert "Parley is missing there" in problem
        assert "Python" not in problem

    def test_what_is_no_python_is_said(self, tmp_path: Path) -> None:
        assert mismatch("/no/such/python") == "there is no '/no/such/python' that can be run"
        false = tmp_path / "python"
        false.write_text("#!/bin/sh\necho 3\n")
        false.chmod(0o755)
        assert "does not run" in mismatch(str(false))

    def test_a_command_with_arguments_is_left_to_its_author(self) -> None:
        assert mismatch(f"{sys.executable} -X utf8") == ""

    def test_it_is_prepared_when_its_preparation_was_finished(self, tmp_path: Path) -> None:
        assert prepared("ditto", tmp_path) is None
        Environment("ditto", tmp_path).folder.mkdir(parents=True)
        assert prepared("ditto", tmp_path) is None
        Environment("ditto", tmp_path).finish("whole")
        assert prepared("ditto", tmp_path) == Environment("ditto", tmp_path)


class TestPreparation:
    def test_an_extra_that_there_is_not_is_refused_with_those_there_are(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"there is no environment for 'dito', but for: .*ditto"):
            prepare(Environment("dito", tmp_path), print)

    def test_without_a_network_it_says_so_and_what_to_do(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        for name in [name for name in os.environ if name.startswith("PIP_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_RETRIES", "1")
        monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # the port "discard": nobody listens
        with pytest.raises(ConfigError, match=r"pip does not reach the package index.*PIP_FIND_LINKS"):
            prepare(Environment("ditto", tmp_path), print)
        assert prepared("ditto", tmp_path) is None
        out, err = capfd.readouterr()
        assert "Preparing" in out
        assert "No matching distribution" in err, "pip's own words are shown"


class TestImage:
    def test_it_is_built_from_what_is_here_and_makes_environments_as_make_does(self) -> None:
        dockerfile = (ROOT / "cluster/docker/Dockerfile").read_text()
        assert (ROOT / "constraints.txt").is_file()
        assert "--constraint constraints.txt --editable ." in dockerfile
        assert "python -m serve_app.environments" in dockerfile
        assert "python -m serve_app.environments" in (ROOT / "Makefile").read_text()
        assert ".envs" in (ROOT / "cluster/docker/Dockerfile.dockerignore").read_text().split()


class TestEffectiveConfig:
    def test_without_such_an_engine_it_is_the_one_that_was_given(self) -> None:
        config = shipped()
        assert effective(config, python_of) is config

    def test_without_its_environment_too(self) -> None:
        config = shipped(avatar=DITTO)
        assert effective(config, lambda extra: None) is config

    def test_an_engine_with_an_environment_runs_in_it(self) -> None:
        config = shipped(avatar=DITTO)
        served = effective(config, python_of)
        assert entry(served)["ray_actor_options"] == {
            "num_cpus": 0,
            "runtime_env": {"py_executable": "/envs/ditto/python"},
        }
        assert config == shipped(avatar=DITTO), "what was given stays as it is"
        del entry(served)["ray_actor_options"]["runtime_env"]
        assert served == config, "all else too"

    def test_what_the_deployment_says_is_kept(self) -> None:
        config = shipped(avatar=DITTO)
        options = {"num_gpus": 0.25, "runtime_env": {"env_vars": {"A": "1"}}}
        entry(config)["ray_actor_options"] = options
        assert entry(effective(config, python_of))["ray_actor_options"] == {
            "num_gpus": 0.25,
            "runtime_env": {"env_vars": {"A": "1"}, "py_executable": "/envs/ditto/python"},
        }

    @pytest.mark.parametrize("listed", [True, False])
    def test_a_deployment_without_options_keeps_those_of_the_code(self, listed: bool) -> None:
        """Options in a configuration replace the code's as a whole, so they are written out."""
        config = shipped(avatar=DITTO)
        if listed:
            del entry(config)["ray_actor_options"]
        else:
            config["applications"][0]["deployments"] = None
        options = entry(effective(config, python_of))["ray_actor_options"]
        assert options == {**ACTOR_OPTIONS, "runtime_env": {"py_executable": "/envs/ditto/python"}}
        assert ACTOR_OPTIONS == {"num_cpus": 0}

    @pytest.mark.parametrize("of_application", [True, False])
    @pytest.mark.parametrize("own", [{"py_executable": "/mine"}, {"image_uri": "mine"}, {"pip": ["torch"]}])
    def test_who_chooses_a_python_keeps_it(self, own: dict[str, Any], of_application: bool) -> None:
        config = shipped(avatar=DITTO)
        (config["applications"][0] if of_application else entry(config)["ray_actor_options"])["runtime_env"] = own
        assert effective(config, python_of) is config

    def test_other_applications_are_left_alone(self) -> None:
        config = shipped(avatar=DITTO)
        config["applications"].append({"name": "other", "import_path": "other:app", "args": {"asr": 3}})
        assert effective(config, python_of)["applications"][1] == config["applications"][1]

    def test_it_is_told_what_serve_merges(self) -> None:
        """Serve joins the environment variables of the application and of a deployment, and keeps the Python."""
        from ray.serve._private.utils import override_runtime_envs_except_env_vars as merge

        config = effective(shipped(avatar=DITTO), python_of)
        of_app = config["applications"][0]["runtime_env"]
        merged = merge(of_app, entry(config)["ray_actor_options"]["runtime_env"])
        assert merged == {**of_app, "py_executable": "/envs/ditto/python"}

    def test_serve_takes_it(self) -> None:
        from ray.serve.schema import ServeDeploySchema

        ServeDeploySchema.model_validate(effective(shipped(avatar=DITTO), python_of))

    def test_stages_with_packages_of_their_own_are_known(self) -> None:
        assert list(staffed(shipped()["applications"][0]["args"])) == []
        (stage,) = staffed({"avatar": DITTO})
        assert (stage.deployment, stage.extra) == ("Avatar", "ditto")
        assert list(staffed({"avatar": None})) == []


class TestMisfits:
    def test_pythons_of_the_same_versions_are_none(self, tmp_path: Path) -> None:
        python = str(made(tmp_path, "ditto").python)
        assert list(misfits(effective(shipped(avatar=DITTO), lambda extra: python))) == []

    def test_another_version_is_refused_with_the_way_out(self, tmp_path: Path) -> None:
        python = str(made(tmp_path, "ditto", ray="2.59.0").python)
        (problem,) = misfits(effective(shipped(avatar=DITTO), lambda extra: python))
        assert "Avatar's environment:" in problem
        assert "Ray 2.59.0 there" in problem
        assert problem.endswith("prepare it anew: make env ENGINE=ditto")

    @pytest.mark.parametrize("of_application", [True, False])
    def test_one_that_the_configuration_names_is_looked_at_too(self, of_application: bool) -> None:
        config = shipped()
        place = config["applications"][0] if of_application else entry(config, "Asr")["ray_actor_options"]
        place["runtime_env"] = {"py_executable": "/no/such/python"}
        (problem,) = misfits(config)
        assert problem.endswith("there is no '/no/such/python' that can be run")
        assert problem.startswith("the application's" if of_application else "Asr's")
