"""`POST /v1/audio/speech`, with OpenAI's client and with readers that are slow or leave."""

import asyncio
import base64
import json
import wave
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from configs.audio_api import AudioApiConfig, SpeechApiConfig
from deployments.tts.engines import fake as fake_tts
from serve_app.gateway.audio.encoders import Format, encoder
from tests.audio_scene import played, rig, until
from tests.files_scene import SlowClient, error_of

SPEECH = "/v1/audio/speech"
WORDS = "one two three four five"
"""1 s of the fake voice."""
FORMATS: tuple[tuple[Format, str], ...] = (
    ("mp3", "mp3float"),
    ("opus", "opus"),
    ("aac", "aac"),
    ("flac", "flac"),
    ("wav", "pcm_s16le"),
)


def tone(ms: int, hz: float = 440, at: int = 0) -> bytes:
    t = np.arange(at, at + 24 * ms) / 24_000
    return bytes(np.rint(8000 * np.sin(2 * np.pi * hz * t)).astype("<i2").tobytes())


@pytest.mark.parametrize(("kind", "codec"), FORMATS)
def test_every_format_is_a_file_that_a_player_opens(kind: Format, codec: str) -> None:
    writer = encoder(kind)
    file, at = b"", 0
    for ms in (50, 100, *[200] * 10):
        file += writer.add(tone(ms, at=at))
        at += 24 * ms
        assert file or ms == 50, "the first 150 ms give bytes"
    sound, found = played(file + writer.finish())
    assert found.startswith(codec.removesuffix("float"))
    assert sound.size == pytest.approx(at, abs=24 * 120), "an encoder adds its delay"
    middle = sound[12_000:36_000]
    assert np.argmax(np.abs(np.fft.rfft(middle))) == pytest.approx(440, abs=2)


def test_the_stock_client_is_spoken_to(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path) as gateway:
            for kind, codec in FORMATS:
                answer = await gateway.openai.audio.speech.create(
                    model="tts-1", voice="alloy", input=WORDS, response_format=kind, instructions="Cheerfully."
                )
                sound, found = played(answer.content)
                assert found.startswith(codec.removesuffix("float"))
                assert sound.size == pytest.approx(24_000, abs=24 * 120)
            assert gateway.at_rest

    asyncio.run(main())


def test_plain_samples_and_a_voice_by_its_id(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path) as gateway:
            async with gateway.openai.audio.speech.with_streaming_response.create(
                model="any", voice={"id": "tone"}, input=WORDS, response_format="pcm", speed=2.0
            ) as answer:
                pcm = b"".join([piece async for piece in answer.iter_bytes()])
                assert answer.headers["content-type"] == "audio/pcm"
            assert len(pcm) == 24_000
            assert gateway.spoken[0].voice == "tone"

    asyncio.run(main())


@pytest.mark.parametrize(
    ("text", "words"), [("It costs $12.", 4), ("**Room** 7, please.", 3), ("See https://example.org/a/b?c=d", 4)]
)
def test_figures_and_marks_are_said_in_words(tmp_path: Path, text: str, words: int) -> None:
    """A word of the fake voice is 200 ms."""

    async def main() -> None:
        async with rig(tmp_path) as gateway:
            asked = {"input": text, "language": "en", "response_format": "pcm"}
            sound = await gateway.client.post(SPEECH, json=asked)
            assert len(sound.content) == words * 2 * 4800

    asyncio.run(main())


def test_an_unfinished_wav_says_that_its_length_is_not_known() -> None:
    head = encoder("wav").add(b"\x01\x00" * 10)
    assert head[4:8] == head[40:44] == b"\xff\xff\xff\xff"
    with wave.open(BytesIO(head)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24_000, 1, 2)


def test_events_carry_the_same_file_and_its_cost(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path) as gateway:
            asked = {"model": "m", "voice": "", "input": WORDS, "response_format": "pcm"}
            plain = await gateway.client.post(SPEECH, json=asked)
            answer = await gateway.client.post(SPEECH, json={**asked, "stream_format": "sse"})
            assert answer.headers["content-type"].startswith("text/event-stream")
            events = [json.loads(part.removeprefix("data: ")) for part in answer.text.split("\n\n") if part]
            *deltas, done = events
            assert {event["type"] for event in deltas} == {"speech.audio.delta"}
            assert b"".join(base64.b64decode(event["audio"]) for event in deltas) == plain.content
            assert done["type"] == "speech.audio.done"
            assert done["usage"] == {"input_tokens": 23, "output_tokens": 20, "total_tokens": 43}
            assert done["parley"]["audio_s"] == pytest.approx(1.0)
            assert done["parley"]["real_time_factor"] < 1

    asyncio.run(main())


