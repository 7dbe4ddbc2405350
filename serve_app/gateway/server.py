"""What a replica of the Gateway holds, and how it begins and ends."""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from ray import serve
from ray.serve.handle import DeploymentHandle
from starlette.applications import Starlette
from starlette.routing import Route

from configs.assistant import SHIPPED, load_assistants
from configs.schema import AppConfig
from configs.session import SessionConfig
from deployments.asr.client import AsrClient
from deployments.asr.contract import AsrPush, AsrReply
from deployments.asr.deployment import AsrDescription
from deployments.avatar.client import AvatarClient
from deployments.avatar.contract import AvatarInfo, Portrait
from deployments.avatar.deployment import AvatarDescription
from deployments.llm.client import LlmClient
from deployments.llm.tools.toolbox import toolbox_of
from deployments.media.speakable.speaker import warm_up
from deployments.runtime.calls import ServePush, ServeStream, broadcast
from deployments.runtime.clock import wall_s
from deployments.runtime.draining import wait_for_drain
from deployments.runtime.errors import ConfigError, NotFound, ParleyError, StageUnavailable
from deployments.runtime.metrics import ConversationMetrics
from deployments.runtime.model_report import ReplicaModels
from deployments.tts.client import TtsClient
from deployments.tts.contract import SpeechBlock, SpeechRequest
from deployments.tts.deployment import TtsDescription
from serve_app.gateway import page
from serve_app.gateway.admin import admin_routes
from serve_app.gateway.assistants import Assistants
from serve_app.gateway.audio.hearing import FileHearing
from serve_app.gateway.audio.pace import Pace
from serve_app.gateway.audio.speaking import Reader, speech_routes
from serve_app.gateway.audio.transcribing import Transcriber, transcription_routes
from serve_app.gateway.audio.voice_desk import VoiceDesk, VoiceShelf
from serve_app.gateway.audio.voices import cloned_voice_routes
from serve_app.gateway.avatar_desk import AvatarDesk
from serve_app.gateway.avatars import avatar_routes
from serve_app.gateway.chat.routes import chat_routes
from serve_app.gateway.client_secrets import ClientSecrets, load_signing_key
from serve_app.gateway.clips import clip_routes
from serve_app.gateway.coming_back import ComingBack
from serve_app.gateway.conversations import conversation_routes
from serve_app.gateway.health import health_routes
from serve_app.gateway.keys import ADMIN_VARIABLE, ApiKeys
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
from serve_app.session.settings import SessionSettings
from serve_app.session.surroundings import Surroundings
from serve_app.store import Store

log = logging.getLogger(__name__)

