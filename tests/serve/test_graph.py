"""The graph of `build_app` on real Ray, with scripted engines."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any

import av
import numpy as np
import pytest
import websockets
from ray import serve
from ray.serve.handle import DeploymentHandle

from configs.schema import AppConfig
from deployments.asr.client import AsrClient
from deployments.avatar.client import AvatarClient
from deployments.avatar.contract import BLOCK_SAMPLES, AvatarReply
from deployments.avatar.test_pattern import read_frame_number
from deployments.llm.client import LlmClient
from deployments.llm.contract import Finished, LlmRequest, Message, TextPiece
from deployments.runtime.calls import ServePush, ServeStream
from deployments.runtime.errors import StageUnavailable
from deployments.tts.client import TtsClient
from deployments.tts.contract import SpeechRequest
from serve_app.app import build_app
from serve_app.gateway.readiness import Readiness
from tests.serve.processes import replica_pids

pytestmark = [pytest.mark.ray, pytest.mark.timeout(120)]

APP = "graph"
BLOCK = bytes(2 * 1600)
"""100 ms at 16 kHz."""


@pytest.fixture(scope="module")
def stages(serve_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, DeploymentHandle[Any]]]:
    """The handles of a running graph whose voice is misconfigured."""
    config = AppConfig.model_validate(
        {
            "asr": {"engine": "fake", "options": {"script": ["hello from the graph"]}},
            "llm": {"engine": "fake", "options": {"replies": ["It works. Every part of it."]}},
            "tts": {"engine": "fake", "options": {"rate_hz": 1}},
            "avatar": {"engine": "fake"},
            "store": {"path": str(tmp_path_factory.mktemp("store") / "parley.db")},
        }
    )
    serve.run(build_app(config), name=APP, route_prefix=f"/{APP}")
    yield {name: serve.get_deployment_handle(name, APP) for name in ("Asr", "Llm", "Tts", "Avatar")}
    serve.delete(APP)


def test_each_deployment_says_what_it_runs_and_why_not(stages: dict[str, DeploymentHandle[Any]]) -> None:
    described = asyncio.run(Readiness(stages).describe(10))
    assert {name: (answer.engine, answer.ready) for name, answer in described.items()} == {
        "Asr": ("fake", True),
        "Llm": ("fake", True),
        "Tts": ("fake", False),
        "Avatar": ("fake", True),
    }
    assert "tts engine 'fake': rate_hz: Input should be greater than or equal to 8000" in described["Tts"].problem


def test_a_stage_that_is_not_ready_says_so_to_its_callers(stages: dict[str, DeploymentHandle[Any]]) -> None:
    async def speak() -> None:
        async with aclosing(
            TtsClient(ServeStream(stages["Tts"], "synthesize"), 10).speak(SpeechRequest("hi"))
        ) as sound:
            async for _ in sound:
                pass

    with pytest.raises(StageUnavailable, match=r"tts is not ready: .*rate_hz"):
        asyncio.run(speak())


def test_the_language_model_streams(stages: dict[str, DeploymentHandle[Any]]) -> None:
    async def reply() -> list[Any]:
        request = LlmRequest(messages=(Message("user", "hello"),))
        async with aclosing(LlmClient(ServeStream(stages["Llm"], "generate"), 10).reply(request)) as items:
            return [item async for item in items]

    *pieces, finished = asyncio.run(reply())
    assert "".join(piece.text for piece in pieces if isinstance(piece, TextPiece)) == "It works. Every part of it."
    assert isinstance(finished, Finished)


def test_an_utterance_survives_the_death_of_its_replica(stages: dict[str, DeploymentHandle[Any]]) -> None:
    async def utterance() -> tuple[str, str]:
        spoken = AsrClient(ServePush(stages["Asr"], "push"), deadline_s=40).open("s")
        await spoken.push(BLOCK)
        for pid in replica_pids(APP, "Asr"):
            os.kill(pid, signal.SIGKILL)
        interim = await spoken.push(BLOCK * 5)
        final = await spoken.finalize()
        await spoken.close()
        return interim.text, final.text

    interim, final = asyncio.run(utterance())
    assert interim.startswith("hello")
    assert final == "hello from the graph"


def test_a_face_goes_on_when_its_replica_dies(stages: dict[str, DeploymentHandle[Any]]) -> None:
    async def face() -> list[AvatarReply]:
        shown = AvatarClient(ServePush(stages["Avatar"], "push"), deadline_s=40).open("s")
        replies = [await shown.push(bytes(2 * BLOCK_SAMPLES)) for _ in range(2)]
        for pid in replica_pids(APP, "Avatar"):
            os.kill(pid, signal.SIGKILL)
        replies += [await shown.push(bytes(2 * BLOCK_SAMPLES)) for _ in range(2)]
        await shown.close()
        return replies

    replies = asyncio.run(face())
    assert [reply.n for reply in replies] == [0, 1, 2, 3]
    assert [reply.frames[0].keyframe for reply in replies] == [True, False, True, False]
    decoder = av.CodecContext.create("h264", "r")
    packets = [av.Packet(frame.data) for reply in replies for frame in reply.frames]
    pictures = [picture for packet in [*packets, None] for picture in decoder.decode(packet)]
    shown = [np.asarray(picture.to_ndarray(format="gray"), dtype=np.uint8) for picture in pictures]
    assert [read_frame_number(picture) for picture in shown] == list(range(20))


def test_a_websocket_is_closed_with_a_reason_when_its_replica_stops(
    stages: dict[str, DeploymentHandle[Any]], serve_url: str
) -> None:
    async def until_closed() -> tuple[int | None, str | None]:
        async with websockets.connect(f"ws{serve_url.removeprefix('http')}/{APP}/v1/realtime?model=parley") as client:
            deleted = asyncio.create_task(asyncio.to_thread(serve.delete, APP))
            async for _ in client:
                pass
            await deleted
            return client.close_code, client.close_reason

    code, reason = asyncio.run(until_closed())
    assert code == 1001
    assert reason is not None
    assert "shutting down" in reason
