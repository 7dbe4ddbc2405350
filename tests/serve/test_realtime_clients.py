"""Stock clients of OpenAI's Realtime API, pointed at a running server and otherwise unchanged."""

import asyncio
import base64
import wave
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI, BadRequestError
from openai.resources.realtime.realtime import AsyncRealtimeConnection

from deployments.media.audio import VOICE_RATE_HZ, level_db, silence
from deployments.media.resample import Resampler

pytestmark = [pytest.mark.ray, pytest.mark.timeout(180)]

DATA = Path(__file__).parents[1] / "data"
FRAME_BYTES = 960
"""20 ms of 24 kHz PCM."""
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Tells the weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


@pytest.fixture
def base_url(parley_url: str) -> str:
    """What is given to a client as `base_url`: the embedded engines behind it."""
    return f"{parley_url}/v1"


class Talk:
    """What an application does with a connection."""

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        self.connection = connection
        self.seen: list[str] = []

    async def until(self, kind: str) -> Any:
        """Read to the next event of a type; an error that nobody waits for fails the test."""
        while True:
            event = await self.connection.recv()
            self.seen.append(event.type)
            if event.type == kind:
                return event
            assert event.type != "error", event

    async def reply(self) -> tuple[str, bytes, Any]:
        """The next response: its words, its sound and the whole."""
        await self.until("response.created")
        sound = b""
        while True:
            event = await self.connection.recv()
            self.seen.append(event.type)
            assert event.type != "error", event
            if event.type == "response.output_audio.delta":
                sound += base64.b64decode(event.delta)
            elif event.type == "response.done":
                words = [part for item in event.response.output or [] for part in getattr(item, "content", None) or []]
                return "".join(part.transcript or part.text or "" for part in words), sound, event.response

    async def ask(self, text: str) -> None:
        """Say something in writing and want an answer."""
        content = [{"type": "input_text", "text": text}]
        item: Any = {"type": "message", "role": "user", "content": content}
        await self.connection.conversation.item.create(item=item)
        await self.connection.response.create()

    async def speak(self, pcm: bytes) -> None:
        """Say something aloud, as a microphone delivers it."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        for start in range(0, len(pcm), FRAME_BYTES):
            audio = base64.b64encode(pcm[start : start + FRAME_BYTES]).decode()
            await self.connection.input_audio_buffer.append(audio=audio)
            due_s += 0.02
            await asyncio.sleep(due_s - loop.time())


@asynccontextmanager
async def talking(base_url: str, api_key: str = "none", **session: Any) -> AsyncGenerator[Talk, None]:
    """A connected client that has set up its session."""
    client = AsyncOpenAI(base_url=base_url, api_key=api_key)
    async with client, client.realtime.connect(model="gpt-realtime") as connection:
        talk = Talk(connection)
        await talk.until("session.created")
        if session:
            settings: Any = {"type": "realtime", **session}
            await connection.session.update(session=settings)
            await talk.until("session.updated")
        yield talk


def run(test: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(90):
            await test

    asyncio.run(bounded())


def recorded(name: str) -> bytes:
    """A clip at 24 kHz, with a breath of silence before it and enough behind it to end the turn."""
    with wave.open(str(DATA / f"{name}.wav")) as clip:
        pcm = Resampler(clip.getframerate(), VOICE_RATE_HZ).push(clip.readframes(clip.getnframes()), last=True)
    return silence(300, VOICE_RATE_HZ) + pcm + silence(1200, VOICE_RATE_HZ)


def test_a_spoken_conversation_of_two_turns(base_url: str) -> None:
    async def test() -> None:
        async with talking(base_url, audio={"input": {"transcription": {"model": "whisper-1"}}}) as talk:
            for clip in ("hi_how_are_you", "thank_you"):
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(talk.speak(recorded(clip)))
                    heard = await talk.until("conversation.item.input_audio_transcription.completed")
                    assert heard.transcript.strip()
                    words, sound, response = await talk.reply()
                assert words.strip()
                assert len(sound) > 2 * VOICE_RATE_HZ * 0.3
                assert level_db(sound) > -40
                assert response.status == "completed"
                assert response.usage.total_tokens > 0
        order = [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.input_audio_transcription.completed",
            "response.created",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_audio.done",
            "response.output_item.done",
            "response.done",
        ]
        assert [kind for kind in talk.seen if kind in order] == order * 2

    run(test())


def test_a_function_of_the_client_is_called_and_its_result_spoken(base_url: str) -> None:
    async def test() -> None:
        async with talking(base_url, tools=[WEATHER], audio={"output": {"voice": "marin"}}) as talk:
            await talk.ask("What is the weather in Paris?")
            _, _, response = await talk.reply()
            [call] = response.output
            assert (call.type, call.name, call.arguments) == ("function_call", "get_weather", '{"city": "Paris"}')
            item: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "It rains in Paris."}
            await talk.connection.conversation.item.create(item=item)
            await talk.connection.response.create()
            words, sound, _ = await talk.reply()
            assert "rain" in words.lower()
            assert sound

    run(test())


def test_a_response_beside_the_conversation(base_url: str) -> None:
    async def test() -> None:
        async with talking(base_url) as talk:
            response: Any = {
                "conversation": "none",
                "output_modalities": ["text"],
                "metadata": {"topic": "sums"},
                "input": [
                    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Two plus two?"}]}
                ],
            }
            await talk.connection.response.create(response=response)
            words, sound, done = await talk.reply()
            assert "four" in words.lower()
            assert not sound
            assert done.metadata == {"topic": "sums"}
            assert done.conversation_id is None
            assert "conversation.item.added" not in talk.seen

    run(test())


def test_a_telephone(base_url: str) -> None:
    async def test() -> None:
        audio = {"input": {"format": {"type": "audio/pcmu"}}, "output": {"format": {"type": "audio/pcma"}}}
        async with talking(base_url, audio=audio) as talk:
            await talk.ask("Repeat after me: good morning to all of you.")
            words, sound, response = await talk.reply()
            assert "good morning" in words.lower()
            assert 0.5 < len(sound) / 8000 < 5
            assert response.audio.output.format.type == "audio/pcma"

    run(test())


def test_what_is_wrong_is_answered_and_the_session_goes_on(base_url: str) -> None:
    async def test() -> None:
        async with talking(base_url) as talk:
            await talk.connection.conversation.item.delete(item_id="item_missing", event_id="mine")
            error = await talk.connection.recv()
            while error.type != "error":
                error = await talk.connection.recv()
            assert error.error.event_id == "mine"
            await talk.connection.output_audio_buffer.clear(event_id="webrtc")
            refused = await talk.connection.recv()
            assert refused.type == "error"
            assert refused.error.event_id == "webrtc"
            await talk.ask("What is two plus two?")
            words, _, _ = await talk.reply()
            assert "four" in words.lower()

    run(test())


def test_items_are_created_retrieved_truncated_and_deleted(base_url: str) -> None:
    async def test() -> None:
        async with talking(base_url) as talk:
            item = talk.connection.conversation.item
            await talk.ask("Tell me a long story.")
            delta = await talk.until("response.output_audio.delta")
            await asyncio.sleep(1)
            await talk.connection.response.cancel()
            done = await talk.until("response.done")
            assert done.response.status == "cancelled"
            await item.truncate(item_id=delta.item_id, content_index=0, audio_end_ms=400)
            truncated = await talk.until("conversation.item.truncated")
            assert truncated.audio_end_ms == 400
            await item.retrieve(item_id=delta.item_id)
            retrieved = await talk.until("conversation.item.retrieved")
            assert retrieved.item.status == "incomplete"
            await item.delete(item_id=delta.item_id)
            assert (await talk.until("conversation.item.deleted")).item_id == delta.item_id

    run(test())


def test_client_secrets_and_models(base_url: str) -> None:
    async def test() -> None:
        async with AsyncOpenAI(base_url=base_url, api_key="none") as client:
            assert "parley" in [model.id async for model in client.models.list()]
            secret = await client.realtime.client_secrets.create(
                session={"type": "realtime", "instructions": "Be brief."}, expires_after={"seconds": 60}
            )
            async with (
                AsyncOpenAI(base_url=base_url, api_key=secret.value) as browser,
                browser.realtime.connect(model="gpt-realtime") as connection,
            ):
                created = await connection.recv()
                assert created.type == "session.created"
                assert created.session.type == "realtime"
                assert created.session.instructions == "Be brief."

    run(test())


def test_texts_are_spoken_and_files_are_transcribed(base_url: str) -> None:
    async def main() -> None:
        async with AsyncOpenAI(api_key="none", base_url=base_url, max_retries=0) as client:
            streaming = client.audio.speech.with_streaming_response.create
            text = "Thank you. How are you today? " * 4
            async with streaming(model="tts-1", voice="alloy", input=text, response_format="flac") as answer:
                assert float(answer.headers["x-parley-first-audio-ms"]) > 0
                spoken = b"".join([piece async for piece in answer.iter_bytes()])
            words = await client.audio.transcriptions.create(
                model="whisper-1",
                file=("spoken.flac", spoken),
                response_format="verbose_json",
                timestamp_granularities=["word", "segment"],
            )
            assert words.duration > 5
            assert words.segments
            assert len(words.words or ()) > 8, words.text
            stream = await client.audio.transcriptions.create(model="m", file=DATA / "jfk.wav", stream=True)
            events = [event async for event in stream]
            assert events[-1].type == "transcript.text.done"
            assert "fellow american" in events[-1].text
            with pytest.raises(BadRequestError, match="it takes: en"):
                await client.audio.transcriptions.create(model="m", file=DATA / "yes.wav", language="fr")
            with pytest.raises(BadRequestError, match="does not clone"):
                await client.audio.voices.create(audio_sample=DATA / "jfk.wav", consent="true", name="John")

    asyncio.run(main())
