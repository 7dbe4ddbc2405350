"""Cloned voices: taken in with a reason when not, kept, listed, spoken in, deleted."""

import asyncio
from pathlib import Path

import httpx
import numpy as np
import numpy.typing as npt
import pytest

from configs.audio_api import AudioApiConfig, VoicesApiConfig
from deployments.runtime.errors import TooLarge
from deployments.tts.engines import fake as fake_tts
from serve_app.store.voices import VoiceRecord
from tests.audio_scene import Rig, clip, encoded, noise, pause, rig, wav_of
from tests.files_scene import error_of

VOICES = "/v1/audio/voices"
SPEECH: npt.NDArray[np.int16] = clip("jfk")
"""11 s of a man."""


async def sent(gateway: Rig, recording: bytes, **fields: str) -> httpx.Response:
    data = {"name": "Ann", "consent": "true", **fields}
    return await gateway.client.post(VOICES, files={"audio_sample": ("ann.wav", recording)}, data=data)


def test_a_voice_is_taken_in_listed_spoken_in_and_deleted(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path) as gateway:
            made = await sent(gateway, wav_of(SPEECH), language="en", text="Ask not.")
            assert made.status_code == 201, made.text
            voice = made.json()
            assert voice["id"].startswith("voice_")
            assert {key: voice[key] for key in ("object", "type", "name", "language", "duration_ms")} == {
                "object": "audio.voice",
                "type": "audio_sample",
                "name": "Ann",
                "language": "en",
                "duration_ms": 11_000,
            }
            listed = (await gateway.client.get(VOICES)).json()
            assert (listed["data"], listed["first_id"]) == ([voice], voice["id"])
            assert (await gateway.client.get(f"{VOICES}/{voice['id']}")).json() == voice
            of_all = (await gateway.client.get("/v1/voices")).json()["data"]
            assert [each["id"] for each in of_all] == ["tone", voice["id"]]
            asked = {"input": "one two", "voice": {"id": voice["id"]}, "response_format": "pcm"}
            assert len((await gateway.client.post("/v1/audio/speech", json=asked)).content) == 2 * 24 * 400
            gone = (await gateway.client.delete(f"{VOICES}/{voice['id']}")).json()
            assert gone == {"id": voice["id"], "object": "audio.voice.deleted", "deleted": True}
            refused = await gateway.client.post("/v1/audio/speech", json=asked)
            assert "was deleted" in error_of(refused, 404)["message"]
            assert error_of(await gateway.client.get(f"{VOICES}/{voice['id']}"), 404)["code"] == "voice_not_found"
            assert error_of(await gateway.client.delete(f"{VOICES}/{voice['id']}"), 404)["code"] == "voice_not_found"

    asyncio.run(main())


def test_the_stock_client_makes_a_voice(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path) as gateway:
            recording = encoded(SPEECH, "mp3", "libmp3lame", 44_100, "stereo")
            voices = gateway.openai.audio.voices
            voice = await voices.create(audio_sample=("a.mp3", recording), consent="true", name="Ann")
            assert (voice.object, voice.type, voice.name) == ("audio.voice", "audio_sample", "Ann")
            spoken = await gateway.openai.audio.speech.create(
                model="m", input="one", voice={"id": voice.id}, response_format="pcm"
            )
            assert spoken.content
            assert (await voices.delete(voice.id)).deleted

    asyncio.run(main())


def test_a_replica_that_forgot_a_voice_is_sent_it_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path, tts=fake_tts.Config(max_clones=1)) as gateway:
            voices = [(await sent(gateway, wav_of(SPEECH))).json()["id"] for _ in range(2)]
            gateway.spoken.clear()
            for voice in (*voices, voices[1]):
                answer = await gateway.client.post("/v1/audio/speech", json={"input": "Hi. You.", "voice": voice})
                assert answer.status_code == 200
            sent_with_it = [request.voice for request in gateway.spoken if request.sample is not None]
            assert sent_with_it == voices

    asyncio.run(main())


