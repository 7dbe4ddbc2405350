"""The Avatar deployment: an `AvatarServer` in a replica of Ray Serve. Sticky: each session's face is in one replica."""

from dataclasses import dataclass

from configs.schema import EngineChoice
from deployments.avatar.contract import AvatarInfo, AvatarPush, AvatarReply
from deployments.avatar.server import AvatarServer
from deployments.runtime.logs import log_context
from deployments.runtime.stage import StageDescription, StageReplica


@dataclass(frozen=True, slots=True, kw_only=True)
class AvatarDescription(StageDescription):
    """With whom it shows."""

    avatars: tuple[AvatarInfo, ...] = ()
    """The first is the default."""
    ahead_ms: float = 0.0
    """How much of the following sound it wants to see with each block."""


class Avatar(StageReplica[AvatarServer]):
    """Sound in, the same sound with its pictures out."""

    async def __init__(self, choice: EngineChoice) -> None:  # type: ignore[misc]  # Serve awaits it
        super().__init__("avatar", choice)
        await self.start(AvatarServer)

    async def push(self, session_id: str, push: AvatarPush) -> AvatarReply:
        """The next block of a session's face. Raises StateLost where the replica does not know the avatar."""
        with log_context(session_id=session_id), self.work.request():
            return await self.server.push(session_id, push)

    async def describe(self) -> AvatarDescription:
        """Engine, avatars, what it works on, and why it is not ready."""
        report = self.work.report()
        if self.problem:
            return AvatarDescription(engine=self.choice.engine, problem=self.problem, work=report)
        return AvatarDescription(
            engine=self.choice.engine, work=report, avatars=self.engine.avatars, ahead_ms=self.engine.ahead_ms
        )
