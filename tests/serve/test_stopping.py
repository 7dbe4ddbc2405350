"""What ends, ends soon and with a word: replicas rest after an interruption, and clients hear why a Gateway goes."""

import asyncio
import statistics
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from ray import serve
from ray.serve.handle import DeploymentHandle

from configs.schema import AppConfig
from deployments.runtime.calls import call
from deployments.runtime.work import WorkReport
from serve_app.app import build_app
from tests.serve.talking import Client, hold, realtime_address, recording
from tests.serving import Graphs

pytestmark = [pytest.mark.ray, pytest.mark.timeout(120)]

APP = "work"
MODELS = {"first": {"memory_gib": 1}, "second": {"memory_gib": 2, "load_ms": 50}, "broken": {"failing_loads": 99}}
LONG = " ".join(f"word{n}" for n in range(400)) + "."


@pytest.fixture
def url(graphs: Graphs, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A graph whose model and voice take their time, in step with playback."""
    graphs.run(APP, lambda: _slow(tmp_path_factory.mktemp("store") / "parley.db"), f"/{APP}")
    return f"{graphs.url}/{APP}"


def _slow(store: Path) -> Any:
    config = AppConfig.model_validate(
        {
            "asr": {"engine": "fake", "options": {"script": ["stop it please"]}},
            "llm": {"engine": "fake", "options": {"replies": [LONG], "token_ms": 100, "models": MODELS}},
            "tts": {"engine": "fake", "options": {"word_ms": 300, "block_delay_ms": 90}},
            "avatar": None,
            "store": {"path": str(store)},
        }
    )
    return build_app(config)


async def work(stage: str) -> WorkReport:
    """What the stage's one replica does now."""
    handle: DeploymentHandle[Any] = serve.get_deployment_handle(stage, APP)
    report: WorkReport = (await call(handle, "describe", deadline_s=5)).work
    return report


async def busy() -> dict[str, WorkReport]:
    """Both stages are at work on the reply."""
    reports = {stage: await work(stage) for stage in ("Llm", "Tts")}
    assert {stage: report.active for stage, report in reports.items()} == {"Llm": 1, "Tts": 1}
    return reports


async def rested_ms(before: dict[str, WorkReport], since_s: float) -> list[float]:
    """How long after a moment of the wall clock each stage had nothing left to do."""
    times = []
    async with asyncio.timeout(2):
        for stage, earlier in before.items():
            now = await work(stage)
            while now.cancelled == earlier.cancelled:
                await asyncio.sleep(0.01)
                now = await work(stage)
            assert now.rested_s is not None
            assert now.slowest_stop_ms < 50
            times.append(1000 * (now.rested_s - since_s))
    return times


def test_after_an_interruption_the_replicas_rest_within_100_ms(url: str) -> None:
    async def scene(client: Client) -> None:
        await client.ask("tell me everything")
        slowest = []
        for _ in range(3):
            client.sound = b""
            await client.until_sound(1.5)
            before = await busy()
            client.say(recording("no"))
            await client.until("input_audio_buffer.speech_started")  # goes out with the decision
            slowest.append(max(await rested_ms(before, time.time())))
            await client.until("response.done")
        assert statistics.median(slowest) < 100, slowest

    hold(url, scene, microphone=True)


def test_after_a_cancellation_too_counted_from_before_it_is_sent(url: str) -> None:
    async def scene(client: Client) -> None:
        slowest = []
        for _ in range(3):
            client.sound = b""
            await client.ask("tell me everything")
            await client.until_sound(0.5)
            before = await busy()
            asked_s = time.time()
            await client.send(type="response.cancel")
            slowest.append(max(await rested_ms(before, asked_s)))
            await client.until("response.done")
        assert statistics.median(slowest) < 100, slowest

    hold(url, scene)


def test_models_are_listed_loaded_and_unloaded(url: str) -> None:
    def states(answer: httpx.Response) -> dict[str, dict[str, str]]:
        assert answer.status_code == 200, answer.text
        return {each["stage"]: {m["name"]: m["state"] for m in each["models"]} for each in answer.json()["data"]}

    with httpx.Client(base_url=f"{url}/v1/admin", timeout=20) as operator:
        listed = states(operator.get("/models"))
        assert listed["llm"] == {"first": "resident", "second": "absent", "broken": "absent"}
        assert listed["asr"] == listed["tts"] == {"fake": "resident"}
        second = {"stage": "llm", "model": "second"}
        assert states(operator.post("/models/load", json=second))["llm"]["second"] == "resident"
        assert states(operator.post("/models/unload", json=second))["llm"]["second"] == "absent"
        broken = operator.post("/models/load", json={"stage": "llm", "model": "broken"})
        assert broken.status_code == 503
        assert "was told not to load" in broken.json()["error"]["message"]
        only = operator.post("/models/unload", json={"stage": "tts", "model": "fake"})
        assert only.status_code == 409


def test_a_websocket_is_closed_with_a_reason_when_its_replica_stops(url: str, graphs: Graphs) -> None:
    async def until_closed() -> tuple[int | None, str | None]:
        async with websockets.connect(realtime_address(url)) as client:
            deleted = asyncio.create_task(asyncio.to_thread(graphs.delete))
            async for _ in client:
                pass
            await deleted
            return client.close_code, client.close_reason

    code, reason = asyncio.run(until_closed())
    assert code == 1001
    assert reason is not None
    assert "shutting down" in reason
