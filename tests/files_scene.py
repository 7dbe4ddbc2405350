"""The routes for avatars, clips and single turns over a real store, with in-process stages and their fake engines."""

import asyncio
import io
import wave
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import cv2
import httpx
import numpy as np
import numpy.typing as npt
from starlette.applications import Starlette

from configs.clips import ClipsConfig
from configs.session import SessionConfig
from deployments.asr.client import AsrClient
from deployments.asr.engines import fake as fake_asr
from deployments.asr.server import AsrServer
from deployments.avatar.client import AvatarClient
from deployments.avatar.contract import AvatarInfo
from deployments.avatar.engines import fake as fake_avatar
from deployments.avatar.server import AvatarServer
from deployments.avatar.test_pattern import read_frame_number
from deployments.llm.client import LlmClient
from deployments.llm.contract import LlmItem, LlmRequest
from deployments.llm.engines import fake as fake_llm
from deployments.llm.server import LlmServer
from deployments.runtime.local import LocalPush, LocalStream
from deployments.tts.client import TtsClient
from deployments.tts.engines import fake as fake_tts
from deployments.tts.server import TtsServer
from serve_app.gateway.avatar_desk import AvatarDesk
from serve_app.gateway.avatars import avatar_routes
from serve_app.gateway.clips import clip_routes
from serve_app.gateway.http_errors import exception_handlers
from serve_app.gateway.places import Places
from serve_app.gateway.single_turn import single_turn_routes
from serve_app.gateway.studio import Studio
from serve_app.session.screen import Faces
from serve_app.store import Store, StoreConfig


@dataclass
class Rig:
    """A gateway's routes and what is behind them."""

    app: Starlette
    client: httpx.AsyncClient
    """Reads an answer only when it is complete."""
    store: Store
    avatars: fake_avatar.Engine
    avatar_server: AvatarServer
    asr_server: AsrServer
    llm: fake_llm.Engine
    tts: fake_tts.Engine
    places: Places
    requests: list[LlmRequest] = field(default_factory=list)
    """What the model was asked."""

    @property
    def at_rest(self) -> bool:
        """Whether no stage works on anything and no place is taken."""
        stages = (self.avatar_server.open_faces, self.asr_server.open_utterances, self.llm.active, self.tts.active)
        return not any(stages) and not self.avatars.faces and not self.places.taken

    async def rests(self) -> None:
        """Wait until it does: a face and an utterance are closed behind the answer."""
        await until(lambda: self.at_rest)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it; worker threads take part, so the clock is the real one."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("still not so 5 s later")


@asynccontextmanager
async def rig(
    folder: Path,
    *,
    config: ClipsConfig | None = None,
    asr: fake_asr.Config | None = None,
    llm: fake_llm.Config | None = None,
    tts: fake_tts.Config | None = None,
    avatar: fake_avatar.Config | None = None,
    faceless: bool = False,
) -> AsyncIterator[Rig]:
    config = config or ClipsConfig()
    engine, tts_engine = fake_avatar.Engine(avatar or fake_avatar.Config()), fake_tts.Engine(tts or fake_tts.Config())
    llm_engine = fake_llm.Engine(llm or fake_llm.Config())
    asr_server, llm_server = AsrServer(fake_asr.Engine(asr or fake_asr.Config())), LlmServer(llm_engine)
    tts_server, avatar_server = TtsServer(tts_engine), AvatarServer(engine)
    servers = (asr_server, llm_server, tts_server, avatar_server)
    for server in servers:
        await server.start()
    requests: list[LlmRequest] = []

    async def generate(request: LlmRequest) -> AsyncGenerator[LlmItem, None]:
        requests.append(request)
        async with aclosing(llm_server.generate(request)) as items:
            async for item in items:
                yield item

    async def of_stage() -> tuple[AvatarInfo, ...]:
        return engine.avatars

    async with await Store.open(StoreConfig(path=folder / "parley.db")) as store:
        faces_client = AvatarClient(LocalPush(avatar_server.push), 5.0)
        desk = AvatarDesk(store.avatars, faces_client, of_stage, config.max_avatars)
        places = Places(config.max_at_once)
        studio = Studio(
            AsrClient(LocalPush(asr_server.push), 5.0),
            LlmClient(LocalStream(generate), 5.0),
            TtsClient(LocalStream(tts_server.synthesize), 5.0),
            None if faceless else Faces(faces_client, desk.portrait),
            None if faceless else desk,
            config,
            SessionConfig,
            places,
        )
        routes = [
            *avatar_routes(desk, config, places),
            *clip_routes(studio),
            *single_turn_routes(studio, store),
        ]
        app = Starlette(routes=routes, exception_handlers=exception_handlers())
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://parley") as client:
            yield Rig(app, client, store, engine, avatar_server, asr_server, llm_engine, tts_engine, places, requests)
    for server in servers:
        await server.close()


