"""`POST /v1/avatar/clips`: what is made, when it is sent, and what ends with the client."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from configs.clips import ClipsConfig
from deployments.asr.engines import fake as fake_asr
from deployments.avatar.engines import fake as fake_avatar
from deployments.llm.engines import fake as fake_llm
from deployments.media.audio import VOICE_RATE_HZ
from deployments.tts.engines import fake as fake_tts
from tests.files_scene import Film, Rig, SlowClient, error_of, recording, rig, until, watched

URL = "/v1/avatar/clips"
WORDS = " ".join(f"word{n}" for n in range(40)) + "."


def play(folder: Path, body: Callable[[Rig], Awaitable[None]], **kinds: Any) -> None:
    async def main() -> None:
        async with rig(folder, **kinds) as scene:
            await body(scene)
            await scene.rests()

    asyncio.run(main())


def clip(folder: Path, request: dict[str, Any], **kinds: Any) -> Film:
    """What a request gives, as a player sees it."""
    got: list[httpx.Response] = []

    async def body(scene: Rig) -> None:
        got.append(await scene.client.post(URL, **request))

    play(folder, body, **kinds)
    (response,) = got
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "video/mp4"
    assert "content-length" not in response.headers
    return watched(response.content)


def loud_s(film: Film) -> tuple[float, float]:
    """When it begins and ends to sound."""
    loud = np.flatnonzero(np.abs(film.sound) > 0.05)
    first, last = (film.sound_at_s + loud[at] / VOICE_RATE_HZ for at in (0, -1))
    return first, last


def refused(folder: Path, request: dict[str, Any], status: int, **kinds: Any) -> dict[str, Any]:
    errors: list[dict[str, Any]] = []

    async def body(scene: Rig) -> None:
        errors.append(error_of(await scene.client.post(URL, **request), status))

    play(folder, body, **kinds)
    return errors[0]


@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_a_text_is_said(tmp_path: Path, count: int) -> None:
    words = " ".join(WORDS.split()[:count])
    film = clip(tmp_path, {"json": {"input": words, "voice": "alloy", "avatar": "pattern", "format": "mp4"}})
    assert film.codecs == ("h264", "aac")
    # A word is 200 ms, a block; one block more closes the mouth.
    assert film.numbers == list(range(5 * (count + 1)))
    assert film.frame_times_s == pytest.approx([n / 25 for n in range(5 * (count + 1))], abs=1e-3)
    assert loud_s(film) == pytest.approx((0, 0.2 * count), abs=0.02)


def test_it_is_said_at_the_pace_that_was_asked_for(tmp_path: Path) -> None:
    film = clip(tmp_path, {"json": {"input": "one two three four", "speed": 0.5, "language": "en"}})
    assert len(film.numbers) == 5 * (4 * 2 + 1)


def test_figures_are_said_in_words(tmp_path: Path) -> None:
    film = clip(tmp_path, {"json": {"input": "It costs $12.", "language": "en"}})
    assert len(film.numbers) == 5 * (4 + 1)


def test_a_form_is_as_good_as_json(tmp_path: Path) -> None:
    film = clip(tmp_path, {"files": {"input": (None, "one two"), "speed": (None, "0.5")}})
    assert len(film.numbers) == 25


@pytest.mark.parametrize(("duration_s", "rate_hz", "channels"), [(0.01, 24_000, 1), (1.0, 8_000, 1), (1.3, 48_000, 2)])
def test_a_recording_is_said_as_it_is(tmp_path: Path, duration_s: float, rate_hz: int, channels: int) -> None:
    sound = recording(duration_s, rate_hz, channels, hz=440)
    film = clip(tmp_path, {"files": {"audio": ("a.wav", sound)}, "data": {"avatar": "pattern"}})
    blocks = int(-(-duration_s * 5 // 1)) + 1
    assert film.numbers == list(range(5 * blocks))
    assert loud_s(film) == pytest.approx((0, duration_s), abs=0.02)


def test_a_question_is_answered(tmp_path: Path) -> None:
    llm = fake_llm.Config(replies=("This is what I say.",))

    async def body(scene: Rig) -> None:
        response = await scene.client.post(URL, files={"question": recording(1.5)})
        assert response.status_code == 200
        assert watched(response.content).numbers == list(range(5 * 6))
        (asked,) = scene.requests
        assert [(message.role, message.text) for message in asked.messages[1:]] == [("user", "what now")]
        assert asked.messages[0].role == "system"

    play(tmp_path, body, llm=llm, asr=fake_asr.Config(script=("what now",)))


def test_the_first_piece_comes_before_the_speech_is_made(tmp_path: Path) -> None:
    async def body(scene: Rig) -> None:
        reader = SlowClient(scene.app, URL, json.dumps({"input": WORDS}).encode())
        first = await reader.read()
        assert first[4:8] == b"ftyp"
        assert scene.tts.active == 1, "it is still speaking"
        pieces = [first]
        while piece := await reader.read():
            pieces.append(piece)
        await reader.serving
        assert len(pieces) > 30
        assert watched(b"".join(pieces)).numbers == list(range(5 * 41))

    play(tmp_path, body, tts=fake_tts.Config(block_delay_ms=5))


@pytest.mark.parametrize("lead_s", [0.2, 1.0, 2.0])
def test_it_is_no_further_ahead_of_its_reader_than_the_lead(tmp_path: Path, lead_s: float) -> None:
    async def body(scene: Rig) -> None:
        reader = SlowClient(scene.app, URL, json.dumps({"input": WORDS}).encode())
        await reader.read()
        read = 1
        for _ in range(6):
            await asyncio.sleep(0.1)
            (face,) = scene.avatars.faces
            # The first piece is two blocks; one is on the way to the reader and one waits in `send`.
            assert len(face.moods) <= 1 + read + 2 + lead_s / 0.2
            await reader.read()
            read += 1
        while await reader.read():
            pass
        await reader.serving

    play(tmp_path, body, config=ClipsConfig(lead_s=lead_s))


def test_it_is_not_made_faster_than_it_could_be_watched(tmp_path: Path) -> None:
    """For a reader who takes everything at once, as Serve's proxy does: 8.2 s, of which 1 s at once."""

    async def body(scene: Rig) -> None:
        began_s = asyncio.get_running_loop().time()
        answer = await scene.client.post(URL, json={"input": WORDS})
        took_s = asyncio.get_running_loop().time() - began_s
        assert watched(answer.content).numbers == list(range(5 * 41))
        assert took_s >= 7.0 / 10

    play(tmp_path, body, config=ClipsConfig(burst_s=1, speed=10))


