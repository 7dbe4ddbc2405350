"""`POST /api/v1/conversation`: a recorded question in, everything about the answer out."""

import asyncio
import base64
import io
import wave
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from configs.clips import ClipsConfig
from deployments.asr.engines import fake as fake_asr
from deployments.avatar.engines import fake as fake_avatar
from deployments.llm.engines import fake as fake_llm
from deployments.tts.engines import fake as fake_tts
from tests.files_scene import Rig, error_of, recording, rig, watched

URL = "/api/v1/conversation"
LLM = fake_llm.Config(replies=("It is noon.", "Later than before, by a bit."))
ASR = fake_asr.Config(script=("what time is it", "and now"))


def play(folder: Path, body: Callable[[Rig], Awaitable[None]], **kinds: Any) -> None:
    async def main() -> None:
        async with rig(folder, **{"llm": LLM, "asr": ASR, **kinds}) as scene:
            await body(scene)
            await scene.rests()

    asyncio.run(main())


async def ask(scene: Rig, **fields: str) -> dict[str, Any]:
    response = await scene.client.post(URL, files={"audio": recording(1)}, data=fields)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def sound_s(answer: dict[str, Any]) -> float:
    with wave.open(io.BytesIO(base64.b64decode(answer["audio"]["data"]))) as reader:
        assert reader.getframerate() == 24_000
        return float(reader.getnframes() / 24_000)


def test_a_question_is_answered_in_words_and_sound(tmp_path: Path) -> None:
    async def body(scene: Rig) -> None:
        answer = await ask(scene)
        assert (answer["transcript"], answer["reply"], answer["language"]) == ("what time is it", "It is noon.", "en")
        assert (answer["audio"]["format"], answer["video"]) == ("wav", None)
        assert sound_s(answer) == pytest.approx(0.6)
        assert not scene.avatars.faces

    play(tmp_path, body)


def test_with_a_face_there_is_a_film_of_the_same_sound(tmp_path: Path) -> None:
    async def body(scene: Rig) -> None:
        answer = await ask(scene, video="true", avatar="pattern", voice="alloy")
        film = watched(base64.b64decode(answer["video"]["data"]))
        assert answer["video"]["format"] == "mp4"
        assert film.numbers == list(range(5 * 4))
        assert sound_s(answer) == pytest.approx(0.8)

    play(tmp_path, body)


def test_it_is_recorded_and_can_be_gone_on_with(tmp_path: Path) -> None:
    async def body(scene: Rig) -> None:
        first = await ask(scene)
        kept = await scene.store.conversation(first["conversation_id"])
        texts = [(item["role"], item["content"][0]["transcript"]) for item in kept["items"]["data"]]
        assert texts == [("user", "what time is it"), ("assistant", "It is noon.")]
        assert kept["items"]["data"][1]["heard_text"] == "It is noon."
        assert kept["ended_at"] is not None
        usage = {"responses": 1, "output_tokens": 3, "input_audio_ms": 1000, "output_audio_ms": 600}
        assert {key: kept["usage"][key] for key in usage} == usage

        second = await ask(scene, conversation_id=first["conversation_id"])
        assert second["conversation_id"] == first["conversation_id"]
        assert second["reply"] == "Later than before, by a bit."
        roles = [message.role for message in scene.requests[1].messages]
        assert roles == ["system", "user", "assistant", "user"]
        again = await scene.store.conversation(first["conversation_id"])
        texts = [(item["role"], item["content"][0]["transcript"]) for item in again["items"]["data"]]
        assert texts[2:] == [("user", "and now"), ("assistant", "Later than before, by a bit.")]
        assert (again["created_at"], again["usage"]["responses"]) == (kept["created_at"], 2)
        assert again["ended_at"] is not None

    play(tmp_path, body)