class SlowClient:
    """Reads an answer piece by piece: `app` waits in `send` until the piece before was taken."""

    def __init__(self, app: Starlette, path: str, body: bytes, content_type: str = "application/json") -> None:
        self.status = 0
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._taken = asyncio.Semaphore(1)
        self._left = asyncio.Event()
        self._body: list[bytes] = [body]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"content-type", content_type.encode())],
            "scheme": "http",
            "server": ("parley", 80),
            "client": ("127.0.0.1", 1),
        }
        self.serving = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        if self._body:
            return {"type": "http.request", "body": self._body.pop(), "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if not self._left.is_set():
            await self._taken.acquire()
        await self._messages.put(message)

    async def read(self) -> bytes:
        """The next piece; empty at the end."""
        while True:
            message = await self._messages.get()
            self._taken.release()
            if message["type"] == "http.response.body":
                body: bytes = message["body"]
                return body
            self.status = message["status"]

    def leave(self) -> None:
        """From now on `send` takes everything at once, as uvicorn's does when nobody is there."""
        self._left.set()
        self._taken.release()


def picture(width_px: int = 96, height_px: int = 128, kind: str = ".png") -> bytes:
    """A smooth picture."""
    x, y = np.meshgrid(np.linspace(0, 255, width_px), np.linspace(0, 255, height_px))
    done, encoded = cv2.imencode(kind, np.stack([x, y, 255 - x], axis=2).astype(np.uint8))
    assert done
    return encoded.tobytes()


def recording(duration_s: float, rate_hz: int = 16_000, channels: int = 1, hz: float = 220.0) -> bytes:
    """A tone as a WAV file."""
    t = np.arange(round(duration_s * rate_hz)) / rate_hz
    pcm = np.repeat((8000 * np.sin(2 * np.pi * hz * t)).astype("<i2"), channels).tobytes()
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate_hz)
        writer.writeframes(pcm)
    return file.getvalue()


@dataclass(frozen=True)
class Film:
    """An MP4 as a player sees it."""

    numbers: list[int | None]
    """Of the frames of the test pattern."""
    frame_times_s: list[float]
    sound: npt.NDArray[np.float32]
    """Its first sample is heard at `sound_at_s`."""
    sound_at_s: float
    codecs: tuple[str, ...]


def watched(mp4: bytes) -> Film:
    numbers: list[int | None] = []
    times: list[float] = []
    sound: list[npt.NDArray[np.float32]] = []
    at_s: float | None = None
    with av.open(io.BytesIO(mp4), "r") as container:
        codecs = tuple(stream.codec_context.name for stream in container.streams)
        for frame in container.decode():
            if isinstance(frame, av.VideoFrame):
                numbers.append(read_frame_number(frame.to_ndarray(format="gray").astype(np.uint8)))
                times.append(float(frame.time or 0))
            elif isinstance(frame, av.AudioFrame):
                at_s = float(frame.time or 0) if at_s is None else at_s
                sound.append(frame.to_ndarray()[0])
    heard = np.concatenate(sound) if sound else np.zeros(0, np.float32)
    return Film(numbers, times, heard, at_s or 0.0, codecs)


def error_of(response: httpx.Response, status: int) -> dict[str, Any]:
    """The error object, after checking the shape that every error has."""
    assert response.status_code == status, response.text[:300]
    body = response.json()
    assert set(body) == {"error"}
    error: dict[str, Any] = body["error"]
    assert set(error) == {"message", "type", "code", "param"}
    return error
