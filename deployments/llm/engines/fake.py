"""A scripted model for tests and benchmarks: says what its configuration says, when it says.

Nothing is kept between requests: what is said follows from the request alone.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from deployments.llm.contract import Finished, LlmItem, LlmRequest, TextPiece, ToolCall, Usage


class Call(BaseModel):
    """A tool call to make."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    arguments: dict[str, Any] = {}


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


class Engine:
    """Speaks by the script. A token is a word with the white space before it."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.active = 0
        """Replies being written now: a test sees here that a reply was stopped."""

    async def start(self) -> None:
        pass

    @property
    def models(self) -> tuple[str, ...]:
        return (self._config.model,)

    async def generate(self, request: LlmRequest) -> AsyncGenerator[LlmItem, None]:
        tokens = re.findall(r"\s*\S+|\s+$", self._reply(request))
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
        pass

    async def _before(self, count: int) -> None:
        await self._misbehave(count)
        await asyncio.sleep((self._config.token_ms if count else self._config.first_token_ms) / 1000)

    async def _misbehave(self, count: int) -> None:
        if count == self._config.fail_after_tokens:
            raise RuntimeError("the fake model was told to fail")
        if count == self._config.hang_after_tokens:
            await asyncio.Event().wait()

    def _reply(self, request: LlmRequest) -> str:
        turn = sum(message.role == "user" for message in request.messages)
        return self._config.replies[max(turn - 1, 0) % len(self._config.replies)]

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
