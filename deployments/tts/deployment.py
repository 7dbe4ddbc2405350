"""The Tts deployment: a `TtsServer` in a replica of Ray Serve."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from configs.schema import EngineChoice
from deployments.runtime.logs import log_context
from deployments.runtime.stage import StageDescription, StageReplica
from deployments.tts.contract import SpeechBlock, SpeechRequest, Voice
from deployments.tts.server import TtsServer


@dataclass(frozen=True, slots=True, kw_only=True)
class TtsDescription(StageDescription):
    """With the voices on offer; the first is the default."""

    voices: tuple[Voice, ...] = ()
    clones: bool = False
    """Whether it imitates recordings."""


class Tts(StageReplica[TtsServer]):
    """A clause in, sound and the times of its words out."""

    async def __init__(self, choice: EngineChoice) -> None:  # type: ignore[misc]  # Serve awaits it
        super().__init__("tts", choice)
        await self.start(TtsServer)

    async def synthesize(self, request: SpeechRequest) -> AsyncGenerator[SpeechBlock, None]:
        """One clause, streamed."""
        with log_context(session_id=request.session_id):
            async with aclosing(self.work.stream(self.server.synthesize(request))) as blocks:
                async for block in blocks:
                    yield block

    async def describe(self) -> TtsDescription:
        """Engine, voices, what it works on, and why it is not ready."""
        voices, clones = ((), False) if self.problem else (self.engine.voices, self.engine.clones)
        return TtsDescription(
            engine=self.choice.engine, problem=self.problem, work=self.work.report(), voices=voices, clones=clones
        )
