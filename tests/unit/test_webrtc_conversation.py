"""A whole conversation by WebRTC in real time: the real session, in-process stages with their fake engines."""

import asyncio

import numpy as np

from configs.session import SessionConfig
from deployments.asr.client import AsrClient
from deployments.asr.engines import fake as fake_asr
from deployments.asr.server import AsrServer
from deployments.llm.client import LlmClient
from deployments.llm.engines import fake as fake_llm
from deployments.llm.server import LlmServer
from deployments.media.audio import SPEECH_RATE_HZ
from deployments.media.resample import Resampler
from deployments.runtime.local import LocalPush, LocalStream
from deployments.tts.client import TtsClient
from deployments.tts.engines import fake as fake_tts
from deployments.tts.server import TtsServer
from serve_app.gateway.sessions import Resumed
from serve_app.session.closing import CLIENT_LEFT
from serve_app.session.interruption import InterruptAtOnset
from serve_app.session.session import Session
from serve_app.session.settings import SessionSettings
from serve_app.session.surroundings import Surroundings
from tests.conversations.scene import LoudnessModel, vowel
from tests.webrtc_caller import RATE_HZ, Callee, Caller


class Stages:
    """The stages in this process, and the sessions on them."""

    def __init__(self) -> None:
        self.sessions: list[Session] = []
        self._servers = (
            AsrServer(fake_asr.Engine(fake_asr.Config())),
            LlmServer(fake_llm.Engine(fake_llm.Config())),
            TtsServer(fake_tts.Engine(fake_tts.Config())),
        )
        asr, llm, tts = self._servers
        self._around = Surroundings(
            asr=AsrClient(LocalPush(asr.push), 3.0),
            llm=LlmClient(LocalStream(llm.generate), 3.0),
            tts=TtsClient(LocalStream(tts.synthesize), 3.0),
            speech_model=LoudnessModel(),
            config=SessionConfig(),
            interruption=InterruptAtOnset(),
        )

    def make(self, settings: SessionSettings, resumed: Resumed | None = None) -> Session:
        self.sessions.append(Session(self._around, settings))
        return self.sessions[-1]

    async def __aenter__(self) -> "Stages":
        for server in self._servers:
            await server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self._servers:
            await server.close()


def question(pause_s: float, *speech_s: float) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    """A pause before each stretch of speech, at 48 kHz."""
    pause = bytes(2 * round(pause_s * SPEECH_RATE_HZ))
    pcm = b"".join(pause + vowel(each) for each in speech_s)
    return np.frombuffer(Resampler(SPEECH_RATE_HZ, RATE_HZ).push(pcm, last=True), "<i2").astype(np.int16)


def test_it_answers_by_voice_and_is_interrupted_by_speech() -> None:
    async def test() -> None:
        async with (
            Stages() as stages,
            Callee(stages.make).serving() as address,
            Caller(address, question(1.2, 1.0, 1.0)) as caller,
        ):
            await caller.call()
            await caller.event("session.created")
            first = await caller.event("input_audio_buffer.speech_started")
            # The question comes over the wire in the session's own time, which begins while the call connects.
            assert 700 <= first["audio_start_ms"] <= 1400
            created = await caller.event("response.created")
            started = await caller.event("output_audio_buffer.started")
            assert started["response_id"] == created["response"]["id"]
            cleared = await caller.event("output_audio_buffer.cleared")
            assert cleared["response_id"] == created["response"]["id"]
            assert stages.sessions[0].conversation.history.items[1].interrupted
            at = np.flatnonzero(np.abs(caller.sound().astype(int)) > 300)
            assert at.size > 0.1 * RATE_HZ
        assert stages.sessions[0].closing is CLIENT_LEFT

    async def bounded() -> None:
        async with asyncio.timeout(55):
            await test()

    asyncio.run(bounded())
