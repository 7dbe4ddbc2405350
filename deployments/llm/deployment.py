"""The Llm deployment: an `LlmServer` in a replica of Ray Serve."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from configs.schema import EngineChoice
from deployments.llm.contract import LlmItem, LlmRequest
from deployments.llm.server import LlmServer
from deployments.runtime.logs import log_context
from deployments.runtime.stage import StageDescription, StageReplica


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmDescription(StageDescription):
    """With the models that it serves."""

    models: tuple[str, ...] = ()


class Llm(StageReplica[LlmServer]):
    """Messages in, clauses and tool calls out."""

    async def __init__(self, choice: EngineChoice) -> None:  # type: ignore[misc]  # Serve awaits it
        super().__init__("llm", choice)
        await self.start(LlmServer)

    async def generate(self, request: LlmRequest) -> AsyncGenerator[LlmItem, None]:
        """One reply, streamed."""
        with log_context(session_id=request.session_id):
            async with aclosing(self.work.stream(self.server.generate(request))) as items:
                async for item in items:
                    yield item

    async def describe(self) -> LlmDescription:
        """Engine, models, what it works on, and why it is not ready."""
        models = () if self.problem else self.engine.models
        return LlmDescription(engine=self.choice.engine, problem=self.problem, work=self.work.report(), models=models)