LEAVING = [
    {"tts": fake_tts.Config()},
    {"tts": fake_tts.Config(hang_at_block=9)},
    {"tts": fake_tts.Config(hang_at_block=0)},
    {"avatar": fake_avatar.Config(hang_at_block=7)},
    {"avatar": fake_avatar.Config(hang_at_block=0)},
]


@pytest.mark.parametrize(
    "kinds", LEAVING, ids=["reads slowly", "speech hangs", "from its start", "face hangs", "from it"]
)
def test_when_the_client_leaves_everything_stops(tmp_path: Path, kinds: dict[str, Any]) -> None:
    async def body(scene: Rig) -> None:
        reader = SlowClient(scene.app, URL, json.dumps({"input": WORDS}).encode())
        await asyncio.sleep(0.2)
        assert not scene.at_rest
        reader.leave()
        async with asyncio.timeout(5):
            await reader.serving
        await scene.rests()
        await asyncio.sleep(0.1)
        assert scene.at_rest

    play(tmp_path, body, **kinds)


@pytest.mark.parametrize("slow", ["accept_ms", "finalize_ms"])
def test_who_leaves_before_the_question_is_heard(tmp_path: Path, slow: str) -> None:
    async def body(scene: Rig) -> None:
        boundary, sound = b"--b\r\n", recording(1)
        head = b'Content-Disposition: form-data; name="question"; filename="q.wav"\r\n\r\n'
        form = boundary + head + sound + b"\r\n--b--\r\n"
        reader = SlowClient(scene.app, URL, form, "multipart/form-data; boundary=b")
        await until(lambda: scene.asr_server.open_utterances == 1)
        reader.leave()
        async with asyncio.timeout(5):
            await reader.serving
        assert not scene.requests

    play(tmp_path, body, asr=fake_asr.Config.model_validate({slow: 800}))


