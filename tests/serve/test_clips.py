"""Avatars, clips and single turns over HTTP on real Ray, with scripted engines."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from ray import serve
from ray.serve.handle import DeploymentHandle

from deployments.runtime.calls import call
from deployments.runtime.work import WorkReport
from tests.files_scene import picture, recording, watched
from tests.serve.conftest import SCRIPTED

pytestmark = [pytest.mark.ray, pytest.mark.timeout(120)]

WORDS = " ".join(f"word{n}" for n in range(30)) + "."


async def work(stage: str) -> WorkReport:
    """What the stage's one replica does now."""
    handle: DeploymentHandle[Any] = serve.get_deployment_handle(stage, SCRIPTED)
    report: WorkReport = (await call(handle, "describe", deadline_s=5)).work
    return report


async def speaks() -> bool:
    """The voice is at work, now or soon: a film's first bytes are its header."""
    for _ in range(100):
        if (await work("Tts")).active:
            return True
        await asyncio.sleep(0.02)
    return False


@asynccontextmanager
async def asking(url: str) -> AsyncIterator[httpx.Response]:
    """A clip of 6 s, as it arrives."""
    async with (
        httpx.AsyncClient(base_url=url, timeout=30) as client,
        client.stream("POST", "/v1/avatar/clips", json={"input": WORDS}) as answer,
    ):
        yield answer


def test_an_uploaded_avatar_says_something(scripted_url: str) -> None:
    with httpx.Client(base_url=scripted_url, timeout=30) as client:
        sent = client.post("/v1/avatars", files={"picture": picture(400, 600, ".jpg")}, data={"name": "Ann"})
        assert sent.status_code == 201, sent.text
        avatar = sent.json()["id"]
        listed = client.get("/v1/avatars").json()["data"]
        assert [each["id"] for each in listed] == ["pattern", "torn", avatar]
        assert client.get(f"/v1/avatars/{avatar}/preview").headers["content-type"] == "image/jpeg"
        clip = client.post("/v1/avatar/clips", json={"input": "one two three", "avatar": avatar})
        assert watched(clip.content).numbers == list(range(20))
        assert client.delete(f"/v1/avatars/{avatar}").status_code == 200
        gone = client.post("/v1/avatar/clips", json={"input": "one two three", "avatar": avatar})
        assert gone.json()["error"]["code"] == "avatar_not_found"


def test_a_clip_comes_while_it_is_made(scripted_url: str) -> None:
    async def main() -> None:
        async with asking(scripted_url) as answer:
            assert answer.headers["content-type"] == "video/mp4"
            pieces = answer.aiter_bytes()
            film = [await anext(pieces)]
            assert await speaks(), "it is still speaking"
            film += [piece async for piece in pieces]
        assert watched(b"".join(film)).numbers == list(range(5 * 31))

    asyncio.run(main())


def test_when_the_client_leaves_the_stages_rest(scripted_url: str) -> None:
    async def main() -> None:
        before = await work("Tts")
        async with asking(scripted_url) as answer:
            pieces = answer.aiter_bytes()  # held: dropped, it would close the response by itself
            await anext(pieces)
            assert await speaks()
        for _ in range(100):
            after = await work("Tts")
            if not after.active:
                break
            await asyncio.sleep(0.02)
        assert after.active == 0
        assert after.cancelled == before.cancelled + 1
        pushes = (await work("Avatar")).rested_s
        await asyncio.sleep(0.5)
        assert (await work("Avatar")).rested_s == pushes, "nothing more was pushed"

    asyncio.run(main())


def test_a_question_is_answered_in_one_request(scripted_url: str) -> None:
    files = {"audio": ("question.wav", recording(40, 24_000))}
    answer = httpx.post(f"{scripted_url}/api/v1/conversation", files=files, data={"video": "true"}, timeout=30).json()
    assert (answer["transcript"], answer["reply"]) == ("what time is it", "It is noon. Every clock says so.")
    assert watched(base64.b64decode(answer["video"]["data"])).numbers == list(range(5 * 8))
    kept = httpx.get(f"{scripted_url}/v1/conversations/{answer['conversation_id']}").json()
    assert [item["role"] for item in kept["items"]["data"]] == ["user", "assistant"]


def test_what_is_wrong_is_said_in_the_one_shape(scripted_url: str) -> None:
    with httpx.Client(base_url=scripted_url, timeout=30) as client:
        for request, status in (
            ({"json": {"input": "x" * 6000}}, 413),
            ({"files": {"audio": b"I am a text."}}, 400),
            ({"files": {"audio": bytes(40 * 2**20)}}, 413),
        ):
            refused = client.post("/v1/avatar/clips", **request)
            assert refused.status_code == status
            assert set(refused.json()["error"]) == {"message", "type", "code", "param"}


def test_a_film_that_fails_in_the_middle_breaks_off_through_the_proxy(scripted_url: str) -> None:
    film = bytearray()

    def read() -> None:
        clip = {"input": WORDS, "avatar": "torn"}
        with client.stream("POST", "/v1/avatar/clips", json=clip) as answer:
            assert answer.status_code == 200
            for piece in answer.iter_bytes():
                film.extend(piece)

    with httpx.Client(base_url=scripted_url, timeout=30) as client, pytest.raises(httpx.RemoteProtocolError):
        read()
    seen = watched(bytes(film)).numbers
    assert seen == list(range(len(seen)))
    assert 5 <= len(seen) <= 60