def test_one_that_goes_on_elsewhere_is_left_alone(tmp_path: Path) -> None:
    async def body(scene: Rig) -> None:
        running = scene.store.recorder("conv_running")
        running.conversation_started(session_id="sess_1", model="parley", voice="")
        waiting = scene.store.recorder("conv_waiting")
        waiting.conversation_started(session_id="sess_2", model="parley", voice="")
        waiting.resumable(token_digest="d", settings={})
        waiting.left_open(within_s=60, rest={})
        waiting.conversation_ended("the connection was lost")
        for name in ("conv_running", "conv_waiting"):
            response = await scene.client.post(URL, files={"audio": recording(1)}, data={"conversation_id": name})
            error = error_of(response, 409)
            assert (error["code"], error["param"]) == ("conversation_in_use", "conversation_id")
        assert not running.ended
        assert (await scene.store.conversation("conv_waiting"))["end_reason"] == "the connection was lost"

    play(tmp_path, body)


def test_one_that_a_session_held_and_ended_is_gone_on_with(tmp_path: Path) -> None:
    async def body(scene: Rig) -> None:
        session = scene.store.recorder("conv_over")
        session.conversation_started(session_id="sess_1", model="parley", voice="", metadata={"topic": "x"})
        session.resumable(token_digest="d", settings={})
        content = [{"type": "input_audio", "transcript": "hello"}]
        session.item_put({"id": "i1", "type": "message", "role": "user", "status": "completed", "content": content})
        session.conversation_ended("the client left")
        await ask(scene, conversation_id="conv_over")
        kept = await scene.store.conversation("conv_over")
        assert (kept["session_id"], kept["metadata"]) == ("sess_1", {"topic": "x"})
        assert [item["content"][0]["transcript"] for item in kept["items"]["data"]][:2] == ["hello", "what time is it"]
        assert len(kept["items"]["data"]) == 3

    play(tmp_path, body)


@pytest.mark.parametrize(
    ("request_", "status", "param"),
    [
        ({"json": {}}, 400, "audio"),
        ({"files": {"audio": b""}}, 400, "audio"),
        ({"files": {"audio": b"I am a text."}}, 400, "audio"),
        ({"files": {"audio": recording(3.1)}}, 413, "audio"),
        ({"files": {"question": recording(1)}}, 400, "question"),
        ({"files": {"audio": recording(1)}, "data": {"video": "perhaps"}}, 400, "video"),
        ({"files": {"audio": recording(1)}, "data": {"voice": "nobody"}}, 400, "voice"),
        ({"files": {"audio": recording(1)}, "data": {"video": "1", "avatar": "nobody"}}, 404, "avatar"),
        ({"files": {"audio": recording(1)}, "data": {"language": "xx"}}, 400, "language"),
        ({"files": {"audio": recording(1)}, "data": {"conversation_id": "conv_none"}}, 404, "conversation_id"),
        ({"files": {"audio": recording(1)}, "data": {"conversation_id": "' OR 1=1"}}, 404, "conversation_id"),
        ({"files": {"audio": recording(1)}, "data": {"colour": "red"}}, 400, "colour"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, request_: dict[str, Any], status: int, param: str) -> None:
    async def body(scene: Rig) -> None:
        error = error_of(await scene.client.post(URL, **request_), status)
        assert (error["type"], error["param"]) == ("invalid_request_error", param)

    play(tmp_path, body, config=ClipsConfig(max_audio_s=3))


@pytest.mark.parametrize(
    ("kinds", "status"),
    [
        ({"llm": fake_llm.Config(fail_after_tokens=1)}, 500),
        ({"tts": fake_tts.Config(fail_at_block=1)}, 500),
        ({"avatar": fake_avatar.Config(fail_at="render", fail_at_block=2)}, 500),
    ],
    ids=["model", "speech", "face"],
)
def test_a_stage_that_fails_is_an_error_and_the_question_stays_on_record(
    tmp_path: Path, kinds: dict[str, Any], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def body(scene: Rig) -> None:
        response = await scene.client.post(URL, files={"audio": recording(1)}, data={"video": "true"})
        assert error_of(response, status)["code"] == "engine_failed"
        (kept,) = (await scene.store.list_conversations())["data"]
        items = (await scene.store.items(kept["id"]))["data"]
        assert [item["role"] for item in items] == ["user"]
        assert kept["ended_at"] is not None

    play(tmp_path, body, **kinds)