def test_a_failure_in_the_middle_breaks_the_film_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def body(scene: Rig) -> None:
        reader = SlowClient(scene.app, URL, json.dumps({"input": WORDS}).encode())
        pieces = [await reader.read()]
        assert reader.status == 200
        while not reader.serving.done():
            reading = asyncio.create_task(reader.read())
            await asyncio.wait((reading, reader.serving), return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                pieces.append(reading.result())
            reading.cancel()
        reader.serving.result()
        (line,) = [record for record in caplog.records if "broke off" in record.message]
        assert line.message.startswith("/v1/avatar/clips broke off: EngineFailed: the talking head failed")
        assert line.exc_info is None
        assert b"" not in pieces, "it does not end as a whole film does"
        seen = watched(b"".join(pieces)).numbers
        assert seen == list(range(len(seen)))

    play(tmp_path, body, avatar=fake_avatar.Config(fail_at="render", fail_at_block=12))


TEXT = {"input": "hello"}


@pytest.mark.parametrize(
    ("request_", "status", "param"),
    [
        ({"json": {}}, 400, "input"),
        ({"json": {"input": ""}}, 400, "input"),
        ({"json": {"input": "  \n"}}, 400, "input"),
        ({"json": {"input": "…!? 🦊"}}, 400, "input"),
        ({"json": {"input": "x" * 5001}}, 413, "input"),
        ({"json": {"input": 5}}, 400, "input"),
        ({"json": {**TEXT, "voice": "nobody"}}, 400, "voice"),
        ({"json": {**TEXT, "avatar": "nobody"}}, 404, "avatar"),
        ({"json": {**TEXT, "avatar": "av_" + "0" * 32}}, 404, "avatar"),
        ({"json": {**TEXT, "avatar": "x" * 65}}, 400, "avatar"),
        ({"json": {**TEXT, "speed": 0.2}}, 400, "speed"),
        ({"json": {**TEXT, "speed": "fast"}}, 400, "speed"),
        ({"json": {**TEXT, "language": "xx"}}, 400, "language"),
        ({"json": {**TEXT, "format": "avi"}}, 400, "format"),
        ({"json": {**TEXT, "colour": "red"}}, 400, "colour"),
        ({"json": [TEXT]}, 400, None),
        ({"content": b"\xff"}, 400, None),
        ({"data": TEXT, "files": {"audio": recording(1)}}, 400, None),
        ({"files": {"audio": recording(1), "question": recording(1)}}, 400, None),
        ({"files": {"audio": b"I am a text, and no recording."}}, 400, "audio"),
        ({"files": {"question": b"I am a text, and no recording."}}, 400, "question"),
        ({"files": {"audio": b""}}, 400, "audio"),
        ({"files": {"audio": recording(3.1)}}, 413, "audio"),
        ({"files": {"question": recording(3.1)}}, 413, "question"),
        ({"files": {"audio": recording(10, 48_000)}}, 413, None),
        ({"files": {"film": recording(1)}}, 400, "film"),
    ],
)
def test_what_cannot_be_made_is_refused_before_it_begins(
    tmp_path: Path, request_: dict[str, Any], status: int, param: str | None
) -> None:
    error = refused(tmp_path, request_, status, config=ClipsConfig(max_audio_s=3, max_upload_bytes=2**19))
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param or param is None
    assert len(error["message"]) < 300


def test_a_question_without_words_is_said_to_have_none(tmp_path: Path) -> None:
    error = refused(tmp_path, {"files": {"question": recording(1)}}, 400, asr=fake_asr.Config(script=("",)))
    assert (error["code"], error["param"]) == ("nothing_recognised", "question")


def test_a_server_without_faces_makes_no_films(tmp_path: Path) -> None:
    assert refused(tmp_path, {"json": TEXT}, 400, faceless=True)["code"] == "no_face"


@pytest.mark.parametrize(
    "kinds",
    [
        {"avatar": fake_avatar.Config(fail_at="open")},
        {"tts": fake_tts.Config(fail_at_block=0)},
        {"avatar": fake_avatar.Config(frames=3)},
    ],
    ids=["face", "speech", "frames"],
)
def test_a_stage_that_fails_at_once_is_an_error_of_the_server(
    tmp_path: Path, kinds: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert refused(tmp_path, {"json": TEXT}, 500, **kinds)["code"] == "engine_failed"


def test_a_full_server_says_so_and_keeps_the_others(tmp_path: Path) -> None:
    async def body(scene: Rig) -> None:
        reader = SlowClient(scene.app, URL, json.dumps({"input": WORDS}).encode())
        pieces = [await reader.read()]
        for path, what in ((URL, {"json": TEXT}), ("/v1/avatars", {"files": {"picture": b""}})):
            response = await scene.client.post(path, **what)
            assert error_of(response, 429)["code"] == "server_full"
            assert response.headers["retry-after"] == "1"
        while piece := await reader.read():
            pieces.append(piece)
        await reader.serving
        assert watched(b"".join(pieces)).numbers == list(range(5 * 41))
        assert (await scene.client.post(URL, json=TEXT)).status_code == 200

    play(tmp_path, body, config=ClipsConfig(max_at_once=1))


def test_a_body_that_never_arrives_is_given_up(tmp_path: Path) -> None:
    async def body(scene: Rig) -> None:
        async def trickle() -> Any:
            yield b"{"
            await asyncio.sleep(30)

        response = await scene.client.post(URL, content=trickle(), headers={"content-type": "application/json"})
        assert error_of(response, 400)["code"] == "upload_timeout"

    play(tmp_path, body, config=ClipsConfig(upload_s=0.1))
