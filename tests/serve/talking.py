"""A client that speaks recorded sound in real time and keeps what it hears."""

import asyncio
import base64
import json
import wave
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil
import websockets
from websockets.asyncio.client import ClientConnection

from deployments.media.audio import VOICE_RATE_HZ
from deployments.media.resample import Resampler

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


def realtime_address(url: str, **query: str) -> str:
    """Where a server's WebSocket is."""
    return (
        url.replace("http", "ws", 1) + "/v1/realtime?" + urlencode({"model": "parley", "parley_events": "1", **query})
    )


def hold(url: str, scene: Any, *, microphone: bool = False) -> None:
    """Play a scene with a fresh session."""

    async def play() -> None:
        async with websockets.connect(realtime_address(url), max_size=2**24) as socket:
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
