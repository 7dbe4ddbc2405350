"""Asks servers until one begins to answer: retries with growing pauses, then the next server.

Only before the first token. After it the reply is on its way to the user's ear, and what follows would not fit.
"""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from deployments.llm.contract import LlmRequest
from deployments.llm.upstream.body import body_of
from deployments.llm.upstream.chunks import Chunk
from deployments.llm.upstream.failures import Failure
from deployments.llm.upstream.retries import backoff_s
from deployments.llm.upstream.server import Upstream
from deployments.runtime.clock import now_s
from deployments.runtime.errors import StageUnavailable

log = logging.getLogger(__name__)


async def ask(upstreams: Sequence[Upstream], request: LlmRequest, within_s: float) -> AsyncGenerator[Chunk, None]:
    """A reply's chunks, from the first server that begins within so many seconds in all. Read it inside `aclosing`.

    Raises what the last server failed with, caused by what the one before it did.
    """
    deadline_s = now_s() + within_s
    failed: Failure | None = None
    for upstream in upstreams:
        attempt = 0
        while True:
            begun = False
            try:
                async with aclosing(_guarded(upstream, request, deadline_s - now_s())) as chunks:
                    async for chunk in chunks:
                        begun = True
                        yield chunk
                return
            except Failure as failure:
                failure.__cause__ = failure.__cause__ or failed
                failed = failure
                if begun or not (failure.again or failure.elsewhere):
                    raise failure.error from failure
                log.warning("a request to a language model's server failed: %s", failure)
            pause_s = backoff_s(attempt, upstream.config.backoff_s, failed.wait_s, random.random)
            if not failed.again or attempt >= upstream.config.retries or now_s() + pause_s >= deadline_s:
                break
            attempt += 1
            await asyncio.sleep(pause_s)
    assert failed is not None
    raise failed.error from failed


async def _guarded(upstream: Upstream, request: LlmRequest, left_s: float) -> AsyncGenerator[Chunk, None]:
    """One attempt behind the server's breaker. The first chunk is the first that says something or ends the reply."""
    breaker, config = upstream.breaker, upstream.config
    if left_s <= 0 or not breaker.admit(now_s()):
        rest = f"its next try is in {breaker.rests_for_s(now_s()):.0f} s" if left_s > 0 else "no time is left"
        message = f"the language model's server {config.name} is not asked: {rest}"
        raise Failure(StageUnavailable(message), dead=False)
    learnt = False
    try:
        async with aclosing(upstream.attempt(body_of(request, config), min(config.first_token_s, left_s))) as chunks:
            async for chunk in chunks:
                if not learnt and (chunk.says_something or chunk.finish):
                    breaker.succeeded()
                    learnt = True
                if learnt or chunk.usage:
                    yield chunk
        if not learnt:  # an empty answer is one
            breaker.succeeded()
            learnt = True
    except Failure as failure:
        if failure.dead:
            breaker.failed(now_s())
            learnt = True
        raise
    finally:
        if not learnt:
            breaker.given_up()