_DESCRIBE_S = 2.0
_TOOLS_S = 5.0
"""For MCP servers to say what they have, before the first conversation begins."""


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
        self._llm = LlmClient(ServeStream(llm, "generate"), config.deadlines.llm_s)
        self._asr_port: ServePush[AsrPush, AsrReply] = ServePush(asr, "push")
        self._tts_port: ServeStream[SpeechRequest, SpeechBlock] = ServeStream(tts, "synthesize")
        stages = {"Asr": asr, "Llm": llm, "Tts": tts}
        self._faces: Faces | None = None
        if avatar is not None:
            stages["Avatar"] = avatar
            client = AvatarClient(ServePush(avatar, "push"), config.deadlines.avatar_s)
            self._faces = Faces(client, self._portrait, self._check_avatar)
        self._tools = toolbox_of(config.tools)
        self._assistants = _assistants(config, tuple(tool.name for tool in self._tools.tools))
        self._desk: AvatarDesk | None = None
        self._stages = {name.lower(): handle for name, handle in stages.items()}
        self._readiness = Readiness(stages)
        self._metrics = ConversationMetrics()
        self._sessions = Sessions(self._make_session, config.gateway.max_sessions, self._metrics)
        self._started_s = wall_s()

    def configure(self, live: SessionConfig) -> None:
        """Take this for conversations that begin from now on. Raises ConfigError."""
        self._assistants.check(live)
        self.live = live

    async def start(self) -> None:
        """Open what blocks. Raises ConfigError."""
        config = self._config
        await asyncio.to_thread(warm_up)
        self._signing_key = await asyncio.to_thread(load_signing_key, config.store.path.parent)
        self._store = await Store.open(config.store)
        self._asr = AsrClient(self._asr_port, config.deadlines.asr_s)
        self._tts = TtsClient(self._tts_port, config.deadlines.tts_s, VoiceShelf(self._store.voices))
        if self._faces is not None:
            kept, client = self._store.avatars, self._faces.client
            self._desk = AvatarDesk(kept, client, self._stage_avatars, config.clips.max_avatars)
        self._coming_back = ComingBack(self._store, self._sessions, lambda: self.live)
        self._silero = await asyncio.to_thread(SileroModel)
        self._speech_model = SileroBatcher(self._silero)
        self._voice_desk = VoiceDesk(
            self._store.voices, self._tts, self._describe_tts, self._silero, config.audio.voices
        )

    def build_asgi_app(self) -> Starlette:
        """All routes, once started."""
        gateway = self._config.gateway
        keys = ApiKeys.from_environment(os.environ)
        entrance = Entrance(
            keys,
            ClientSecrets(self._signing_key, gateway.client_secret_ttl_s),
            self._sessions,
            lambda: self._assistants.settings(self.live, ""),
            self._limits,
            self._coming_back.take,
            faces=self._faces,
            assistant=lambda name: self._assistants.settings(self.live, name),
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
            voices_route(describe, self._voice_desk),
            metrics_route(agent_address),
            *admin_routes(self._ask_all, self._stages, self._config.deadlines.model_load_s),
            *chat_routes(self._llm, Places(gateway.max_chats, "chats")),
            *conversation_routes(self._store),
            *self._file_routes(),
            *self._audio_routes(),
            *page.routes(),
        ]
        origins = OriginPolicy(gateway.allowed_origins, gateway.public_url, keys.required)
        admin = ApiKeys.from_environment(os.environ, ADMIN_VARIABLE)
        return build_asgi_app(entrance, origins, routes, self._lifespan, admin)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncGenerator[None, None]:
        """Serve runs it from the constructor to the end of the replica."""
        async with asyncio.TaskGroup() as tasks:
            background = [tasks.create_task(self._close_sessions_at_drain())]
            background.append(tasks.create_task(self._coming_back.watch()))
            background.append(tasks.create_task(self._calls.run()))
            background.append(tasks.create_task(self._tools.run()))
            await self._tools.wait_for_servers(_TOOLS_S)
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
        live = self._config_of(settings, resumed)
        surroundings = Surroundings(
            self._asr,
            self._llm,
            self._tts,
            self._speech_model,
            live,
            self._metrics,
            self._faces,
            interruption=policy(live.interruption),
            tools=self._tools,
        )
        if resumed is not None:
            return Session(surroundings, settings, resumed.recorder, carried=resumed.carried)
        conversation_id = new_id("conv")
        return Session(surroundings, settings, self._store.recorder(conversation_id), conversation_id)

    def _config_of(self, settings: SessionSettings, resumed: Resumed | None) -> SessionConfig:
        try:
            return self._assistants.configured(self.live, settings.assistant or "")
        except NotFound:
            if resumed is None:
                raise
            log.warning("a conversation goes on whose assistant %r is gone", settings.assistant)
            return self.live

    async def _portrait(self, avatar: str) -> Portrait | None:
        assert self._desk is not None
        return await self._desk.portrait(avatar)

    async def _check_avatar(self, avatar: str) -> None:
        assert self._desk is not None
        await self._desk.check(avatar)

    async def _stage_avatars(self) -> tuple[AvatarInfo, ...]:
        avatar = (await self._readiness.describe(_DESCRIBE_S))["Avatar"]
        return avatar.avatars if isinstance(avatar, AvatarDescription) else ()

    async def _ask_all(
        self, stage: str, method: str, *args: Any, deadline_s: float
    ) -> list[ReplicaModels | ParleyError]:
        return await broadcast(self._stages[stage], method, *args, deadline_s=deadline_s)

    def _file_routes(self) -> list[Route]:
        """What needs no session: avatars, clips, single turns."""
        config = self._config.clips
        places = Places(config.max_at_once)
        studio = Studio(self._asr, self._llm, self._tts, self._faces, self._desk, config, lambda: self.live, places)
        routes = [*clip_routes(studio), *single_turn_routes(studio, self._store)]
        return routes if self._desk is None else [*avatar_routes(self._desk, config, places), *routes]

    def _audio_routes(self) -> list[Route]:
        """Texts that are spoken, files that are transcribed, voices that are cloned."""
        config = self._config.audio
        reading = Places(config.speech.max_at_once, "texts")
        files = Places(config.transcription.max_files, "files")
        patient = AsrClient(self._asr_port, config.transcription.segment_deadline_s)
        hearing = FileHearing(patient, self._silero, config.transcription)
        transcriber = Transcriber(hearing, self._languages, config.transcription, files)
        voices = Places(config.voices.max_at_once, "voices")
        return [
            *speech_routes(Reader(self._tts, config.speech, lambda: self.live, reading, Pace())),
            *transcription_routes(transcriber),
            *cloned_voice_routes(self._voice_desk, config.voices, voices),
        ]

    async def _languages(self) -> tuple[str, ...]:
        asr = (await self._readiness.describe(_DESCRIBE_S))["Asr"]
        return asr.languages if isinstance(asr, AsrDescription) else ()

    async def _describe_tts(self) -> TtsDescription:
        tts = (await self._readiness.describe(_DESCRIBE_S))["Tts"]
        if not isinstance(tts, TtsDescription) or tts.problem:
            raise StageUnavailable(f"Speech synthesis is not ready: {tts.problem}")
        return tts

    def _limits(self) -> Limits:
        gateway = self._config.gateway
        return Limits(gateway.max_audio_append_bytes, gateway.max_message_bytes, self.live.max_text_chars)


def _assistants(config: AppConfig, functions: tuple[str, ...]) -> Assistants:
    """Those shipped, and the operator's own. Raises ConfigError."""
    folders = (SHIPPED, *([config.assistants] if config.assistants else ()))
    try:
        return Assistants(load_assistants(*folders), functions, config.tools.mcp)
    except ValueError as error:
        raise ConfigError(str(error), param="assistants") from error
