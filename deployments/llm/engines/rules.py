"""The embedded language model: rules instead of weights, so it runs anywhere and answers at once.

It does sums, tells the time, counts, spells, tells stories, calls tools and remembers what was said in the
conversation; it knows nothing about the world. Its skills are in `deployments/llm/rules/`.
"""

import asyncio
import json
import re
import zlib
from collections.abc import AsyncGenerator
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field

from deployments.llm.contract import Finished, LlmItem, LlmRequest, TextPiece, ToolCall, Usage
from deployments.llm.rules import reply
from deployments.llm.rules.turn import Call, Turn
from deployments.runtime.clock import wall_s
from deployments.runtime.errors import ConfigError


class Config(BaseModel):
    """How it speaks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    word_delay_ms: float = Field(default=0, ge=0)
    """Between words: 0 is at once, 30 is like a model that writes 33 tokens a second."""
    time_zone: str | None = None
    """In which people are told the time, like `Europe/Berlin`; the machine's own by default."""
    model: str = Field(default="rules", min_length=1)
    """Its name in /v1/models."""


class Engine:
    """Answers by rules, word by word."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._zone: ZoneInfo | None = None

    async def start(self) -> None:
        if self._config.time_zone:
            try:
                self._zone = ZoneInfo(self._config.time_zone)
            except (ZoneInfoNotFoundError, ValueError) as error:
                raise ConfigError(f"there is no time zone {self._config.time_zone!r}", param="time_zone") from error

    @property
    def models(self) -> tuple[str, ...]:
        return (self._config.model,)

    async def generate(self, request: LlmRequest) -> AsyncGenerator[LlmItem, None]:
        answer = reply(Turn(request, datetime.fromtimestamp(wall_s(), self._zone).astimezone(self._zone)))
        tokens = re.findall(r"\s*\S+", _encodable(answer.text))
        allowed = tokens[: request.max_output_tokens]
        for token in allowed:
            await asyncio.sleep(self._config.word_delay_ms / 1000)
            yield TextPiece(token)
        for index, call in enumerate(answer.calls):
            await asyncio.sleep(self._config.word_delay_ms / 1000)
            arguments = _encodable(json.dumps(call.arguments, ensure_ascii=False))
            yield ToolCall(_call_id(request, call, index), call.name, arguments)
        written = len(allowed) + sum(len(json.dumps(call.arguments).split()) for call in answer.calls)
        usage = Usage(sum(len(message.text.split()) for message in request.messages), written)
        cut_off = len(allowed) < len(tokens)
        yield Finished("length" if cut_off else "tool_calls" if answer.calls else "stop", usage)

    async def close(self) -> None:
        pass


def _encodable(text: str) -> str:
    """Half a surrogate pair, which a client may send, is not passed on: nobody could write it to a socket."""
    return text.encode(errors="replace").decode()


def _call_id(request: LlmRequest, call: Call, index: int) -> str:
    """The same for the same request, and new in its conversation."""
    taken = {made.call_id for message in request.messages for made in message.tool_calls}
    seed = f"{request.session_id}/{len(request.messages)}/{index}/{call.name}/{call.arguments}"
    call_id = f"call_{zlib.crc32(seed.encode(errors='replace')):08x}"
    while call_id in taken:
        call_id += "x"
    return call_id