def test_figures_are_in_the_headers(tmp_path: Path) -> None:
    slow = fake_tts.Config(first_block_delay_ms=60)

    async def main() -> None:
        async with rig(tmp_path, tts=slow) as gateway:
            first = await gateway.client.post(SPEECH, json={"input": WORDS})
            assert 60 <= float(first.headers["x-parley-first-audio-ms"]) < 2000
            assert first.headers["server-timing"].startswith("first-audio;dur=")
            assert "x-parley-real-time-factor" not in first.headers, "nothing was made before it"
            second = await gateway.client.post(SPEECH, json={"input": WORDS})
            assert 0.06 <= float(second.headers["x-parley-real-time-factor"]) < 2

    asyncio.run(main())


def test_the_first_bytes_come_while_the_rest_is_being_made(tmp_path: Path) -> None:
    hanging = fake_tts.Config(hang_at_block=3)

    async def main() -> None:
        async with rig(tmp_path, tts=hanging) as gateway:
            for kind, _ in FORMATS:
                body = json.dumps({"input": WORDS, "response_format": kind}).encode()
                reader = SlowClient(gateway.app, SPEECH, body)
                assert await asyncio.wait_for(reader.read(), 5), kind
                assert reader.status == 200
                reader.leave()
                await reader.serving
                assert gateway.at_rest, "the voice was stopped"

    asyncio.run(main())


def test_a_long_text_is_made_no_further_ahead_than_the_lead(tmp_path: Path) -> None:
    text = " ".join(f"Sentence number {n} has a few words." for n in range(1500))[:50_000]
    config = AudioApiConfig(speech=SpeechApiConfig(lead_s=2))

    async def main() -> None:
        async with rig(tmp_path, config=config) as gateway:
            reader = SlowClient(gateway.app, SPEECH, json.dumps({"input": text, "response_format": "pcm"}).encode())
            taken = 0.0
            for _ in range(40):
                taken += len(await reader.read()) / 48_000
            await asyncio.sleep(0.2)
            asked_s = sum(0.2 * len(request.text.split()) for request in gateway.spoken)
            assert asked_s < taken + 2 * 1.25 + 40 * 0.2, "the lead, and the clause in hand"
            reader.leave()
            await reader.serving
            assert gateway.at_rest

    asyncio.run(main())


def test_a_text_of_50000_characters_is_spoken_whole(tmp_path: Path) -> None:
    text = ("word " * 9 + "end. ") * 1000
    quick = fake_tts.Config(word_ms=1, block_ms=1000)

    async def main() -> None:
        async with rig(tmp_path, tts=quick) as gateway:
            answer = await gateway.client.post(SPEECH, json={"input": text[:50_000], "response_format": "pcm"})
            assert "".join(request.text for request in gateway.spoken) == text[:50_000]
            assert len(answer.content) == 2 * 24 * 10_000

    asyncio.run(main())


REFUSED: tuple[tuple[dict[str, object], int, str], ...] = (
    ({"input": ""}, 400, "input"),
    ({"input": " \n "}, 400, "input"),
    ({"input": "?!"}, 400, "input"),
    ({"model": "tts-1"}, 400, "input"),
    ({"input": "x" * 50_001}, 413, "input"),
    ({"input": "hi", "voice": "nobody"}, 400, "voice"),
    ({"input": "hi", "voice": "voice_gone"}, 404, "voice"),
    ({"input": "hi", "voice": {"name": "x"}}, 400, "voice"),
    ({"input": "--- …"}, 400, "input"),
    ({"input": "hi", "response_format": "ogg"}, 400, "response_format"),
    ({"input": "hi", "speed": 5}, 400, "speed"),
    ({"input": "hi", "language": "tlh"}, 400, "language"),
    ({"input": "hi", "pitch": 1}, 400, "pitch"),
)


def test_what_cannot_be_spoken_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path) as gateway:
            for asked, status, param in REFUSED:
                for stream_format in ("audio", "sse"):
                    answer = await gateway.client.post(SPEECH, json={**asked, "stream_format": stream_format})
                    assert error_of(answer, status)["param"] == param
                    assert gateway.at_rest

    asyncio.run(main())


def test_an_error_in_the_middle_is_an_event(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path, tts=fake_tts.Config(fail_at_block=4)) as gateway:
            asked = {"input": WORDS, "response_format": "pcm", "stream_format": "sse"}
            answer = await gateway.client.post(SPEECH, json=asked)
            last = json.loads(answer.text.strip().split("\n\n")[-1].removeprefix("data: "))
            assert last["error"]["code"] == "engine_failed"
            assert gateway.at_rest

    asyncio.run(main())


def test_one_too_many_is_sent_away(tmp_path: Path) -> None:
    config = AudioApiConfig(speech=SpeechApiConfig(max_at_once=1))

    async def main() -> None:
        async with rig(tmp_path, config=config, tts=fake_tts.Config(hang_at_block=2)) as gateway:
            reader = SlowClient(gateway.app, SPEECH, json.dumps({"input": WORDS, "response_format": "pcm"}).encode())
            await reader.read()
            refused = await gateway.client.post(SPEECH, json={"input": WORDS})
            assert "1 texts" in error_of(refused, 429)["message"]
            reader.leave()
            await reader.serving
            await until(lambda: gateway.at_rest)

    asyncio.run(main())
