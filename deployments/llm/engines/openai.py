"""Any server that speaks OpenAI's chat completions: Ollama, llama.cpp, vLLM, Gemini, OpenAI and many more.

What the server thinks aloud (`reasoning_content`, `<think>…</think>`) is dropped and never spoken.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from pydantic import Field

from deployments.llm.contract import Finished, LlmItem, LlmRequest, TextPiece, Usage
from deployments.llm.upstream.api_key import read_key
from deployments.llm.upstream.asking import ask
from deployments.llm.upstream.chunks import Chunk, Unreadable
from deployments.llm.upstream.server import Upstream
from deployments.llm.upstream.settings import UpstreamConfig
from deployments.llm.upstream.thoughts import ThoughtSplitter
from deployments.llm.upstream.tool_calls import CallAssembler
from deployments.runtime.errors import EngineFailed, InvalidRequest, StageUnavailable


class Config(UpstreamConfig):
    """The server, and another one for when it fails."""

    fallback: UpstreamConfig | None = None
    """Asked when the first does not begin to answer."""
    begin_within_s: float = Field(default=25, gt=0)
    """All attempts at both servers together, up to the first token. Below `deadlines.llm_s` of the application."""
    context_tokens: int | None = Field(default=None, ge=256)
    """The model's window. A longer conversation loses its oldest turns before it is sent; None: it is sent whole."""


class Engine:
    """Passes replies through as they come."""

    guides_json = True
    """Keeps to `LlmRequest.json_schema` as far as the server does."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._upstreams: list[Upstream] = []

    async def start(self) -> None:
        # Not that the server runs: it may come later, and the breaker deals with one that goes.
        configs = [self._config, *([self._config.fallback] if self._config.fallback else [])]
        keys = [await asyncio.to_thread(read_key, config) for config in configs]
        self._upstreams = [Upstream(config, key) for config, key in zip(configs, keys, strict=True)]

    @property
    def models(self) -> tuple[str, ...]:
        return (self._config.model, *self._config.more_models)

    @property
    def context_tokens(self) -> int | None:
        """The model's window, where it is known."""
        return self._config.context_tokens

    async def generate(self, request: LlmRequest) -> AsyncGenerator[LlmItem, None]:
        if not self._upstreams:
            raise StageUnavailable("the language model is not running")
        if request.model and request.model not in self.models:
            raise InvalidRequest(
                f"there is no model {request.model!r}; there are: {', '.join(self.models)}",
                "model_not_found",
                "model",
            )
        reply = _Reply(request)
        try:
            async with aclosing(ask(self._upstreams, request, self._config.begin_within_s)) as chunks:
                async for chunk in chunks:
                    for item in reply.feed(chunk):
                        yield item
            rest = reply.finish()
        except Unreadable as error:
            raise EngineFailed(f"the language model's server sent {error}") from error
        for item in rest:
            yield item

    async def close(self) -> None:
        upstreams, self._upstreams = self._upstreams, []
        for upstream in upstreams:
            await upstream.close()


class _Reply:
    """From chunks to items."""

    def __init__(self, request: LlmRequest) -> None:
        taken = frozenset(call.call_id for message in request.messages for call in message.tool_calls)
        self._may_call = request.tool_choice != "none" and bool(request.tools)
        self._thoughts = ThoughtSplitter()
        self._calls = CallAssembler(taken)
        self._called = False
        self._finish = ""
        self._usage = Usage()

    def feed(self, chunk: Chunk) -> list[LlmItem]:
        """Raises Unreadable."""
        items: list[LlmItem] = []
        if text := self._thoughts.feed(chunk.text):
            if self._calls.pending and text.strip():
                items += self._made()
            items.append(TextPiece(text))
        if self._may_call:
            for part in chunk.calls:
                self._calls.feed(part)
        self._finish = chunk.finish or self._finish
        self._usage = chunk.usage or self._usage
        return items

    def finish(self) -> list[LlmItem]:
        """What is left, and the end. Raises Unreadable."""
        rest = self._thoughts.flush()
        items: list[LlmItem] = [TextPiece(rest)] if rest else []
        if self._finish == "length":
            # A call that the limit cut off cannot be made.
            return [*items, Finished("length", self._usage)]
        items += self._made()
        return [*items, Finished("tool_calls" if self._called else "stop", self._usage)]

    def _made(self) -> list[LlmItem]:
        calls = self._calls.take()
        self._called = self._called or bool(calls)
        return list(calls)
