"""`POST /v1/audio/transcriptions` and `/v1/audio/translations`, with OpenAI's client where it has a word for it."""

import asyncio
import json
import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openai import APIError, BadRequestError

from configs.audio_api import AudioApiConfig, TranscriptionApiConfig
from deployments.asr.contract import AsrPush
from deployments.asr.engines import fake as fake_asr
from tests.audio_scene import Rig, clip, encoded, music, noise, pause, rig, until, wav_of
from tests.files_scene import SlowClient, error_of

TRANSCRIPTIONS = "/v1/audio/transcriptions"
TRANSLATIONS = "/v1/audio/translations"
RATE = 16_000
SPEECH = clip("thank_you")
SCRIPT = ("thank you", "how are you", "one two three four five six seven eight")


def talk(utterances: int, pause_s: float = 3.0) -> bytes:
    """A recording in which somebody says something so many times."""
    return wav_of(np.concatenate([part for _ in range(utterances) for part in (pause(pause_s), SPEECH)]))


TWICE = talk(2)


async def sent(gateway: Rig, file: bytes, path: str = TRANSCRIPTIONS, **fields: Any) -> Any:
    return await gateway.client.post(path, files={"file": ("a.wav", file)}, data={"model": "whisper-1", **fields})


def form(file: bytes, **fields: str) -> tuple[bytes, str]:
    """A body, for readers that are not httpx, and its type."""
    parts = [f'--b\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode() for k, v in fields.items()]
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    return b"".join(parts) + head + file + b"\r\n--b--\r\n", "multipart/form-data; boundary=b"


def test_the_stock_client_transcribes(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path, asr=fake_asr.Config(script=SCRIPT)) as gateway:
            create = gateway.openai.audio.transcriptions.create
            plain = await create(model="whisper-1", file=("a.wav", TWICE), language="en", prompt="Names: Ann.")
            assert plain.text == "thank you how are you"
            assert plain.usage is not None
            assert plain.usage.type == "duration"
            assert plain.usage.seconds == -(-len(TWICE) // 32_000)
            push = next(push for push in gateway.pushes if push.pcm)
            assert (push.n, push.finalize, push.options.live) == (0, True, False)
            assert (push.options.language, push.options.prompt) == ("en", "Names: Ann.")
            assert push.model == "whisper-1", "an engine with several models goes by it"
            assert gateway.at_rest

    asyncio.run(main())


def test_times_are_those_of_the_file(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path, asr=fake_asr.Config(script=SCRIPT)) as gateway:
            verbose = await gateway.openai.audio.transcriptions.create(
                model="whisper-1",
                file=("a.wav", TWICE),
                response_format="verbose_json",
                timestamp_granularities=["word", "segment"],
            )
            assert (verbose.language, verbose.text) == ("en", "thank you how are you")
            assert verbose.duration == pytest.approx(len(TWICE) / 32_000, abs=0.01)
            assert verbose.segments is not None
            assert verbose.words is not None
            assert [word.word for word in verbose.words] == ["thank", "you", "how", "are", "you"]
            begins = [segment.start for segment in verbose.segments]
            speech_s = len(SPEECH) / RATE
            assert begins == pytest.approx([3, 6 + speech_s], abs=0.4)
            assert begins == [verbose.words[0].start, verbose.words[2].start]
            assert all(segment.end > segment.start for segment in verbose.segments)
            words_only = await sent(
                gateway, TWICE, response_format="verbose_json", **{"timestamp_granularities[]": "word"}
            )
            assert set(words_only.json()) == {"text", "usage", "task", "language", "duration", "words"}

    asyncio.run(main())


def test_text_and_subtitles(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path, asr=fake_asr.Config(script=SCRIPT[:2])) as gateway:
            text = await sent(gateway, TWICE, response_format="text")
            assert (text.text, text.headers["content-type"]) == ("thank you how are you\n", "text/plain; charset=utf-8")
            srt = (await sent(gateway, TWICE, response_format="srt")).text
            assert [line for line in srt.split("\n") if line][0::3] == ["1", "2"]
            assert "thank you" in srt
            vtt = await sent(gateway, TWICE, response_format="vtt")
            assert vtt.text.startswith("WEBVTT\n\n00:00:0")
            assert vtt.headers["content-type"].startswith("text/vtt")

    asyncio.run(main())


def test_the_stock_client_reads_the_stream(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path, asr=fake_asr.Config(script=SCRIPT)) as gateway:
            stream = await gateway.openai.audio.transcriptions.create(
                model="m", file=("a.wav", TWICE), stream=True, include=["logprobs"]
            )
            events = [event async for event in stream]
            assert [event.type for event in events] == [*["transcript.text.delta"] * 2, "transcript.text.done"]
            deltas = [event.delta for event in events if event.type == "transcript.text.delta"]
            assert "".join(deltas) == "thank you how are you"
            assert events[-1].type == "transcript.text.done"
            assert events[-1].text == "thank you how are you"

    asyncio.run(main())


def test_the_stream_tells_how_far_it_is(tmp_path: Path) -> None:
    long = wav_of(np.concatenate([pause(25), SPEECH]))

    async def main() -> None:
        async with rig(tmp_path) as gateway:
            told = (await sent(gateway, long, stream="true")).text.split("\n\n")
            duration = f"{len(long) / 32_000:.1f}"
            assert told[:2] == [f": progress 10.0 s of {duration} s", f": progress 20.0 s of {duration} s"]
            delta = json.loads(next(part for part in told if part.startswith("data: ")).removeprefix("data: "))
            assert 25 - 0.4 <= delta["start"] < delta["end"]
            assert delta["looked_s"] == pytest.approx(len(long) / 32_000, abs=0.01)

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["silence", "faint noise", "loud noise", "music"])
def test_where_nobody_speaks_the_text_is_empty(tmp_path: Path, kind: str) -> None:
    sounds = {"silence": pause(6), "faint noise": noise(6, 30), "loud noise": noise(6, 4000), "music": music(6)}

    async def main() -> None:
        async with rig(tmp_path) as gateway:
            file = wav_of(sounds[kind])
            assert (await sent(gateway, file)).json()["text"] == ""
            verbose = (await sent(gateway, file, response_format="verbose_json")).json()
            assert (verbose["segments"], verbose["language"]) == ([], "")
            assert (await sent(gateway, file, response_format="srt")).text == ""
            streamed = (await sent(gateway, file, stream="true")).text
            assert '"type":"transcript.text.done","text":""' in streamed
            assert not gateway.pushes, "recognition is not troubled"

    asyncio.run(main())


def test_what_people_have(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path) as gateway:
            for container, codec, rate_hz, layout in (
                ("wav", "pcm_s16le", 8_000, "mono"),
                ("flac", "flac", 96_000, "stereo"),
                ("mp3", "libmp3lame", 44_100, "stereo"),
                ("matroska", "libopus", 48_000, "mono"),
                ("mp4", "aac", 44_100, "stereo"),
            ):
                file = encoded(np.concatenate([pause(0.5), clip("jfk"), pause(1)]), container, codec, rate_hz, layout)
                for part in (file, file[: len(file) * 2 // 3]):
                    answer = await sent(gateway, part)
                    if container == "mp4" and part is not file:
                        assert error_of(answer, 400)["code"] == "invalid_audio", "its index is at its end"
                    else:
                        assert answer.json()["text"].startswith("hello there"), (container, answer.text)

    asyncio.run(main())


def test_translations(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path) as gateway:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # so OpenAI calls the endpoint
                plain = await gateway.openai.audio.translations.create(model="whisper-1", file=("a.wav", TWICE))
            assert plain.text == "hello there hello there"
            assert {push.options.task for push in gateway.pushes if push.n == 0} == {"translate"}
            verbose = (await sent(gateway, TWICE, TRANSLATIONS, response_format="verbose_json")).json()
            assert (verbose["task"], verbose["language"]) == ("translate", "en")
            assert error_of(await sent(gateway, TWICE, TRANSLATIONS, language="de"), 400)["param"] == "language"

    asyncio.run(main())


def test_an_engine_that_cannot_translate_says_so(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path, asr=fake_asr.Config(translates=False)) as gateway:
            for stream in ("false", "true"):
                refused = await sent(gateway, TWICE, TRANSLATIONS, stream=stream)
                assert error_of(refused, 400)["code"] == "cannot_translate"
            await until(lambda: gateway.at_rest)

    asyncio.run(main())


def test_a_language_that_is_not_taken_is_refused_with_those_that_are(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path) as gateway:
            with pytest.raises(BadRequestError, match="it takes: en") as refused:
                await gateway.openai.audio.transcriptions.create(model="m", file=("a.wav", TWICE), language="de")
            assert refused.value.param == "language"
            assert (await sent(gateway, TWICE, language="en-GB")).status_code == 200

    asyncio.run(main())


def test_what_is_wrong_is_said_in_the_one_shape(tmp_path: Path) -> None:
    config = AudioApiConfig(transcription=TranscriptionApiConfig(max_upload_bytes=2**20, max_audio_s=60))
    minutes = encoded(np.zeros(RATE * 90, np.int16), "flac", "flac", RATE)
    cases: tuple[tuple[bytes, dict[str, str], int, str | None], ...] = (
        (b"", {}, 400, "file"),
        (b"I am a text.", {}, 400, "file"),
        (b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", {}, 400, "file"),
        (minutes, {}, 413, "file"),
        (bytes(2**20), {}, 413, None),
        (TWICE, {"response_format": "diarized_json"}, 400, "response_format"),
        (TWICE, {"response_format": "srt", "stream": "true"}, 400, "response_format"),
        (TWICE, {"temperature": "2"}, 400, "temperature"),
        (TWICE, {"timestamp_granularities[]": "syllable"}, 400, "timestamp_granularities[0]"),
        (TWICE, {"speaker": "1"}, 400, "speaker"),
    )

    async def main() -> None:
        async with rig(tmp_path, config=config) as gateway:
            for file, fields, status, param in cases:
                assert error_of(await sent(gateway, file, **fields), status)["param"] == param, fields
                assert gateway.at_rest
            assert error_of(await gateway.client.post(TRANSCRIPTIONS, json={"file": "x"}), 400)["param"] is None
            missing = await gateway.client.post(TRANSCRIPTIONS, files={"nothing": b""}, data={"model": "m"})
            assert error_of(missing, 400)["param"] == "nothing"

    asyncio.run(main())


def test_an_error_in_the_middle_is_an_event_that_the_stock_client_raises(tmp_path: Path) -> None:
    long = wav_of(np.concatenate([pause(25), SPEECH]))

    async def main() -> None:
        async with rig(tmp_path, asr=fake_asr.Config(fail_at="finalize")) as gateway:
            stream = await gateway.openai.audio.transcriptions.create(model="m", file=("a.wav", long), stream=True)
            with pytest.raises(APIError, match="speech recognition failed"):
                [event async for event in stream]
            assert error_of(await sent(gateway, long), 500)["code"] == "engine_failed"

    asyncio.run(main())


def test_segments_come_in_order_and_only_a_few_are_recognised_at_a_time(tmp_path: Path) -> None:
    config = AudioApiConfig(transcription=TranscriptionApiConfig(max_segments=2))
    script = tuple(f"utterance {n}" for n in range(6))

    async def main() -> None:
        async with rig(tmp_path, config=config, asr=fake_asr.Config(script=script, finalize_ms=30)) as gateway:
            file = talk(6)
            answers = await asyncio.gather(sent(gateway, file), sent(gateway, file))
            texts = [answer.json()["text"].replace("utterance ", "").split() for answer in answers]
            assert sorted(texts[0] + texts[1]) == sorted([str(n) for n in range(6)] * 2)
            assert gateway.most_at_once == 2, "of all files together"

    asyncio.run(main())


def test_a_file_waits_while_recognition_is_full(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path, max_utterances=1) as gateway:
            live = await gateway.asr.push("conversation", gateway_push(b"\0" * 3200))
            assert not live.transcript.final
            file = asyncio.create_task(sent(gateway, TWICE))
            await until(lambda: len([push for push in gateway.pushes if push.pcm]) >= 2)
            assert not file.done()
            await gateway.asr.push("conversation", gateway_push(close=True, n=1))
            assert (await file).json()["text"] == "hello there hello there"

    asyncio.run(main())


def gateway_push(pcm: bytes = b"", n: int = 0, close: bool = False) -> Any:
    return AsrPush("live", n, pcm, close=close)


def test_a_file_that_finds_no_place_gives_up(tmp_path: Path) -> None:
    config = AudioApiConfig(transcription=TranscriptionApiConfig(patience_s=0, max_files=1))

    async def main() -> None:
        async with rig(tmp_path, config=config, max_utterances=1) as gateway:
            await gateway.asr.push("conversation", gateway_push(b"\0" * 3200))
            assert error_of(await sent(gateway, TWICE), 429)["code"] == "server_full"

    asyncio.run(main())


@pytest.mark.parametrize("stream", ["false", "true"])
def test_when_the_client_leaves_recognition_rests(tmp_path: Path, stream: str) -> None:
    body, kind = form(TWICE, stream=stream)
    config = AudioApiConfig(transcription=TranscriptionApiConfig(max_files=1))

    async def main() -> None:
        async with rig(tmp_path, config=config, asr=fake_asr.Config(hang_at="finalize")) as gateway:
            reader = SlowClient(gateway.app, TRANSCRIPTIONS, body, kind)
            await until(lambda: gateway.pushes)
            assert "1 files" in error_of(await sent(gateway, TWICE), 429)["message"]
            reader.leave()
            await reader.serving
            await until(lambda: gateway.at_rest)

    asyncio.run(main())


def test_twelve_minutes_take_no_more_memory_than_one(tmp_path: Path) -> None:
    """Python's own: what is held between the parts."""
    quarter = np.concatenate([SPEECH, pause(10)])
    minute = np.concatenate([quarter] * 5)

    async def most_mb(folder: Path, file: bytes) -> float:
        async with rig(folder) as gateway:
            body, kind = form(file)
            reader = SlowClient(gateway.app, TRANSCRIPTIONS, body, kind)
            tracemalloc.start()
            try:
                answer = json.loads(await reader.read())
                most = tracemalloc.get_traced_memory()[1] / 2**20
            finally:
                tracemalloc.stop()
            assert answer["text"].startswith("hello there")
            await reader.serving
            return most

    async def main() -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        short = await most_mb(tmp_path / "a", encoded(minute, "flac", "flac", RATE))
        long = await most_mb(tmp_path / "b", encoded(np.concatenate([minute] * 12), "flac", "flac", RATE))
        assert long < short + 12, "12 minutes of PCM alone would be 22 MB"

    asyncio.run(main())
