"""One server: posts a request and reads the stream that comes back. One attempt; who asks again is `asking.py`."""

import asyncio
import contextlib
import functools
import json
import logging
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Final

import httpx

from deployments.llm.upstream import failures
from deployments.llm.upstream.api_key import ApiKey
from deployments.llm.upstream.breaker import Breaker
from deployments.llm.upstream.chunks import Chunk, Unreadable, read_chunk
from deployments.llm.upstream.failures import Failure
from deployments.llm.upstream.retries import retry_after_s
from deployments.llm.upstream.settings import UpstreamConfig
from deployments.llm.upstream.sse import EventReader, EventTooLong
from deployments.runtime.clock import wall_s
from deployments.runtime.errors import StageTimeout

_ERROR_BYTES: Final = 2**16
"""Of an error's body."""
_ERROR_S: Final = 2.0
"""For an error's body to come."""
_USAGE_S: Final = 1.0
"""For what comes behind the end of a reply."""
_WRITE_S: Final = 30.0
_END: Final = "[DONE]"

# It logs every request at INFO, which says nothing that our own records do not.
logging.getLogger("httpx").setLevel(logging.WARNING)


@functools.cache
def _trusted() -> ssl.SSLContext:
    """The authorities that are trusted: one for all servers, because reading them takes 20 ms."""
    return httpx.create_ssl_context()


class Upstream:
    """Built with its key; `close` it."""

    def __init__(self, config: UpstreamConfig, key: ApiKey) -> None:
        self.config = config
        self.breaker = Breaker(config.breaker)
        self._key = key
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=30)
        timeout = httpx.Timeout(None, connect=config.connect_s, write=_WRITE_S)
        headers = config.headers | key.headers
        self._client = httpx.AsyncClient(limits=limits, timeout=timeout, headers=headers, verify=_trusted())

    async def close(self) -> None:
        """Drop its connections."""
        await self._client.aclose()

    async def attempt(self, body: dict[str, Any], first_token_s: float) -> AsyncGenerator[Chunk, None]:
        """The chunks of one reply, to one with `finish` or the stream's end; read it inside `aclosing`.

        Raises Failure. At most `first_token_s` pass before the first token.
        """
        name = self.config.name
        url = f"{self.config.base_url}/chat/completions"
        headers = {"Accept": "text/event-stream", "Content-Type": "application/json"}
        deadline = _Deadline(name, first_token_s, self.config.between_tokens_s)
        async with contextlib.AsyncExitStack() as stack:
            try:
                # Escaped to ASCII: half a surrogate pair in a client's schema is the server's to refuse.
                opening = self._client.stream("POST", url, content=json.dumps(body).encode(), headers=headers)
                response = await deadline.keep(stack.enter_async_context(opening))
            except (httpx.HTTPError, OSError) as error:
                raise failures.no_answer(name, error) from error
            await self._check(response)
            async with aclosing(self._chunks(response, deadline)) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def _chunks(self, response: httpx.Response, deadline: "_Deadline") -> AsyncGenerator[Chunk, None]:
        name, ended = self.config.name, False
        try:
            async with aclosing(_events(response, deadline)) as events:
                async for data in events:
                    if data == _END:
                        return
                    chunk = read_chunk(data)
                    if chunk.error is not None:
                        raise failures.of_error_event(name, chunk.error, self._key)
                    deadline.stir(chunk)
                    ended = ended or bool(chunk.finish)
                    yield chunk
        except (httpx.HTTPError, OSError) as error:
            if not ended:
                raise failures.broken_off(name, error) from error
        except (Unreadable, EventTooLong) as error:
            raise failures.nonsense(name, str(error)) from error
        except Failure:
            if not ended:
                raise
        else:
            if not ended:
                raise failures.broken_off(name)

    async def _check(self, response: httpx.Response) -> None:
        """Raises Failure for anything but the beginning of a stream."""
        if response.status_code != 200:
            wait_s = retry_after_s(response.headers.get("retry-after"), wall_s())
            body = await _beginning(response)
            raise failures.of_status(self.config.name, response.status_code, body, self._key, wait_s)
        content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type in ("text/html", "application/json", "application/xhtml+xml"):
            raise failures.not_a_stream(self.config.name, content_type)


class _Deadline:
    """How long the next token may take. Comments that keep a connection alive, and empty chunks, do not extend it."""

    def __init__(self, name: str, first_token_s: float, between_tokens_s: float) -> None:
        self._name = name
        self._between_tokens_s = between_tokens_s
        self._allowed_s = first_token_s
        self._until_s = asyncio.get_running_loop().time() + first_token_s
        self._begun = False

    def stir(self, chunk: Chunk) -> None:
        """A chunk came."""
        if chunk.says_something or chunk.finish:
            self._begun = True
        if chunk.says_something or self._begun:
            self._allowed_s = min(self._between_tokens_s, _USAGE_S) if chunk.finish else self._between_tokens_s
            self._until_s = asyncio.get_running_loop().time() + self._allowed_s

    async def keep(self, work: Any) -> Any:
        """Await it. Raises Failure when the time is over."""
        timeout = asyncio.timeout_at(self._until_s)
        try:
            async with timeout:
                return await work
        except TimeoutError as error:
            if not timeout.expired():
                raise
            what = "next" if self._begun else "first"
            message = f"the language model's server {self._name} gave no {what} token within {self._allowed_s:.3g} s"
            raise Failure(StageTimeout(message)) from error


async def _events(response: httpx.Response, deadline: _Deadline) -> AsyncGenerator[str, None]:
    reader = EventReader()
    received: AsyncIterator[bytes] = response.aiter_bytes()
    while (data := await deadline.keep(anext(received, None))) is not None:
        for event in reader.feed(data):
            yield event
    for event in reader.flush():
        yield event


async def _beginning(response: httpx.Response) -> bytes:
    """Of an error's body, as far as it comes."""
    body = bytearray()
    with contextlib.suppress(httpx.HTTPError, OSError, TimeoutError):
        async with asyncio.timeout(_ERROR_S):
            async for data in response.aiter_bytes():
                body += data
                if len(body) >= _ERROR_BYTES:
                    break
    return bytes(body[:_ERROR_BYTES])
