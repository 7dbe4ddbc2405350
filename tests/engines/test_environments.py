"""`make run` with stages in environments of their own: one that works, and one whose packages are not there."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.media.audio import VOICE_RATE_HZ
from tests.environments import made, packages_of
from tests.portraits import drawn, png
from tests.serve.launching import READY_WITHIN_S, family, launched, read_until, readyz
from tests.serve.processes import free_port
from tests.serve.talking import Client, hold, recording

pytestmark = [pytest.mark.ray, pytest.mark.timeout(READY_WITHIN_S + 90)]


def staffed(serve_config: dict[str, Any], folder: Path, python: Path, **args: Any) -> Path:
    """The shipped configuration with Asr and Avatar in an environment; where it is written."""
    config = json.loads(json.dumps(serve_config))
    config["http_options"]["port"] = free_port()
    app = config["applications"][0]
    app["args"].update({"store": {"path": str(folder / "parley.db")}, **args})
    for entry in app["deployments"]:
        if entry["name"] in ("Asr", "Avatar"):
            entry["ray_actor_options"]["runtime_env"] = {"py_executable": str(python)}
    path = folder / "serve_config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def test_a_stage_runs_in_its_environment_and_one_without_its_packages_says_how_to_get_them(
    serve_config: dict[str, Any], tmp_path: Path
) -> None:
    environment = made(tmp_path, "ditto")
    record = tmp_path / "pids"
    (packages_of(environment) / "sitecustomize.py").write_text(
        f"import os\nwith open({str(record)!r}, 'a') as record:\n    print(os.getpid(), file=record)\n"
    )
    face = tmp_path / "face.png"
    face.write_bytes(png(drawn()[0]))
    nowhere = str(tmp_path)
    options = {"checkout": nowhere, "weights": nowhere, "cfg_pkl": nowhere, "avatars": {"face": str(face)}}
    avatar = {"engine": "ditto", "options": options}
    with launched(staffed(serve_config, tmp_path, environment.python, avatar=avatar)) as server:
        said = read_until(server, "Parley ")
        url = said[-1].removeprefix("Parley runs at ").partition(" ")[0]
        assert "is not ready: Avatar:" in said[-1]
        body = readyz(url)
        assert {name: each["ready"] for name, each in body["deployments"].items()} == {
            "Gateway": True,
            "Asr": True,
            "Llm": True,
            "Tts": True,
            "Avatar": False,
        }
        problem = body["deployments"]["Avatar"]["problem"]
        assert problem == "the package 'torch' is not installed here; get it with: make env ENGINE=ditto"
        ran_in_it = record.read_text().split()
        assert {name: _pid_of(server.pid, name) in ran_in_it for name in ("Asr", "Llm", "Tts", "Avatar")} == {
            "Asr": True,
            "Llm": False,
            "Tts": False,
            "Avatar": True,
        }
        hold(url, _spoken_turn, microphone=True)
        server.send_signal(signal.SIGINT)
        assert server.wait(20) in (0, -signal.SIGINT, 1)


async def _spoken_turn(client: Client) -> None:
    client.say(recording("thank_you"))
    heard = await client.until("conversation.item.input_audio_transcription.completed", 40)
    assert heard["transcript"].startswith("thank you very")
    await client.until("response.done", 40)
    assert len(client.sound) / 2 / VOICE_RATE_HZ > 0.3


def _pid_of(launcher: int, deployment: str) -> str:
    title = f"ray::ServeReplica:parley:{deployment}"
    (replica,) = (each for each in family(launcher) if " ".join(each.cmdline()).startswith(title))
    return str(replica.pid)
