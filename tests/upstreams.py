"""A chat completions server on loopback: real HTTP, real sockets, and whatever manners a test wants of it."""

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from deployments.llm.contract import Finished, LlmRequest, Message, TextPiece, Tool, ToolCall
from deployments.llm.engines import rules

Behaviour = Callable[["Exchange"], Awaitable[None]]


@dataclass
class Exchange:
    """One request, and the way back."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    writer: asyncio.StreamWriter

    async def send(self, data: bytes | str) -> None:
        """Bytes as they are."""
        self.writer.write(data.encode() if isinstance(data, str) else data)
        await self.writer.drain()

    async def head(self, status: int = 200, content_type: str = "text/event-stream", **headers: str) -> None:
        """Status and headers; the body ends with the connection."""
        lines = [f"HTTP/1.1 {status} X", f"Content-Type: {content_type}", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.send("\r\n".join([*lines, "", ""]))

    async def event(self, data: Any) -> None:
        """One event; text goes as it is."""
        await self.send(f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n")

    async def delta(self, finish: str | None = None, **delta: Any) -> None:
        """One chunk of the reply."""
        await self.event({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    async def words(self, *texts: str) -> None:
        """A whole reply."""
        await self.head()
        for text in texts:
            await self.delta(content=text)
        await self.delta(finish="stop")
        await self.event("[DONE]")

    async def refuse(self, status: int, message: str, **headers: str) -> None:
        """An error of OpenAI's shape."""
        await self.head(status, "application/json", **headers)
        await self.send(json.dumps({"error": {"message": message, "type": "invalid_request_error", "code": None}}))


@dataclass
class StandIn:
    """Behaves as the list says, request by request, the last for all that follow."""

    behaviours: list[Behaviour]
    seen: list[Exchange] = field(default_factory=list)
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    """No request is under way."""
    address: str = ""

    @asynccontextmanager
    async def running(self) -> AsyncGenerator["StandIn", None]:
        """On a free port of loopback."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        self.address = f"http://127.0.0.1:{port}/v1"
        self._tasks: set[asyncio.Task[Any]] = set()
        try:
            yield self
        finally:
            server.close()
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.idle.clear()
        try:
            exchange = await _read(reader, writer)
            self.seen.append(exchange)
            behave = self.behaviours[min(len(self.seen), len(self.behaviours)) - 1]
            async with _until_gone(reader):
                await behave(exchange)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            if not self._tasks:
                self.idle.set()
            writer.close()


@asynccontextmanager
async def _until_gone(reader: asyncio.StreamReader) -> AsyncGenerator[None, None]:
    """Cancels what is inside when the client hangs up, as servers do."""
    inside = asyncio.current_task()
    assert inside is not None

    async def watch() -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read()
        inside.cancel()

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Exchange:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Exchange(first.split()[1], headers, json.loads(body or b"{}"), writer)


async def thinking_by_rules(exchange: Exchange) -> None:
    """Answers as the embedded model does, over the wire."""
    if not exchange.body["messages"]:
        await exchange.refuse(400, "messages must not be empty")
        return
    await exchange.head()
    request = _request(exchange.body)
    calls = 0
    async with aclosing(rules.Engine(rules.Config()).generate(request)) as items:
        async for item in items:
            if isinstance(item, TextPiece):
                await exchange.delta(content=item.text)
            elif isinstance(item, ToolCall):
                head = {"name": item.name, "arguments": item.arguments[:4]}
                part = {"index": calls, "id": item.call_id, "type": "function", "function": head}
                await exchange.delta(tool_calls=[part])
                rest = {"index": calls, "function": {"arguments": item.arguments[4:]}}
                await exchange.delta(tool_calls=[rest])
                calls += 1
            elif isinstance(item, Finished):
                await exchange.delta(finish=item.reason)
                usage = {
                    "prompt_tokens": item.usage.input_tokens,
                    "completion_tokens": item.usage.output_tokens,
                    "prompt_tokens_details": {"cached_tokens": item.usage.cached_tokens},
                }
                await exchange.event({"choices": [], "usage": usage})
    await exchange.event("[DONE]")


def _request(body: dict[str, Any]) -> LlmRequest:
    choice = body.get("tool_choice", "none")
    return LlmRequest(
        tuple(_message(message) for message in body["messages"]),
        tuple(
            Tool(tool["function"]["name"], tool["function"].get("description", ""), tool["function"]["parameters"])
            for tool in body.get("tools", ())
        ),
        choice["function"]["name"] if isinstance(choice, dict) else choice,
        body.get("max_tokens"),
    )


def _message(message: dict[str, Any]) -> Message:
    calls = tuple(
        ToolCall(call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in message.get("tool_calls", ())
    )
    return Message(message["role"], message["content"] or "", calls, message.get("tool_call_id", ""))


class Background:
    """A stand-in with a loop and a thread of its own, for tests whose own loops come and go."""

    def __init__(self, stand_in: StandIn) -> None:
        self._stand_in = stand_in
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="stand-in", daemon=True)

    def start(self) -> str:
        """Its address."""
        self._thread.start()
        self._ready.wait()
        return self._stand_in.address

    def stop(self) -> None:
        """Joins the thread."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        async with self._stand_in.running():
            self._ready.set()
            await self._over.wait()
