"""The Llm stage without Ray: an engine's deltas in, items of the size that crosses between replicas out."""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Final, Protocol

from deployments.llm.contract import (
    Finished,
    LlmEngine,
    LlmItem,
    LlmRequest,
    TextPiece,
    ToolCall,
    WatchedEngine,
    Windowed,
)
from deployments.llm.stopping import StopFilter
from deployments.llm.window import fitted
from deployments.media.clauses import ClauseCutter
from deployments.runtime.clock import now_s
from deployments.runtime.errors import EngineFailed, InvalidRequest, NotFound, ParleyError, StageUnavailable

UNHEALTHY_AFTER_FAILURES: Final = 5
"""Replies in a row that the engine broke off with an error that is not ours: a new replica may do better."""

_THROUGH_LAST_WORD: Final = re.compile(r".*\s", re.DOTALL)


class Cutter(Protocol):
    """Groups deltas into pieces."""

    def feed(self, delta: str) -> list[str]: ...

    def flush(self) -> list[str]: ...


class WordCutter:
    """Pieces that end where a word does, at most one every `interval_ms`, the first at once.

    Words held back go out with the engine's next delta, so they wait for one token at most and no timer is needed.
    """

    def __init__(self, interval_ms: float) -> None:
        self._interval_s = interval_ms / 1000
        self._held = ""
        self._next_s = float("-inf")

    def feed(self, delta: str) -> list[str]:
        self._held += delta
        if now_s() < self._next_s:
            return []
        whole = _THROUGH_LAST_WORD.match(self._held)
        if not whole or whole[0].isspace():
            return []
        self._held = self._held[whole.end() :]
        self._next_s = now_s() + self._interval_s
        return [whole[0]]

    def flush(self) -> list[str]:
        rest, self._held = self._held, ""
        return [rest] if rest else []


class LlmServer:
    """One engine and the replies that it is writing."""

    def __init__(
        self,
        engine: LlmEngine,
        *,
        first_min_chars: int = 12,
        first_max_chars: int = 60,
        max_chars: int = 200,
        word_interval_ms: float = 40,
    ) -> None:
        """The sizes in characters are those of `ClauseCutter`; `word_interval_ms` that of `WordCutter`."""
        self._engine = engine
        self._clause_sizes = (first_min_chars, first_max_chars, max_chars)
        self._word_interval_ms = word_interval_ms
        self._running = False
        self._failures = 0
        self._cutter_for("clause")

    async def start(self) -> None:
        """Start the engine. Raises ConfigError."""
        await self._engine.start()
        self._running = True

    def models(self) -> tuple[str, ...]:
        """Names for /v1/models."""
        return self._engine.models

    def check_health(self) -> None:
        """Raises StageUnavailable before the start, after the end, when the engine fails again and again, and when it
        says itself that it is dead.
        """
        if not self._running:
            raise StageUnavailable("the language model is not running")
        if self._failures >= UNHEALTHY_AFTER_FAILURES:
            raise StageUnavailable(f"the language model failed {self._failures} times in a row")
        if isinstance(self._engine, WatchedEngine):
            self._engine.check_health()

    async def close(self) -> None:
        """Free the engine."""
        self._running = False
        await self._engine.close()

    async def generate(self, request: LlmRequest) -> AsyncGenerator[LlmItem, None]:
        """One reply: text as `request.cut` says and tool calls, in the engine's order, then Finished.

        Read it inside `aclosing`, which also stops the engine. Raises InvalidRequest, and EngineFailed with the
        engine's own error as its cause.
        """
        arrived_s = now_s()
        if not self._running:
            raise StageUnavailable("the language model is not running")
        _check_tool_choice(request)
        self._check_abilities(request)
        if request.fit and isinstance(self._engine, Windowed) and (window := self._engine.context_tokens):
            request = fitted(request, window)
        reply = _Reply(self._cutter_for(request.cut), request.stop)
        first_token_ms: float | None = None
        async with aclosing(self._engine.generate(request)) as items:
            while not isinstance(item := await self._next(items), Finished):
                if item == TextPiece(""):
                    continue
                if first_token_ms is None:
                    first_token_ms = (now_s() - arrived_s) * 1000
                for ready in reply.feed(item):
                    yield ready
        self._failures = 0
        for piece in reply.flush():
            yield piece
        yield replace(item, first_token_ms=first_token_ms, reason="stop" if reply.stopped else item.reason)

    def _check_abilities(self, request: LlmRequest) -> None:
        """Raises InvalidRequest or NotFound for what this engine does not do."""
        models = self._engine.models
        if request.model and request.model not in models:
            there = ", ".join(models)
            raise NotFound(f"there is no model {request.model!r}; there are: {there}", "model_not_found", "model")
        if request.json_schema is not None and not getattr(self._engine, "guides_json", False):
            raise InvalidRequest(f"the model {models[0]!r} cannot be held to JSON", param="response_format")

    async def _next(self, items: AsyncGenerator[LlmItem, None]) -> LlmItem:
        """The engine's next item, its errors translated."""
        try:
            return await anext(items)
        except ParleyError:
            raise
        except StopAsyncIteration as error:
            self._failures += 1
            raise EngineFailed("the language model stopped without finishing its reply") from error
        except Exception as error:
            self._failures += 1
            raise EngineFailed(f"the language model failed: {type(error).__name__}: {error}") from error

    def _cutter_for(self, cut: str) -> Cutter:
        return ClauseCutter(*self._clause_sizes) if cut == "clause" else WordCutter(self._word_interval_ms)


class _Reply:
    """Deltas in, pieces out, no text after a stop string."""

    def __init__(self, cutter: Cutter, stops: tuple[str, ...]) -> None:
        self._cutter = cutter
        self._filter = StopFilter(stops)

    @property
    def stopped(self) -> bool:
        """Whether a stop string came. The engine is heard to its end all the same: it counts its tokens."""
        return self._filter.met

    def feed(self, item: TextPiece | ToolCall) -> list[LlmItem]:
        if isinstance(item, TextPiece):
            return [TextPiece(text) for text in self._cutter.feed(self._filter.feed(item.text))]
        return [] if self.stopped else [*self.flush(), item]

    def flush(self) -> list[TextPiece]:
        rest = self._filter.flush()
        return [TextPiece(text) for text in (*(self._cutter.feed(rest) if rest else ()), *self._cutter.flush())]


def _check_tool_choice(request: LlmRequest) -> None:
    names = [tool.name for tool in request.tools]
    if request.tool_choice == "required" and not names:
        raise InvalidRequest("tool_choice is 'required' but no tools are declared", param="tool_choice")
    if request.tool_choice not in ("auto", "none", "required", *names):
        declared = ", ".join(names) or "none"
        raise InvalidRequest(
            f"tool_choice names {request.tool_choice!r}, which is not declared; there are: {declared}",
            param="tool_choice",
        )