def test_what_cannot_be_cloned_is_refused_with_the_reason(tmp_path: Path) -> None:
    loud = np.clip(SPEECH.astype(np.int32) * 40, -32768, 32767).astype(np.int16)
    noisy = np.clip(SPEECH.astype(np.int32) + noise(11, 2500), -32768, 32767).astype(np.int16)
    cases: tuple[tuple[npt.NDArray[np.int16], str, str], ...] = (
        (SPEECH[: 5 * 16_000], "sample_length", "has 5.0 s: send 6 to 30 s"),
        (np.concatenate([SPEECH] * 3), "sample_length", "has 33.0 s: send 6 to 30 s"),
        (np.concatenate([SPEECH] * 6), "sample_length", "longer than 60 s: send 6 to 30 s"),
        ((SPEECH // 200).astype(np.int16), "sample_too_quiet", "closer to the microphone"),
        (loud, "sample_clipped", "less gain"),
        (noisy, "sample_noisy", "quieter room"),
        (np.concatenate([clip("thank_you"), pause(8)]), "sample_without_speech", "s of speech"),
        (SPEECH[:0], "invalid_audio", "no sound"),
    )

    async def main() -> None:
        async with rig(tmp_path) as gateway:
            for sound, code, said in cases:
                error = error_of(await sent(gateway, wav_of(sound)), 400)
                assert (error["code"], error["param"]) == (code, "audio_sample"), error
                assert said in error["message"]
            assert error_of(await sent(gateway, b"I am a text."), 400)["code"] == "invalid_audio"
            assert (await gateway.client.get(VOICES)).json()["data"] == []
            assert gateway.at_rest

    asyncio.run(main())


@pytest.mark.parametrize("consent", ["", "false", "no", "cons_123"])
def test_without_consent_nothing_is_kept(tmp_path: Path, consent: str) -> None:
    async def main() -> None:
        async with rig(tmp_path) as gateway:
            error = error_of(await sent(gateway, wav_of(SPEECH), consent=consent), 400)
            assert (error["code"], error["param"]) == ("consent_required", "consent")
            assert await gateway.store.voices.list() == ()

    asyncio.run(main())


def test_other_mistakes(tmp_path: Path) -> None:
    config = AudioApiConfig(voices=VoicesApiConfig(max_voices=1))
    wrong: tuple[tuple[dict[str, str], str], ...] = (
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"language": "english"}, "language"),
        ({"type": "prompt"}, "type"),
        ({"mood": "glad"}, "mood"),
    )

    async def main() -> None:
        async with rig(tmp_path, config=config) as gateway:
            for fields, param in wrong:
                assert error_of(await sent(gateway, wav_of(SPEECH), **fields), 400)["param"] == param
            nothing = await gateway.client.post(VOICES, json={"name": "Ann", "consent": "true"})
            assert error_of(nothing, 400)["param"] == "audio_sample"
            assert (await sent(gateway, wav_of(SPEECH))).status_code == 201
            assert error_of(await sent(gateway, wav_of(SPEECH)), 413)["code"] == "too_many_voices"
            assert error_of(await gateway.client.get(f"{VOICES}/tone"), 404)["code"] == "voice_not_found"

    asyncio.run(main())


def test_an_engine_that_does_not_clone_says_so(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path, tts=fake_tts.Config(clones=False)) as gateway:
            error = error_of(await sent(gateway, wav_of(SPEECH)), 400)
            assert error["code"] == "cloning_unavailable"
            assert "fake" in error["message"]

    asyncio.run(main())


def test_the_store_keeps_what_it_was_given(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path) as gateway:
            voices = gateway.store.voices
            first, second = (VoiceRecord(f"voice_{n}", f"Ann\x00 {n}", "", "", 6000 + n, n) for n in range(2))
            await voices.add(first, b"\x01\x02", 2)
            await voices.add(second, b"\x03\x04", 2)
            with pytest.raises(TooLarge, match="2 voices are kept"):
                await voices.add(VoiceRecord("voice_3", "x", "", "", 1, 1), b"", 2)
            assert [record.id for record in await voices.list()] == ["voice_1", "voice_0"]
            assert await voices.recording("voice_0") == (b"\x01\x02", "")
            await voices.delete("voice_0")
            assert [record.id for record in await voices.list()] == ["voice_1"]

    asyncio.run(main())
