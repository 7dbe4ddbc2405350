"""Recorded speech goes in over a WebSocket in real time; words and a voice come out, whatever is killed meanwhile."""

import asyncio
import base64
import json
import os
import signal
import time
import urllib.request
import wave
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from deployments.media.audio import VOICE_RATE_HZ, level_db
from deployments.media.resample import Resampler

pytestmark = [pytest.mark.ray, pytest.mark.timeout(120)]
DATA = Path(__file__).parents[1] / "data"
FRAME_BYTES = 960


def recording(name: str) -> bytes:
    """24 kHz PCM of a clip."""
    with wave.open(str(DATA / f"{name}.wav")) as file:
        return Resampler(file.getframerate(), VOICE_RATE_HZ).push(file.readframes(file.getnframes()), last=True)


def replica_pids(deployment: str) -> list[int]:
    """Processes of a deployment's replicas under this test's Ray."""
    ours = {child.pid for child in psutil.Process().children(recursive=True)}
    title = f"ray::ServeReplica:parley:{deployment}"
    return [pid for pid in ours if " ".join(psutil.Process(pid).cmdline()).startswith(title)]


class Client:
    """A microphone that is always open, and everything that was heard."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self._to_say = bytearray()
        self.events: list[dict[str, Any]] = []
        self.sound = b""

    async def send(self, **event: Any) -> None:
        await self.socket.send(json.dumps(event))

    async def ask(self, text: str) -> None:
        """A typed question."""
        content = [{"type": "input_text", "text": text}]
        await self.send(type="conversation.item.create", item={"type": "message", "role": "user", "content": content})
        await self.send(type="response.create")

    def say(self, pcm: bytes) -> None:
        """Speak into the microphone."""
        self._to_say += pcm

    async def stream(self) -> None:
        """20 ms frames in real time."""
        loop = asyncio.get_running_loop()
        next_s = loop.time()
        while True:
            frame = bytes(self._to_say[:FRAME_BYTES])
            del self._to_say[:FRAME_BYTES]
            frame += bytes(FRAME_BYTES - len(frame))
            await self.send(type="input_audio_buffer.append", audio=base64.b64encode(frame).decode())
            next_s += 0.02
            await asyncio.sleep(next_s - loop.time())

    async def until(self, kind: str, timeout_s: float = 20.0) -> dict[str, Any]:
        """Read to the next event of a type."""
        async with asyncio.timeout(timeout_s):
            while True:
                event: dict[str, Any] = json.loads(await self.socket.recv())
                self.events.append(event)
                if event["type"] == "response.output_audio.delta":
                    self.sound += base64.b64decode(event["delta"])
                if event["type"] == kind:
                    return event

    async def until_sound(self, seconds: float) -> None:
        """Read until so much of the reply has come."""
        while len(self.sound) < 2 * VOICE_RATE_HZ * seconds:
            await self.until("response.output_audio.delta")


def hold(url: str, scene: Any, *, microphone: bool = False) -> None:
    """Play a scene with a fresh session."""

    async def play() -> None:
        address = url.replace("http", "ws", 1) + "/v1/realtime?model=parley&parley_events=1"
        async with websockets.connect(address, max_size=2**24) as socket:
            client = Client(socket)
            await client.until("session.created")
            settings = {"type": "realtime", "audio": {"input": {"transcription": {"model": "any"}}}}
            await client.send(type="session.update", session=settings)
            async with asyncio.TaskGroup() as tasks:
                streaming = tasks.create_task(client.stream()) if microphone else None
                await scene(client)
                if streaming is not None:
                    streaming.cancel()

    asyncio.run(play())


def test_recorded_speech_is_understood_and_answered_aloud(parley_url: str) -> None:
    async def scene(client: Client) -> None:
        # The embedded recogniser reads most of "thank you very much" right at any offset to its frames, "help me" not.
        for name, words in (("thank_you", "thank you very"), ("help_me", "")):
            client.sound = b""
            client.say(recording(name))
            heard = await client.until("conversation.item.input_audio_transcription.completed")
            assert heard["transcript"].startswith(words)
            assert heard["transcript"] != ""
            said = await client.until("response.output_audio_transcript.done")
            assert len(said["transcript"]) > 5
            done = await client.until("response.done")
            assert done["response"]["status"] == "completed"
            seconds = len(client.sound) / 2 / VOICE_RATE_HZ
            assert 0.3 < seconds < 20
            assert level_db(client.sound) > -40, "a voice that can be heard"
            loud = np.abs(np.frombuffer(client.sound, "<i2")) > 1000
            assert loud.mean() > 0.1

    hold(parley_url, scene, microphone=True)


@pytest.mark.parametrize("stage", ["Tts", "Llm", "Asr"])
def test_a_conversation_outlives_the_replica_of_a_stage(parley_url: str, stage: str) -> None:
    """SIGKILL in mid-turn: what was being said goes on or is given up, and the next turn is whole."""

    async def scene(client: Client) -> None:
        await client.ask("count from one to fifteen")
        await client.until_sound(1.0)
        if stage == "Asr":
            client.say(recording("thank_you"))
            await client.until("input_audio_buffer.speech_started")
        pids = replica_pids(stage)
        assert pids
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        first = await client.until("response.done", 60)
        assert first["response"]["status"] == ("cancelled" if stage == "Asr" else "completed")
        if stage == "Asr":
            heard = await client.until("conversation.item.input_audio_transcription.completed", 60)
            assert heard["transcript"].startswith("thank you very"), "what the dead replica had heard is sent again"
        else:
            await client.ask("what is two plus two")
        said = await client.until("response.output_audio_transcript.done", 60)
        assert said["transcript"] == ("You are welcome." if stage == "Asr" else "Two plus two is four.")
        await client.until("response.done")

    hold(parley_url, scene, microphone=stage == "Asr")


def test_a_client_that_vanishes_leaves_no_running_turn(parley_url: str) -> None:
    conversation = ""

    async def scene(client: Client) -> None:
        nonlocal conversation
        conversation = (await client.until("conversation.created"))["conversation"]["id"]
        await client.ask("tell me a long story")
        await client.until_sound(1.0)
        client.socket.transport.abort()

    with pytest.raises((websockets.ConnectionClosed, ExceptionGroup)):
        hold(parley_url, _then_read(scene))
    record = _wait_for(parley_url, f"/v1/conversations/{conversation}", lambda answer: answer["ended_at"] is not None)
    reply = record["items"]["data"][-1]
    assert reply["status"] == "incomplete"
    heard = reply["content"][0]["transcript"]
    assert 0 < len(heard) < 400, "the history keeps about a second of the long story"


def _then_read(scene: Any) -> Any:
    async def play(client: Client) -> None:
        await scene(client)
        await client.until("never")

    return play


def _wait_for(url: str, path: str, holds: Any, timeout_s: float = 10.0) -> Any:
    deadline_s = time.monotonic() + timeout_s
    while True:
        with urllib.request.urlopen(url + path) as response:
            answer = json.load(response)
        if holds(answer):
            return answer
        assert time.monotonic() < deadline_s, answer
        asyncio.run(_pause(0.2))


def _pause(seconds: float) -> Coroutine[Any, Any, None]:
    return asyncio.sleep(seconds)
