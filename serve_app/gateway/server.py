"""What a replica of the Gateway holds, and how it begins and ends."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from ray import serve
from ray.serve.handle import DeploymentHandle
from starlette.applications import Starlette
from starlette.routing import Route

from configs.schema import AppConfig
from configs.session import SessionConfig
from deployments.asr.client import AsrClient
from deployments.avatar.client import AvatarClient
from deployments.avatar.contract import AvatarInfo, Portrait
from deployments.avatar.deployment import AvatarDescription
from deployments.llm.client import LlmClient
from deployments.runtime.calls import ServePush, ServeStream
from deployments.runtime.clock import wall_s
from deployments.runtime.draining import wait_for_drain
from deployments.runtime.metrics import ConversationMetrics
from deployments.tts.client import TtsClient
from serve_app.gateway import page
from serve_app.gateway.avatar_desk import AvatarDesk
from serve_app.gateway.avatars import avatar_routes
from serve_app.gateway.chat.routes import chat_routes
from serve_app.gateway.client_secrets import ClientSecrets, load_signing_key
from serve_app.gateway.clips import clip_routes
from serve_app.gateway.coming_back import ComingBack
from serve_app.gateway.conversations import conversation_routes
from serve_app.gateway.health import health_routes
from serve_app.gateway.keys import ApiKeys
from serve_app.gateway.metrics import agent_address, metrics_route
from serve_app.gateway.models import model_routes
from serve_app.gateway.origins import OriginPolicy
from serve_app.gateway.places import Places
from serve_app.gateway.readiness import Readiness
from serve_app.gateway.realtime.entrance import Entrance
from serve_app.gateway.realtime.limits import Limits
from serve_app.gateway.routes import build_asgi_app
from serve_app.gateway.sessions import Resumed, Sessions
from serve_app.gateway.silero import SileroBatcher, SileroModel
from serve_app.gateway.single_turn import single_turn_routes
from serve_app.gateway.studio import Studio
from serve_app.gateway.voices import voices_route
from serve_app.gateway.webrtc.calls import Calls
from serve_app.gateway.webrtc.entrance import call_routes
from serve_app.gateway.webrtc.face import NoFace
from serve_app.session.ids import new_id
from serve_app.session.interruption import policy
from serve_app.session.screen import Faces
from serve_app.session.session import Session
from serve_app.session.settings import SessionSettings, initial_settings
from serve_app.session.surroundings import Surroundings
from serve_app.store import Store

_DESCRIBE_S = 2.0


class GatewayServer:
    """The conversations of one replica, and the web application that reaches them."""

    def __init__(
        self,
        asr: DeploymentHandle[Any],
        llm: DeploymentHandle[Any],
        tts: DeploymentHandle[Any],
        avatar: DeploymentHandle[Any] | None,
        config: AppConfig,
    ) -> None:
        self._config = config
        self.live = SessionConfig()
        """For conversations that begin from now on."""
        self._asr = AsrClient(ServePush(asr, "push"), config.deadlines.asr_s)
        self._llm = LlmClient(ServeStream(llm, "generate"), config.deadlines.llm_s)
        self._tts = TtsClient(ServeStream(tts, "synthesize"), config.deadlines.tts_s)
        stages = {"Asr": asr, "Llm": llm, "Tts": tts}
        self._faces: Faces | None = None
        if avatar is not None:
            stages["Avatar"] = avatar
            client = AvatarClient(ServePush(avatar, "push"), config.deadlines.avatar_s)
            self._faces = Faces(client, self._portrait)
        self._desk: AvatarDesk | None = None
        self._readiness = Readiness(stages)
        self._metrics = ConversationMetrics()
        self._sessions = Sessions(self._make_session, config.gateway.max_sessions, self._metrics)
        self._started_s = wall_s()

    async def start(self) -> None:
        """Open what blocks. Raises ConfigError."""
        config = self._config
        self._signing_key = await asyncio.to_thread(load_signing_key, config.store.path.parent)
        self._store = await Store.open(config.store)
        if self._faces is not None:
            kept, client = self._store.avatars, self._faces.client
            self._desk = AvatarDesk(kept, client, self._stage_avatars, config.clips.max_avatars)
        self._coming_back = ComingBack(self._store, self._sessions, lambda: self.live)
        self._speech_model = SileroBatcher(await asyncio.to_thread(SileroModel))

    def build_asgi_app(self) -> Starlette:
        """All routes, once started."""
        gateway = self._config.gateway
        keys = ApiKeys.from_environment(os.environ)
        entrance = Entrance(
            keys,
            ClientSecrets(self._signing_key, gateway.client_secret_ttl_s),
            self._sessions,
            lambda: initial_settings(self.live),
            self._limits,
            self._coming_back.take,
            faces=self._faces is not None,
        )
        self._calls = Calls(
            self._config.webrtc,
            self._sessions,
            self._limits,
            self._store,
            local_only=not keys.required,
            face_of=lambda session: session.screen if isinstance(session, Session) else NoFace(),
        )
        describe = self._readiness.describe
        routes = [
            *(call_routes(entrance, self._calls) if self._config.webrtc.enabled else ()),
            *health_routes(describe),
            *model_routes(describe, self._started_s),
            voices_route(describe),
            metrics_route(agent_address),
            *chat_routes(self._llm, Places(gateway.max_chats)),
            *conversation_routes(self._store),
            *self._file_routes(),
            *page.routes(),
        ]
        origins = OriginPolicy(gateway.allowed_origins, gateway.public_url, keys.required)
        return build_asgi_app(entrance, origins, routes, self._lifespan)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncGenerator[None, None]:
        """Serve runs it from the constructor to the end of the replica."""
        async with asyncio.TaskGroup() as tasks:
            background = [tasks.create_task(self._close_sessions_at_drain())]
            background.append(tasks.create_task(self._coming_back.watch()))
            background.append(tasks.create_task(self._calls.run()))
            if serve.get_replica_context().rank.rank == 0:
                background.append(tasks.create_task(self._readiness.announce(self._config.gateway.public_url)))
            yield
            for task in background:
                task.cancel()
        await self._speech_model.close()
        await self._store.close()

    async def _close_sessions_at_drain(self) -> None:
        await wait_for_drain()
        self._sessions.close_all()

    def _make_session(self, settings: SessionSettings, resumed: Resumed | None = None) -> Session:
        surroundings = Surroundings(
            self._asr,
            self._llm,
            self._tts,
            self._speech_model,
            self.live,
            self._metrics,
            self._faces,
            interruption=policy(self.live.interruption),
        )
        if resumed is not None:
            return Session(surroundings, settings, resumed.recorder, carried=resumed.carried)
        conversation_id = new_id("conv")
        return Session(surroundings, settings, self._store.recorder(conversation_id), conversation_id)

    async def _portrait(self, avatar: str) -> Portrait | None:
        assert self._desk is not None
        return await self._desk.portrait(avatar)

    async def _stage_avatars(self) -> tuple[AvatarInfo, ...]:
        avatar = (await self._readiness.describe(_DESCRIBE_S))["Avatar"]
        return avatar.avatars if isinstance(avatar, AvatarDescription) else ()

    def _file_routes(self) -> list[Route]:
        """What needs no session: avatars, clips, single turns."""
        config = self._config.clips
        places = Places(config.max_at_once)
        studio = Studio(self._asr, self._llm, self._tts, self._faces, self._desk, config, lambda: self.live, places)
        routes = [*clip_routes(studio), *single_turn_routes(studio, self._store)]
        return routes if self._desk is None else [*avatar_routes(self._desk, config, places), *routes]

    def _limits(self) -> Limits:
        gateway = self._config.gateway
        return Limits(gateway.max_audio_append_bytes, gateway.max_message_bytes, self.live.max_text_chars)
