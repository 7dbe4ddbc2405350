"""Speech in, speech out through the real launcher, with every engine that has been prepared in its own environment.

The models are tiny and random, so the words mean nothing: what is proved is that the processes, each with packages that
the others could not have, hold one conversation. Where an engine is not prepared, its stage runs the embedded one.
"""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.media.audio import VOICE_RATE_HZ
from serve_app.environments.environment import ROOT, Environment
from tests.engines.table import EngineTests, engine_table, makes_models
from tests.serve.launching import launched, read_until, readyz
from tests.serve.processes import free_port
from tests.serve.talking import Client, hold, recording

READY_WITHIN_S = 600
"""vLLM alone takes 35 s on two idle cores."""
TURN_WITHIN_S = 120.0
MODELS_WITHIN_S = 300

MAKE_MODELS = """
import importlib, json, pathlib, sys
models = importlib.import_module(f"tests.engines.{sys.argv[1]}_models")
print(json.dumps(models.options(pathlib.Path(sys.argv[2])), default=str))
"""


def prepared(stage: str) -> list[EngineTests]:
    """The engines of a stage whose environments are there."""
    return [
        tests
        for tests in engine_table()
        if tests.stage == stage and makes_models(tests.engine) and Environment(tests.extra).stamp
    ]


def casts() -> list[tuple[EngineTests, ...]]:
    """Which engines play together: every voice, with the first of the other stages; those that there are."""
    others = [*prepared("asr")[:1], *prepared("llm")[:1]]
    voices = prepared("tts")
    whole = [(*others, voice) for voice in voices] or [tuple(others)]
    return [cast for cast in whole if cast]


def choice_of(tests: EngineTests, folder: Path) -> dict[str, Any]:
    """The engine with its tiny models, which its own environment makes."""
    made = folder / tests.engine
    made.mkdir()
    python = str(Environment(tests.extra).python)
    printed = subprocess.run(
        [python, "-c", MAKE_MODELS, tests.engine, str(made)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        timeout=MODELS_WITHIN_S,
        check=True,
    )
    return {"engine": tests.engine, "options": json.loads(printed.stdout.splitlines()[-1])}


def configuration(cast: tuple[EngineTests, ...], folder: Path) -> Path:
    """The shipped configuration with these engines and time for a slow machine."""
    config = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    config["http_options"]["port"] = free_port()
    config["applications"][0]["args"].update(
        {tests.stage: choice_of(tests, folder) for tests in cast}
        | {"avatar": None, "store": {"path": str(folder / "parley.db")}}
        | {"deadlines": {"asr_s": TURN_WITHIN_S, "llm_s": TURN_WITHIN_S, "tts_s": TURN_WITHIN_S}}
    )
    deployments = config["applications"][0]["deployments"]
    config["applications"][0]["deployments"] = [each for each in deployments if each["name"] != "Avatar"]
    path = folder / "whole_graph.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.mark.timeout(READY_WITHIN_S + 3 * TURN_WITHIN_S)
@pytest.mark.parametrize("cast", casts(), ids=lambda cast: "-".join(tests.engine for tests in cast))
def test_engines_in_environments_of_their_own_hold_a_conversation(
    cast: tuple[EngineTests, ...], tmp_path: Path
) -> None:
    async def two_turns(client: Client) -> None:
        # A random recogniser would hear a random language, which the voice may not speak.
        transcription = {"model": "any", "language": "en"}
        settings = {"type": "realtime", "max_output_tokens": 24, "audio": {"input": {"transcription": transcription}}}
        await client.send(type="session.update", session=settings)
        for name in ("thank_you", "hi_how_are_you"):
            client.sound = b""
            client.say(recording(name))
            heard = await client.until("conversation.item.input_audio_transcription.completed", TURN_WITHIN_S)
            assert heard["transcript"] != ""
            done = await client.until("response.done", TURN_WITHIN_S)
            assert done["response"]["status"] in ("completed", "incomplete"), done
            assert len(client.sound) / 2 / VOICE_RATE_HZ > 0.1, "a voice answers"

    with launched(configuration(cast, tmp_path)) as server:
        said = read_until(server, "Parley ")
        assert said[-1].startswith("Parley is ready: "), "\n".join(said)
        url = said[-1].removeprefix("Parley is ready: ")
        running = {name.lower(): each["engine"] for name, each in readyz(url)["deployments"].items()}
        assert {tests.stage: running[tests.stage] for tests in cast} == {tests.stage: tests.engine for tests in cast}
        hold(url, two_turns, microphone=True)
        server.send_signal(signal.SIGINT)
        server.wait(30)
