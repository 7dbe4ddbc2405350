"""A client that calls by WebRTC, with aiortc in the test's own loop, and the gateway's app it calls."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Any

import httpx
import numpy as np
import orjson
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame
from numpy.typing import NDArray
from starlette.applications import Starlette

from configs.webrtc import WebRtcConfig
from serve_app.gateway import page
from serve_app.gateway.client_secrets import ClientSecrets
from serve_app.gateway.keys import ApiKeys
from serve_app.gateway.origins import OriginPolicy
from serve_app.gateway.realtime.entrance import Entrance
from serve_app.gateway.realtime.limits import Limits
from serve_app.gateway.routes import build_asgi_app
from serve_app.gateway.sessions import LiveSession, MakeSession, Sessions
from serve_app.gateway.webrtc.calls import CallBook, Calls
from serve_app.gateway.webrtc.entrance import call_routes
from serve_app.gateway.webrtc.face import FaceControl, NoFace
from serve_app.session.screen import Faces
from serve_app.session.settings import SessionSettings
from tests.scripted_sessions import nobody_comes_back, served

RATE_HZ = 48_000
SECRETS = ClientSecrets(b"k" * 32, 600)


async def until(condition: Callable[[], bool]) -> None:
    """Let the network work until something is so."""
    while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
        await asyncio.sleep(0.005)


class LoneBook:
    """The call book of a server that is alone."""

    def __init__(self) -> None:
        self.open: set[str] = set()

    async def call_began(self, call_id: str) -> None:
        self.open.add(call_id)

    async def call_ended(self, call_id: str) -> None:
        self.open.discard(call_id)

    async def ask_to_end_call(self, call_id: str) -> bool:
        return call_id in self.open

    async def calls_to_end(self, call_ids: Sequence[str]) -> tuple[str, ...]:
        return ()


class Callee:
    """A Gateway's app without Ray, that takes calls."""

    def __init__(
        self,
        make: MakeSession,
        *,
        keys: tuple[str, ...] = (),
        max_sessions: int = 4,
        config: WebRtcConfig | None = None,
        book: CallBook | None = None,
        face_of: Callable[[LiveSession], FaceControl] = lambda _: NoFace(),
        faces: Faces | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.sessions = Sessions(make, max_sessions)
        self._faces = faces
        self._keys = ApiKeys(keys)
        self.calls = Calls(
            # Only 127.0.0.1, also where keys are wanted.
            config or WebRtcConfig(addresses=("127.0.0.1",)),
            self.sessions,
            Limits,
            book or LoneBook(),
            local_only=True,
            face_of=face_of,
            environment=environment or {},
        )

    def app(self) -> Starlette:
        entrance = Entrance(self._keys, SECRETS, self.sessions, SessionSettings, Limits, nobody_comes_back, self._faces)
        routes = [*call_routes(entrance, self.calls), *page.routes()]
        return build_asgi_app(entrance, OriginPolicy(keyed=self._keys.required), routes)

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[str, None]:
        """Its address. At the end no call may be left, and no task of one."""
        before = asyncio.all_tasks()
        running = asyncio.create_task(self.calls.run())
        await asyncio.sleep(0)
        async with served(self.app()) as address:
            yield address
        running.cancel()
        await asyncio.wait([running])
        assert len(self.calls) == 0
        assert len(self.sessions) == 0
        await asyncio.sleep(0.05)
        left = {task for task in asyncio.all_tasks() - before if not task.done()}
        assert not left, left


class Microphone(MediaStreamTrack):
    """Plays 48 kHz sound in real time, then silence."""

    kind = "audio"

    def __init__(self, sound: NDArray[np.int16]) -> None:
        super().__init__()
        self._sound = sound
        self._given = 0
        self._began_s = 0.0

    async def recv(self) -> AudioFrame:
        loop = asyncio.get_running_loop()
        if not self._given:
            self._began_s = loop.time()
        await asyncio.sleep(max(0.0, self._began_s + self._given / RATE_HZ - loop.time()))
        piece = np.zeros(960, dtype=np.int16)
        rest = self._sound[self._given : self._given + 960]
        piece[: rest.size] = rest
        frame = AudioFrame.from_ndarray(piece.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = RATE_HZ
        frame.pts = self._given
        frame.time_base = Fraction(1, RATE_HZ)
        self._given += 960
        return frame


def tone(hz: float, duration_s: float, rate_hz: int = RATE_HZ, level: float = 0.3) -> NDArray[np.int16]:
    """A sine."""
    times_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    return (level * 32767 * np.sin(2 * np.pi * hz * times_s)).astype(np.int16)


class Caller:
    """One call from the client's side."""

    channel: RTCDataChannel

    def __init__(
        self, address: str, microphone: NDArray[np.int16] | None = None, *, video: bool = False, channel: bool = True
    ) -> None:
        self.address = address
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.heard: list[AudioFrame] = []
        self.seen: list[VideoFrame] = []
        self.location = ""
        self.connection.addTrack(Microphone(np.zeros(0, np.int16) if microphone is None else microphone))
        self.picture: RTCRtpTransceiver | None = None
        if video:
            self.picture = self.connection.addTransceiver("video", "recvonly")
        self._reading: list[asyncio.Task[None]] = []
        if channel:
            self.channel = self.connection.createDataChannel("oai-events")
            self.channel.on("message", lambda text: self.events.put_nowait(orjson.loads(text)))
        self.connection.on("track", self._take)

    async def offer(self) -> str:
        """The SDP offer."""
        await self.connection.setLocalDescription(await self.connection.createOffer())
        sdp: str = self.connection.localDescription.sdp
        return sdp

    async def call(self, headers: dict[str, str] | None = None, query: str = "") -> "Caller":
        """Call, as a stock client does."""
        sdp = await self.offer()
        async with httpx.AsyncClient() as http:
            answer = await http.post(
                f"http://{self.address}/v1/realtime/calls{query}",
                content=sdp,
                headers={"Content-Type": "application/sdp", **(headers or {})},
                timeout=20,
            )
        assert answer.status_code == 201, answer.text
        assert answer.headers["content-type"].startswith("application/sdp")
        self.location = answer.headers["location"]
        assert self.location.startswith("/v1/realtime/calls/rtc_")
        await self.connect(answer.text)
        return self

    async def connect(self, answer: str) -> None:
        """Go on with the answer."""
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def event(self, kind: str) -> dict[str, Any]:
        """The next event of a type; those before it are dropped."""
        while (event := await self.events.get())["type"] != kind:
            pass
        return event

    def send(self, kind: str, **fields: Any) -> None:
        """Send an event."""
        self.channel.send(orjson.dumps({"type": kind, **fields}).decode())

    def sound(self) -> NDArray[np.int16]:
        """All that was heard so far: mono, 48 kHz."""
        pieces = [frame.to_ndarray().reshape(-1, 2)[:, 0] for frame in self.heard]
        return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)

    async def hang_up(self) -> None:
        """Close the connection."""
        await self.connection.close()
        for task in self._reading:
            task.cancel()
        if self._reading:
            await asyncio.wait(self._reading)

    async def __aenter__(self) -> "Caller":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.hang_up()

    def _take(self, track: MediaStreamTrack) -> None:
        into: list[Any] = self.heard if track.kind == "audio" else self.seen
        self._reading.append(asyncio.create_task(self._read(track, into)))

    async def _read(self, track: MediaStreamTrack, into: list[Any]) -> None:
        try:
            while True:
                into.append(await track.recv())
        except MediaStreamError:
            return
