"""A scripted model for tests and benchmarks: says what its configuration says, when it says.

Nothing is kept between requests: what is said follows from the request alone.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from configs.residency import ResidencyConfig
from deployments.llm.contract import Finished, LlmItem, LlmRequest, TextPiece, ToolCall, Usage
from deployments.runtime.errors import ConfigError
from deployments.runtime.residency import Residency


class Call(BaseModel):
    """A tool call to make."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    arguments: dict[str, Any] = {}


class FakeModel(BaseModel):
    """One of several models: what it costs to have it, and what it says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    memory_gib: float = Field(default=1, gt=0)
    load_ms: float = Field(default=0, ge=0)
    failing_loads: int = Field(default=0, ge=0)
    """So many loads fail before one succeeds."""
    replies: tuple[str, ...] = ()
    """Instead of the script's, where there are any."""


class Config(BaseModel):
    """The script."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    replies: tuple[str, ...] = Field(default=("Hello there, I am listening. Please go on.",), min_length=1)
    """Said in turn: the first to the first message of the user, and round again."""
    first_token_ms: float = Field(default=0, ge=0)
    """Delay before the first token."""
    token_ms: float = Field(default=0, ge=0)
    """Delay before each later token."""
    tool_calls: tuple[Call, ...] = ()
    """Made after the text, unless the last message is a tool's result or the request forbids tools."""
    fail_after_tokens: int | None = Field(default=None, ge=0)
    """Raise RuntimeError after so many tokens."""
    hang_after_tokens: int | None = Field(default=None, ge=0)
    """Wait for ever after so many tokens."""
    model: str = "fake"
    models: dict[str, FakeModel] = {}
    """Instead of `model`: several, loaded when they are asked for."""
    residency: ResidencyConfig = ResidencyConfig()
    """Of `models`."""


class Engine:
    """Speaks by the script. A token is a word with the white space before it."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.active = 0
        """Replies being written now: a test sees here that a reply was stopped."""
        self.residency: Residency[FakeModel] | None = None
        if config.models:
            sizes_gib = {name: model.memory_gib for name, model in config.models.items()}
            self.residency = Residency(_Loader(config.models), sizes_gib, config.residency)

    async def start(self) -> None:
        if self.residency is not None:
            await self.residency.start()

    @property
    def models(self) -> tuple[str, ...]:
        return (self._config.model,) if self.residency is None else self.residency.names

    async def generate(self, request: LlmRequest) -> AsyncGenerator[LlmItem, None]:
        async with (
            self._model(request.model) as model,
            aclosing(self._generate(request, model.replies or self._config.replies)) as items,
        ):
            async for item in items:
                yield item

    def _model(self, name: str) -> AbstractAsyncContextManager[FakeModel]:
        """In memory as long as it is used."""
        return nullcontext(FakeModel()) if self.residency is None else self.residency.use(name)

    async def _generate(self, request: LlmRequest, replies: tuple[str, ...]) -> AsyncGenerator[LlmItem, None]:
        tokens = re.findall(r"\s*\S+|\s+$", _reply(request, replies))
        allowed = tokens[: request.max_output_tokens]
        self.active += 1
        try:
            for count, token in enumerate(allowed):
                await self._before(count)
                yield TextPiece(token)
            await self._misbehave(len(allowed))
            calls = self._calls(request) if len(allowed) == len(tokens) else ()
            for index, call in enumerate(calls):
                call_id = f"call_{len(request.messages)}_{index}"
                yield ToolCall(call_id, call.name, json.dumps(call.arguments))
            usage = Usage(sum(len(m.text.split()) for m in request.messages), len(allowed))
            cut_off = len(allowed) < len(tokens)
            yield Finished("length" if cut_off else "tool_calls" if calls else "stop", usage)
        finally:
            self.active -= 1

    async def close(self) -> None:
        if self.residency is not None:
            await self.residency.close()

    async def _before(self, count: int) -> None:
        await self._misbehave(count)
        await asyncio.sleep((self._config.token_ms if count else self._config.first_token_ms) / 1000)

    async def _misbehave(self, count: int) -> None:
        if count == self._config.fail_after_tokens:
            raise RuntimeError("the fake model was told to fail")
        if count == self._config.hang_after_tokens:
            await asyncio.Event().wait()

    def _calls(self, request: LlmRequest) -> tuple[Call, ...]:
        declared = {tool.name for tool in request.tools}
        answered = bool(request.messages) and request.messages[-1].role == "tool"
        if request.tool_choice == "none" or answered:
            return ()
        if request.tool_choice == "auto":
            return tuple(call for call in self._config.tool_calls if call.name in declared)
        wanted = declared if request.tool_choice == "required" else {request.tool_choice}
        scripted = tuple(call for call in self._config.tool_calls if call.name in wanted)
        return scripted or tuple(Call(name=name) for name in sorted(wanted)[:1])


class _Loader:
    """Loads by waiting."""

    def __init__(self, models: dict[str, FakeModel]) -> None:
        self._models = models
        self._failing = {name: model.failing_loads for name, model in models.items()}

    async def load(self, name: str) -> FakeModel:
        await asyncio.sleep(self._models[name].load_ms / 1000)
        if self._failing[name]:
            self._failing[name] -= 1
            raise ConfigError(f"the fake model {name!r} was told not to load")
        return self._models[name]

    async def warm_up(self, model: FakeModel) -> None:
        pass

    async def unload(self, model: FakeModel) -> None:
        pass


def _reply(request: LlmRequest, replies: tuple[str, ...]) -> str:
    turn = sum(message.role == "user" for message in request.messages)
    return replies[max(turn - 1, 0) % len(replies)]
