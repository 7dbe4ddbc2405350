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
from ray import serve
from ray.serve.handle import DeploymentHandle

from configs.schema import EngineChoice
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
from deployments.tts.deployment import Tts
from serve_app.gateway.readiness import Readiness
from tests.serve.conftest import SCRIPTED
from tests.serve.processes import replica_pids

pytestmark = [pytest.mark.ray, pytest.mark.timeout(120)]

BLOCK = bytes(2 * 1600)
"""100 ms at 16 kHz."""


@pytest.fixture
def stages(scripted_url: str) -> dict[str, DeploymentHandle[Any]]:
    """The handles of a running graph."""
    return {name: serve.get_deployment_handle(name, SCRIPTED) for name in ("Asr", "Llm", "Tts", "Avatar")}


@pytest.fixture(scope="module")
def misconfigured(serve_url: str) -> Iterator[DeploymentHandle[Any]]:
    """A voice whose option is out of range."""
    choice = EngineChoice(engine="fake", options={"rate_hz": 1})
    deployment = serve.deployment(name="Tts", ray_actor_options={"num_cpus": 0})(Tts)
    yield serve.run(deployment.bind(choice), name="misconfigured", route_prefix=None)
    serve.delete("misconfigured")


def test_each_deployment_says_what_it_runs_and_why_not(
    stages: dict[str, DeploymentHandle[Any]], misconfigured: DeploymentHandle[Any]
) -> None:
    described = asyncio.run(Readiness({**stages, "Other": misconfigured}).describe(10))
    assert {name: (answer.engine, answer.ready) for name, answer in described.items()} == {
        "Asr": ("fake", True),
        "Llm": ("fake", True),
        "Tts": ("fake", True),
        "Avatar": ("fake", True),
        "Other": ("fake", False),
    }
    assert "tts engine 'fake': rate_hz: Input should be greater than or equal to 8000" in described["Other"].problem


def test_a_stage_that_is_not_ready_says_so_to_its_callers(misconfigured: DeploymentHandle[Any]) -> None:
    async def speak() -> None:
        async with aclosing(
            TtsClient(ServeStream(misconfigured, "synthesize"), 10).speak(SpeechRequest("hi"))
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
    assert "".join(piece.text for piece in pieces if isinstance(piece, TextPiece)) == "It is noon. Every clock says so."
    assert isinstance(finished, Finished)


def test_an_utterance_survives_the_death_of_its_replica(stages: dict[str, DeploymentHandle[Any]]) -> None:
    async def utterance() -> tuple[str, str]:
        spoken = AsrClient(ServePush(stages["Asr"], "push"), deadline_s=40).open("s")
        await spoken.push(BLOCK)
        for pid in replica_pids(SCRIPTED, "Asr"):
            os.kill(pid, signal.SIGKILL)
        interim = await spoken.push(BLOCK * 5)
        final = await spoken.finalize()
        await spoken.close()
        return interim.text, final.text

    interim, final = asyncio.run(utterance())
    assert interim.startswith("what")
    assert final == "what time is it"


def test_a_face_goes_on_when_its_replica_dies(stages: dict[str, DeploymentHandle[Any]]) -> None:
    async def face() -> list[AvatarReply]:
        shown = AvatarClient(ServePush(stages["Avatar"], "push"), deadline_s=40).open("s")
        replies = [await shown.push(bytes(2 * BLOCK_SAMPLES)) for _ in range(2)]
        for pid in replica_pids(SCRIPTED, "Avatar"):
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
