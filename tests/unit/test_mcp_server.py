"""Tools of MCP servers: real ones, in a process of their own or over HTTP on loopback."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import uvicorn
from pydantic import ValidationError
from starlette.types import ASGIApp, Receive, Scope, Send

from configs.tools import McpServerConfig, ToolServerConfig
from deployments.llm.tools.functions import function_of
from deployments.llm.tools.mcp_server import McpServer
from deployments.llm.tools.runner import FunctionRunner
from deployments.llm.tools.toolbox import Toolbox, toolbox_of
from tests.mcp_tools import make_server
from tests.serve.processes import free_port

TOKEN = "a-secret-token"


@asynccontextmanager
async def running(
    config: McpServerConfig, *, timeout_s: float = 5.0, max_running: int = 4
) -> AsyncGenerator[McpServer]:
    """A server that keeps its connection; it has answered or failed once."""
    server = McpServer("lab", config, timeout_s=timeout_s, max_running=max_running)
    task = asyncio.create_task(server.run())
    try:
        await asyncio.wait_for(server.tried.wait(), 30)
        yield server
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(true: Callable[[], bool], within_s: float = 20) -> None:
    end_s = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end_s
        await asyncio.sleep(0.02)


def with_token(app: ASGIApp) -> ASGIApp:
    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            given = dict(scope["headers"]).get(b"authorization", b"").decode()
            if given != f"Bearer {TOKEN}":
                await send({"type": "http.response.start", "status": 401, "headers": []})
                await send({"type": "http.response.body", "body": b"who are you"})
                return
        await app(scope, receive, send)

    return guarded


@asynccontextmanager
async def over_http(port: int) -> AsyncGenerator[None]:
    """The tools at `http://127.0.0.1:port/mcp`, for who has the token."""
    app = with_token(make_server().streamable_http_app())
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", timeout_graceful_shutdown=1))
    task = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    try:
        yield
    finally:
        server.should_exit = True
        await task


def names_of(server: McpServer) -> list[str]:
    return [tool.name for tool in server.tools]


def error_of(result: str) -> str:
    return str(json.loads(result)["error"])


COMMAND = McpServerConfig(command=(sys.executable, "-m", "tests.mcp_tools"), variables=("A_SECRET", "NOT_SET_AT_ALL"))


def test_a_program_is_started_and_its_tools_are_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "shared")
    monkeypatch.setenv("ANOTHER", "kept")

    async def use() -> None:
        async with running(COMMAND) as server:
            tools = {tool.name: tool for tool in server.tools}
            assert tools["lab__add"].description == "Add two numbers."
            assert set(tools["lab__add"].parameters["properties"]) == {"a", "b"}
            assert await server.call("lab__add", '{"a": 2, "b": 3}') == "5"
            assert await server.call("lab__a_name_no_model_would_take", "") == "called"
            assert await server.call("lab__variable", '{"name": "A_SECRET"}') == "shared"
            assert await server.call("lab__variable", '{"name": "ANOTHER"}') == "not set"
            assert "no luck today" in error_of(await server.call("lab__fail", "{}"))
            assert (await server.call("lab__much", "{}")).endswith("… (cut off)")
            for wrong in ("{", "[]", '{"a": "no number", "b": 1}', "{}"):
                assert error_of(await server.call("lab__add", wrong))
            assert "'lab__other'" in error_of(await server.call("lab__other", "{}"))

    asyncio.run(use())


def test_a_program_that_dies_in_a_call_is_started_again() -> None:
    async def use() -> None:
        async with running(COMMAND) as server:
            assert "not known" in error_of(await server.call("lab__die", "{}"))
            await until(lambda: server._client is None)
            assert "does not answer" in error_of(await server.call("lab__add", '{"a": 2, "b": 3}'))
            await until(lambda: server._client is not None)
            assert await server.call("lab__add", '{"a": 2, "b": 3}') == "5"

    asyncio.run(use())


def test_what_never_returns_is_given_up_and_holds_nobody_up() -> None:
    async def use() -> None:
        async with running(COMMAND, timeout_s=0.5, max_running=2) as server:
            hanging = [asyncio.create_task(server.call("lab__hang", "{}")) for _ in range(2)]
            await asyncio.sleep(0.1)
            assert "too many" in error_of(await server.call("lab__add", '{"a": 2, "b": 3}'))
            assert [error_of(result) for result in await asyncio.gather(*hanging)] == [
                "the function gave no result within 0.5 s"
            ] * 2
            assert await server.call("lab__add", '{"a": 2, "b": 3}') == "5"
            cancelled = asyncio.create_task(server.call("lab__hang", "{}"))
            await asyncio.sleep(0.1)
            cancelled.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cancelled
            assert await server.call("lab__add", '{"a": 1, "b": 3}') == "4"

    asyncio.run(use())


def test_over_http_it_comes_back_when_its_server_does(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LAB_TOKEN", TOKEN)
    port = free_port()
    config = McpServerConfig(url=f"http://127.0.0.1:{port}/mcp", token_variable="LAB_TOKEN", tools=("add", "hang"))

    async def use() -> None:
        async with running(config) as server:
            assert names_of(server) == []
            assert "does not answer" in error_of(await server.call("lab__add", "{}"))
            async with over_http(port):
                await until(lambda: server._client is not None)
                assert names_of(server) == ["lab__add", "lab__hang"]
                assert await server.call("lab__add", '{"a": 2, "b": 3}') == "5"
            # Gone, and noticed by the next call.
            assert error_of(await server.call("lab__add", '{"a": 2, "b": 3}'))
            await until(lambda: server._client is None)
            assert names_of(server) == ["lab__add", "lab__hang"]
            async with over_http(port):
                await until(lambda: server._client is not None)
                assert await server.call("lab__add", '{"a": 2, "b": 4}') == "6"

    asyncio.run(use())
    assert TOKEN not in caplog.text


def test_without_the_token_there_are_no_tools() -> None:
    port = free_port()

    async def use() -> None:
        async with over_http(port), running(McpServerConfig(url=f"http://127.0.0.1:{port}/mcp")) as server:
            assert server.tools == ()

    asyncio.run(use())


@pytest.mark.parametrize(
    "command", [("/no/such/program",), (sys.executable, "-c", "pass"), (sys.executable, "-c", "print('hello ' * 999)")]
)
def test_what_is_no_server_costs_its_tools_only(command: tuple[str, ...]) -> None:
    async def use() -> None:
        async with running(McpServerConfig(command=command)) as server:
            assert server.tools == ()
            assert error_of(await server.call("lab__add", "{}"))

    asyncio.run(use())


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"url": "http://x", "command": ["y"]},
        {"url": "ftp://x"},
        {"command": ["y"], "token_variable": "A"},
        {"url": "http://x", "variables": ["A"]},
        {"command": ["y"], "variables": ["not a name"]},
    ],
)
def test_a_wrong_configuration_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        McpServerConfig.model_validate(wrong)
    with pytest.raises(ValidationError):
        ToolServerConfig.model_validate({"mcp": {"no_underscore": {"command": ["x"]}}})


def test_functions_and_servers_are_one_toolbox() -> None:
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b + 1000

    async def use() -> None:
        servers = [McpServer("lab", COMMAND, timeout_s=5, max_running=2)]
        box = Toolbox(FunctionRunner([function_of(add)], timeout_s=5, max_running=2), servers)
        keep = asyncio.create_task(box.run())
        await box.wait_for_servers(30)
        names = [tool.name for tool in box.tools]
        assert names[0] == "add"
        assert {"lab__add", "lab__hang"} <= set(names)
        assert await box.call("add", '{"a": 1, "b": 2}') == "1003"
        assert await box.call("lab__add", '{"a": 1, "b": 2}') == "3"
        assert "there is no function" in error_of(await box.call("other__add", "{}"))
        keep.cancel()
        await asyncio.wait([keep])

    asyncio.run(use())


def test_a_configuration_makes_a_toolbox() -> None:
    config = ToolServerConfig.model_validate({"mcp": {"lab": {"command": ["/no/such/program"]}}})

    async def use() -> None:
        box = toolbox_of(config)
        keep = asyncio.create_task(box.run())
        await box.wait_for_servers(30)
        assert box.tools == ()
        keep.cancel()
        await asyncio.wait([keep])

    asyncio.run(use())
