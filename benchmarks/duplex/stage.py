"""The server on the virtual clock: the real session, protocol, model and detector in process, with the words scripted.

Nothing of it waits for a thread, as none may run on that clock: the detector's network runs where it is asked, and what
the synthesiser says was spoken in the studio.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager

import orjson

from benchmarks.duplex.ears import ScriptedEars
from benchmarks.duplex.line import Message, Said
from benchmarks.duplex.studio import Studio
from configs.session import SessionConfig
from deployments.asr.client import AsrClient
from deployments.asr.server import AsrServer
from deployments.llm.client import LlmClient
from deployments.llm.engines import rules
from deployments.llm.server import LlmServer
from deployments.runtime.local import LocalPush, LocalStream
from deployments.tts.client import TtsClient
from deployments.tts.contract import SpeechBlock, SpeechRequest
from serve_app.gateway.realtime.inbound import Inbound
from serve_app.gateway.realtime.limits import Limits
from serve_app.gateway.realtime.wire import Outbound
from serve_app.gateway.silero import SileroModel
from serve_app.session.closing import CLIENT_LEFT
from serve_app.session.interruption import policy
from serve_app.session.session import Session
from serve_app.session.settings import initial_settings
from serve_app.session.speech_model import SpeechStream
from serve_app.session.surroundings import Surroundings

_DEADLINE_S = 10.0


class InlineSilero:
    """The detector's own network, run at once."""

    def __init__(self) -> None:
        self._model = SileroModel()

    async def probabilities(self, stream: SpeechStream, pcm: bytes) -> list[float]:
        return self._model.run([(stream, pcm)])[0]


class StageLine:
    """A conversation in process."""

    def __init__(self, session: Session, ears: ScriptedEars) -> None:
        self._session = session
        self._ears = ears
        self._inbound = Inbound(session.settings, Limits())
        self._outbound = Outbound(session.id, extensions=True)

    async def send(self, message: Message) -> None:
        for command in await self._inbound.commands(orjson.dumps(message).decode()):
            await self._session.submit(command)

    async def messages(self) -> AsyncGenerator[Message, None]:
        async with aclosing(self._session.events()) as events:
            async for event in events:
                for text in self._outbound.messages(event):
                    yield orjson.loads(text)

    def foretell(self, words: Said) -> None:
        self._ears.foretell(words)


@asynccontextmanager
async def staged(studio: Studio, silero: InlineSilero, language: str) -> AsyncGenerator[StageLine, None]:
    """A conversation of one's own, in which the user speaks `language`."""
    ears = ScriptedEars(language)
    asr, llm = AsrServer(ears), LlmServer(rules.Engine(rules.Config()))
    await asr.start()
    await llm.start()

    async def speak(request: SpeechRequest) -> AsyncGenerator[SpeechBlock, None]:
        for block in studio.speak(request.text).blocks:
            yield block

    config = SessionConfig()
    around = Surroundings(
        asr=AsrClient(LocalPush(asr.push), _DEADLINE_S),
        llm=LlmClient(LocalStream(llm.generate), _DEADLINE_S),
        tts=TtsClient(LocalStream(speak), _DEADLINE_S),
        speech_model=silero,
        config=config,
        interruption=policy(config.interruption),
    )
    session = Session(around, initial_settings(config))
    running = asyncio.create_task(session.run())
    try:
        yield StageLine(session, ears)
    finally:
        session.close(CLIENT_LEFT)
        await running
        await asr.close()
        await llm.close()
