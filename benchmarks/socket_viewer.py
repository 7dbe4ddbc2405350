"""A client with or without a face by the WebSocket."""

import asyncio
import base64
import time
from types import TracebackType
from typing import Any

import av
import orjson
import websockets
from websockets.asyncio.client import ClientConnection

from benchmarks.in_step import Shown
from benchmarks.socket_rule import SocketPlayer
from benchmarks.viewers import Received, in_time, read

_MOST_MARKS = 10_000
"""Beginnings that nobody has asked for yet: more than ten minutes bring."""
_SESSION = {"type": "session.update", "session": {"type": "realtime"}}


class SocketViewer:
    """One session, that only listens and watches. Pictures are decoded when `received` asks, not while they come."""

    def __init__(self, url: str, *, face: bool) -> None:
        asked = "&avatar=" if face else ""
        self._url = url.replace("http", "ws", 1) + "/v1/realtime?model=parley" + asked
        self._player = SocketPlayer()
        self._units: list[bytes] = []
        self._sound: asyncio.Queue[float] = asyncio.Queue(_MOST_MARKS)
        self._picture: asyncio.Queue[float] = asyncio.Queue(_MOST_MARKS)
        self._done = asyncio.Event()
        self._errors: list[str] = []
        self._saying = False
        self._showing = False
        self._asked_s = 0.0
        self._socket: ClientConnection
        self._reading: asyncio.Task[None]

    async def __aenter__(self) -> "SocketViewer":
        self._socket = await websockets.connect(self._url, max_size=2**24, compression=None)
        self._reading = asyncio.create_task(self._read())
        await self._socket.send(orjson.dumps(_SESSION).decode())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reading.cancel()
        await asyncio.wait([self._reading])
        await self._socket.close()

    async def ask(self) -> float:
        """Ask for a reply; when its first sound has come. Raises RuntimeError."""
        self._done.clear()
        self._saying = self._showing = False
        self._asked_s = time.monotonic()
        await self._send("response.create")
        return await self._next(self._sound, "sound")

    async def first_ms(self) -> tuple[float, float]:
        """Ask; milliseconds to the first sound, and to the first picture that belongs to it."""
        sound_s = await self.ask()
        picture_s = await self._next(self._picture, "picture") if "avatar" in self._url else float("nan")
        return 1000 * (sound_s - self._asked_s), 1000 * (picture_s - self._asked_s)

    async def cancel(self) -> float:
        """Stop the reply, and drop what was not played of it."""
        await self._send("response.cancel")
        now_s = time.monotonic()
        self._player.drop(now_s)
        await in_time(self._done.wait(), "end of the reply")
        return now_s

    def received(self) -> Received:
        """All so far, as it was shown and heard."""
        decoder = av.CodecContext.create("h264", "r")
        assert isinstance(decoder, av.VideoCodecContext)
        seen: dict[int, tuple[int | None, float]] = {}
        for index, unit in enumerate([*self._units, None]):
            packet = None if unit is None else av.Packet(unit)
            if packet is not None:
                packet.pts = index
            for picture in decoder.decode(packet):
                assert picture.pts is not None
                seen[picture.pts] = read(picture)
        pictures = [
            Shown(place.shown_s, place.arrived_s, place.at_s, *seen.get(place.index, (None, 0.0)))
            for place in self._player.shown
        ]
        return Received(pictures, list(self._player.heard), list(self._errors))

    async def _next(self, queue: asyncio.Queue[float], what: str) -> float:
        getting = asyncio.create_task(queue.get())
        try:
            await in_time(asyncio.wait([getting, self._reading], return_when=asyncio.FIRST_COMPLETED), what)
            if getting.done():
                return getting.result()
            self._reading.result()  # raises why it ended
            raise RuntimeError("the server has closed the connection")
        finally:
            getting.cancel()

    async def _send(self, kind: str) -> None:
        await self._socket.send(orjson.dumps({"type": kind}).decode())

    async def _read(self) -> None:
        async for text in self._socket:
            self._take(time.monotonic(), orjson.loads(text))

    def _take(self, now_s: float, event: dict[str, Any]) -> None:
        match event["type"]:
            case "response.output_audio.delta":
                self._player.sound(now_s, base64.b64decode(event["delta"]))
                if not self._saying:
                    self._sound.put_nowait(now_s)
                self._saying = True
            case "parley.video.block":
                self._units += [base64.b64decode(frame["data"]) for frame in event["frames"]]
                self._player.block(now_s, event["at_ms"], len(event["frames"]), event["spoken_ms"], event["cut"])
                if event["spoken_ms"] and event["frames"] and not self._showing:
                    self._picture.put_nowait(now_s)
                    self._showing = True
            case "response.done":
                self._done.set()
            case "error":
                self._errors.append(event["error"]["message"])
