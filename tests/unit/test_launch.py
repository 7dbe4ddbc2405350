"""What is looked at before the server starts."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app.environments.effective import effective
from serve_app.launch import ENVIRONMENT, environment, problems, served
from tests.environments import made
from tests.serve.processes import ROOT, free_port


def written(path: Path, **args: Any) -> Path:
    """The shipped configuration on a free port, with other `args`."""
    config = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    config["http_options"]["port"] = free_port()
    config["applications"][0]["args"].update(args)
    path.write_text(yaml.safe_dump(config))
    return path


def test_what_the_user_has_set_stays() -> None:
    assert ENVIRONMENT.items() <= environment({}).items()
    assert environment({"RAY_USAGE_STATS_ENABLED": "1"})["RAY_USAGE_STATS_ENABLED"] == "1"


def test_a_long_temporary_directory_is_not_for_ray() -> None:
    assert environment({"TMPDIR": "/" + "x" * 80})["RAY_TMPDIR"] == "/tmp"
    assert "RAY_TMPDIR" not in environment({"TMPDIR": "/var/tmp"})


def test_the_shipped_configuration_has_no_problems(tmp_path: Path) -> None:
    assert problems(written(tmp_path / "config.yaml")) == []


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"llm": {"engine": "rulez"}}, "args.llm.engine: there is no 'rulez', but fake"),
        ({"llm": {}}, "args.llm.engine: Field required"),
        ({"lmm": {"engine": "rules"}}, "args.lmm: Extra inputs are not permitted"),
        ({"store": {"path": "here.db"}}, "args.store.path"),
    ],
)
def test_a_mistake_in_the_arguments_is_named(tmp_path: Path, args: dict[str, Any], said: str) -> None:
    (problem,) = problems(written(tmp_path / "config.yaml", **args))
    assert said in problem


def test_budgets_over_the_gpu_are_refused_with_the_sum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "elsewhere:6379")  # the GPUs of this machine are not asked for
    nodes = [{"name": "gpu", "gpus": 1, "gpu_memory_gib": 22}]
    llm = {"engine": "fake", "gpu_memory_gib": 23.5}
    path = written(tmp_path / "config.yaml", llm=llm, hardware={"nodes": nodes})
    config = yaml.safe_load(path.read_text())
    (entry,) = [each for each in config["applications"][0]["deployments"] if each["name"] == "Llm"]
    entry["ray_actor_options"] = {"num_gpus": 0.5}
    path.write_text(yaml.safe_dump(config))
    (problem,) = problems(path)
    assert "a GPU of 'gpu' has 22 GiB and may get Llm 23.5 = 23.5 GiB" in problem


def test_a_mistake_in_the_live_part_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "config.yaml")
    config = yaml.safe_load(path.read_text())
    config["applications"][0]["deployments"][0]["user_config"] = {"instruction": "Be brief."}
    path.write_text(yaml.safe_dump(config))
    assert problems(path) == [f"{path}: Gateway's user_config.instruction: Extra inputs are not permitted"]


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    path = written(tmp_path / "config.yaml")
    port = yaml.safe_load(path.read_text())["http_options"]["port"]

    async def while_used() -> list[str]:
        server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", port)
        async with server:
            return problems(path)

    (problem,) = asyncio.run(while_used())
    assert f"cannot listen on 127.0.0.1:{port}" in problem


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "no list `applications`"), ("[", "is not YAML"), ("applications: 3", "no list `applications`")],
)
def test_what_is_no_configuration_is_said(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    (problem,) = problems(path)
    assert said in problem


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    assert problems(tmp_path / "none.yaml") == [f"cannot read {tmp_path / 'none.yaml'}: No such file or directory"]


def test_a_configuration_without_environments_is_served_as_it_is(tmp_path: Path) -> None:
    path = written(tmp_path / "config.yaml")
    config = yaml.safe_load(path.read_text())
    del config["controller_options"]
    path.write_text(yaml.safe_dump(config))
    assert served(path, tmp_path) == (path, {})
    assert not (tmp_path / ".data").exists()


def test_serves_own_processes_inherit_their_variables(tmp_path: Path) -> None:
    """Ray has processes ready for those only that have no environment."""
    path = written(tmp_path / "config.yaml")
    config = yaml.safe_load(path.read_text())
    there, variables = served(path, tmp_path)
    assert variables == config.pop("controller_options")["runtime_env"]["env_vars"]
    assert yaml.safe_load(there.read_text()) == config


def test_two_configurations_of_one_name_are_kept_apart(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    places = [served(written(tmp_path / folder / "config.yaml"), tmp_path)[0] for folder in "ab"]
    assert places[0] != places[1]


def test_an_environment_with_more_than_variables_stays(tmp_path: Path) -> None:
    path = written(tmp_path / "config.yaml")
    config = yaml.safe_load(path.read_text())
    config["controller_options"] = {"runtime_env": {"env_vars": {"A": "b"}, "py_executable": "python"}}
    path.write_text(yaml.safe_dump(config))
    assert served(path, tmp_path) == (path, {})


def test_one_with_an_environment_is_written_anew(tmp_path: Path) -> None:
    environment = made(tmp_path, "ditto")
    path = written(tmp_path / "config.yaml", avatar={"engine": "ditto", "options": {}})
    there, _ = served(path, tmp_path)
    assert there.parent == tmp_path / ".data" / "effective"
    assert there.read_text().startswith(f"# Written from {path} at its start")
    changed = effective(yaml.safe_load(path.read_text()), lambda extra: str(environment.python))
    del changed["controller_options"]
    assert yaml.safe_load(there.read_text()) == changed


def test_workers_are_started_ahead_where_cores_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, ahead in ((2, True), (4, True), (64, False)):
        monkeypatch.setattr("os.cpu_count", lambda count=cores: count)
        assert ("RAY_enable_worker_prestart" in environment({})) is ahead


def test_an_environment_of_another_ray_is_refused_at_the_start(tmp_path: Path) -> None:
    environment = made(tmp_path, "ditto", ray="2.59.0")
    path = written(tmp_path / "config.yaml")
    config = yaml.safe_load(path.read_text())
    asr = config["applications"][0]["deployments"][1]["ray_actor_options"]
    asr["runtime_env"] = {"py_executable": str(environment.python)}
    path.write_text(yaml.safe_dump(config))
    run = subprocess.run(
        [sys.executable, "-m", "serve_app.launch", str(path)], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 1
    assert run.stdout == ""
    said, why = run.stderr.splitlines()
    assert said == "Parley cannot start:"
    assert why.startswith(f"  Asr's environment: {environment.python} has other versions: Ray 2.59.0 there and ")


def test_sigterm_ends_it_as_ctrl_c_does(tmp_path: Path) -> None:
    """With a stand-in for Ray that takes SIGTERM for itself, as Ray does, and for its command, which waits."""
    (tmp_path / "ray" / "serve").mkdir(parents=True)
    (tmp_path / "ray" / "__init__.py").write_text(
        "import signal, sys\ndef init(**_):\n    signal.signal(signal.SIGTERM, lambda *_: sys.exit('killed'))\n"
    )
    (tmp_path / "ray" / "serve" / "__init__.py").touch()
    (tmp_path / "ray" / "serve" / "scripts.py").write_text(
        "import time\n"
        "class run:\n"
        "    def main(args, prog_name):\n"
        "        try:\n"
        "            print(prog_name, *args, flush=True)\n"
        "            time.sleep(60)\n"
        "        except KeyboardInterrupt:\n"
        "            print('closing', flush=True)\n"
    )
    path = written(tmp_path / "config.yaml")
    env = {"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": ""}
    with subprocess.Popen(
        [sys.executable, "-m", "serve_app.launch", str(path)], cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"serve run {served(path)[0]}\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "closing\n"
        assert process.wait(10) == 0
