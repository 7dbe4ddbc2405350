"""The real server without Ray, in a thread: gateway, sessions and stages, the stages with their fake engines.

The voice is a tone that is on for half of each word, and the face the test pattern whose mouth opens with it.
"""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from configs.webrtc import WebRtcConfig
from deployments.asr.client import AsrClient
from deployments.asr.engines import fake as fake_asr
from deployments.asr.server import AsrServer
from deployments.avatar.client import AvatarClient
from deployments.avatar.contract import Portrait
from deployments.avatar.deployment import AvatarDescription
from deployments.avatar.engines import fake as fake_avatar
from deployments.avatar.server import AvatarServer
from deployments.llm.client import LlmClient
from deployments.llm.engines import fake as fake_llm
from deployments.llm.server import LlmServer
from deployments.runtime.errors import NotFound
from deployments.runtime.local import LocalPush, LocalStream
from deployments.runtime.stage import StageDescription
from deployments.tts.client import TtsClient
from deployments.tts.contract import Voice
from deployments.tts.deployment import TtsDescription
from deployments.tts.engines import fake as fake_tts
from deployments.tts.server import TtsServer
from serve_app.gateway import page
from serve_app.gateway.client_secrets import ClientSecrets
from serve_app.gateway.health import health_routes
from serve_app.gateway.keys import ApiKeys
from serve_app.gateway.origins import OriginPolicy
from serve_app.gateway.realtime.entrance import Entrance
from serve_app.gateway.realtime.limits import Limits
from serve_app.gateway.routes import build_asgi_app
from serve_app.gateway.sessions import LiveSession, Resumed, Sessions
from serve_app.gateway.voices import voices_route
from serve_app.gateway.webrtc.calls import Calls
from serve_app.gateway.webrtc.entrance import call_routes
from serve_app.gateway.webrtc.face import NoFace
from serve_app.session.recording import NullRecorder
from serve_app.session.screen import Faces
from serve_app.session.session import Session
from serve_app.session.settings import SessionSettings
from serve_app.session.surroundings import Surroundings
from tests.conversations.scene import LoudnessModel
from tests.scripted_sessions import nobody_comes_back
from tests.webrtc_caller import LoneBook

WORD_MS = 320.0
"""Of tone, and as much of silence behind it: both whole pictures."""
ANSWER = "one two three four five six seven eight nine ten eleven twelve " * 2
VOICES = (Voice("tone", "en", "One tone per word", ("alloy",)), Voice("other", "en", "The same tone"))


class Beeps(fake_tts.Engine):
    """Beeps, in two voices."""

    @property
    def voices(self) -> tuple[Voice, ...]:
        return VOICES


class Parlour:
    """Runs while it is entered; `sessions` are those that were begun."""

    def __init__(self, avatars: Sequence[str] = ("pattern",), answer: str = ANSWER) -> None:
        self.sessions: list[Session] = []
        self.faces = fake_avatar.Engine(fake_avatar.Config(avatars=tuple(avatars)))
        self._asr = AsrServer(fake_asr.Engine(fake_asr.Config()))
        self._llm = LlmServer(fake_llm.Engine(fake_llm.Config(replies=(answer,))))
        self._tts = TtsServer(Beeps(fake_tts.Config(word_ms=WORD_MS, gap_ms=WORD_MS)))
        self._avatar = AvatarServer(self.faces)
        self._stop: asyncio.Event | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="parlour")

    def __enter__(self) -> "Parlour":
        self._thread.start()
        assert self._started.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with AsyncExitStack() as stack:
            for stage in (self._asr, self._llm, self._tts, self._avatar):
                await stage.start()
                stack.push_async_callback(stage.close)
            config = uvicorn.Config(
                self._app(), "127.0.0.1", 0, log_level="warning", lifespan="off", ws="websockets-sansio"
            )
            listening = config.bind_socket()
            listening.listen()
            stack.callback(listening.close)
            self.url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
            server = uvicorn.Server(config)
            serving = asyncio.create_task(server.serve([listening]))
            calling = asyncio.create_task(self._calls.run())
            self._started.set()
            await self._stop.wait()
            calling.cancel()
            await asyncio.wait([calling])
            server.should_exit = server.force_exit = True
            await serving

    def _app(self) -> Any:
        faces = Faces(AvatarClient(LocalPush(self._avatar.push), 2.0), _no_portrait)
        around = Surroundings(
            asr=AsrClient(LocalPush(self._asr.push), 3.0),
            llm=LlmClient(LocalStream(self._llm.generate), 3.0),
            tts=TtsClient(LocalStream(self._tts.synthesize), 3.0),
            speech_model=LoudnessModel(),
            faces=faces,
        )

        def make(settings: SessionSettings, resumed: Resumed | None = None) -> LiveSession:
            session = Session(around, settings, NullRecorder())
            self.sessions.append(session)
            return session

        sessions = Sessions(make, 8)
        secrets = ClientSecrets(b"k" * 32, 600)
        entrance = Entrance(ApiKeys(()), secrets, sessions, SessionSettings, Limits, nobody_comes_back, faces=faces)
        webrtc = WebRtcConfig(addresses=("127.0.0.1",))
        self._calls = Calls(
            webrtc,
            sessions,
            Limits,
            LoneBook(),
            local_only=True,
            face_of=lambda session: session.screen if isinstance(session, Session) else NoFace(),
            environment={},
        )
        routes = [
            *call_routes(entrance, self._calls),
            *health_routes(self._describe),
            voices_route(self._describe),
            self._avatars(),
            *page.routes(),
        ]
        return build_asgi_app(entrance, OriginPolicy(), routes)

    async def _describe(self, deadline_s: float) -> Mapping[str, StageDescription]:
        return {
            "Tts": TtsDescription(engine="fake", voices=VOICES),
            "Avatar": AvatarDescription(engine="fake", avatars=self.faces.avatars),
        }

    def _avatars(self) -> BaseRoute:
        async def avatars(_: Request) -> Response:
            listed = [
                {"id": each.id, "object": "avatar", "width": each.width, "height": each.height, "name": each.id}
                for each in self.faces.avatars
            ]
            return JSONResponse({"object": "list", "data": listed})

        return Route("/v1/avatars", avatars)


async def _no_portrait(avatar: str) -> Portrait | None:
    raise NotFound(f"There is no avatar {avatar!r}.")
