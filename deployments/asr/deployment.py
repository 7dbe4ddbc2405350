"""The Asr deployment: an `AsrServer` in a replica of Ray Serve. Sticky: each session's utterance is in one replica."""

from dataclasses import dataclass

from configs.schema import EngineChoice
from deployments.asr.contract import AsrPush, AsrReply
from deployments.asr.server import AsrServer
from deployments.runtime.logs import log_context
from deployments.runtime.stage import StageDescription, StageReplica


@dataclass(frozen=True, slots=True, kw_only=True)
class AsrDescription(StageDescription):
    """With what it recognises."""

    languages: tuple[str, ...] = ()
    """ISO 639-1 codes; empty when it takes any."""


class Asr(StageReplica[AsrServer]):
    """Speech in, words out."""

    async def __init__(self, choice: EngineChoice) -> None:  # type: ignore[misc]  # Serve awaits it
        super().__init__("asr", choice)
        await self.start(AsrServer)

    async def push(self, session_id: str, push: AsrPush) -> AsrReply:
        """The next block of a session's utterance. Raises StateLost where the replica does not know it."""
        with log_context(session_id=session_id), self.work.request():
            return await self.server.push(session_id, push)

    async def describe(self) -> AsrDescription:
        """Engine, languages, what it works on, and why it is not ready."""
        languages = () if self.problem else self.engine.languages
        return AsrDescription(
            engine=self.choice.engine, problem=self.problem, work=self.work.report(), languages=languages
        )
