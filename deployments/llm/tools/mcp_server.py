"""A server of the Model Context Protocol: its tools, and calls of them, over a connection that comes back.

https://modelcontextprotocol.io/specification. The protocol is the `mcp` package's; it is imported with the first
server, for it takes 0.5 s.
"""

import asyncio
import importlib
import json
import logging
import os
import re
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from configs.tools import McpServerConfig
from deployments.llm.contract import Tool
from deployments.llm.tools.results import bounded, error

if TYPE_CHECKING:
    from mcp import Client
    from mcp_types import CallToolResult

log = logging.getLogger(__name__)

SEPARATOR: Final = "__"
_CONNECT_S: Final = 20.0
_LIST_S: Final = 10.0
_REFRESH_S: Final = 60.0
"""How often the tools are asked for again: a server may change them, or be gone."""
_WAITS_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Before each attempt to connect again; the last one for all that follow."""
_MOST_TOOLS: Final = 128
_BAD: Final = re.compile(r"[^a-zA-Z0-9_-]")
_LONGEST_NAME: Final = 64


class McpServer:
    """Reachable or not; what cannot be called is told to the model in words, and no conversation waits for it."""

    def __init__(self, label: str, config: McpServerConfig, *, timeout_s: float, max_running: int) -> None:
        """`timeout_s` is for one call."""
        self._label = label
        self._config = config
        self._timeout_s = timeout_s
        self._max_running = max_running
        self._running = 0
        self._client: Client | None = None
        self._names: dict[str, str] = {}
        """The server's own, by those that the model is told."""
        self._doubt = asyncio.Event()
        """Something went wrong: look whether the server is there."""
        self.tried = asyncio.Event()
        """The first attempt to connect is over."""
        self.tools: tuple[Tool, ...] = ()
        """What the server had when it was last asked; it stays while the server cannot be reached."""

    async def run(self) -> None:
        """Keep the connection until cancelled."""
        await asyncio.to_thread(importlib.import_module, "mcp")
        failures = 0
        while True:
            try:
                async with self._connected() as client:
                    failures = 0
                    await self._watch(client)
            except Exception as problem:
                # Transports of several kinds, and groups of their errors: each means that it has to be tried again.
                if failures == 0:
                    log.warning("the MCP server %s cannot be reached: %s", self._label, _words(problem))
            finally:
                self._client = None
                self.tried.set()
            await asyncio.sleep(_WAITS_S[min(failures, len(_WAITS_S) - 1)])
            failures += 1

    def has(self, name: str) -> bool:
        """Whether a tool of that name would be this server's."""
        return name.startswith(f"{self._label}{SEPARATOR}")

    async def call(self, name: str, arguments: str) -> str:
        """As `FunctionRunner.call`. A call is made once: whether one that broke off was carried out is not known."""
        if self._client is None or name not in self._names:
            return error(f"there is no function {name!r} now: its server {self._label!r} does not answer or has none")
        if self._running >= self._max_running:
            return error("too many functions run already; try again later")
        try:
            given = json.loads(arguments or "{}")
        except (ValueError, RecursionError) as problem:
            return error(f"wrong arguments: {problem}")
        if not isinstance(given, dict):
            return error("wrong arguments: they are no JSON object")
        self._running += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                return _text(await self._client.call_tool(self._names[name], given))
        except TimeoutError:
            log.warning("the tool %s gave no result within %g s", name, self._timeout_s)
            return error(f"the function gave no result within {self._timeout_s:g} s")
        except Exception as problem:
            # As in `run`: the transport's errors, and what the server refuses.
            log.warning("the tool %s failed: %s", name, _words(problem))
            self._doubt.set()
            return error(f"the call failed, and whether it was carried out is not known: {_words(problem)}")
        finally:
            self._running -= 1

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator["Client", None]:
        from mcp import Client

        async with AsyncExitStack() as stack:
            async with asyncio.timeout(_CONNECT_S):
                client = await stack.enter_async_context(Client(self._transport(stack), cache=None))
                await self._list(client)
            self._client = client
            self.tried.set()
            log.info("the MCP server %s has %d tools", self._label, len(self.tools))
            yield client

    def _transport(self, stack: AsyncExitStack) -> Any:
        from mcp.client.stdio import StdioServerParameters
        from mcp.client.streamable_http import streamable_http_client
        from mcp.shared._httpx_utils import create_mcp_http_client

        config = self._config
        if config.url is None:
            program, *arguments = config.command
            given = {name: os.environ[name] for name in config.variables if name in os.environ}
            return StdioServerParameters(command=program, args=arguments, env=given)
        token = os.environ.get(config.token_variable or "")
        http = create_mcp_http_client(headers={"Authorization": f"Bearer {token}"} if token else None)
        stack.push_async_callback(http.aclose)
        return streamable_http_client(config.url, http_client=http)

    async def _watch(self, client: "Client") -> None:
        """Ask for the tools now and then, and at once when in doubt. Raises what the connection raises."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._doubt.wait(), _REFRESH_S)
            self._doubt.clear()
            async with asyncio.timeout(_LIST_S):
                await self._list(client)

    async def _list(self, client: "Client") -> None:
        tools: dict[str, Tool] = {}
        names: dict[str, str] = {}
        cursor: str | None = None
        wanted = self._config.tools
        while len(tools) < _MOST_TOOLS:
            page = await client.list_tools(cursor=cursor)
            for each in page.tools[: _MOST_TOOLS - len(tools)]:
                name = f"{self._label}{SEPARATOR}{_BAD.sub('_', each.name)}"[:_LONGEST_NAME]
                if name not in names and (wanted is None or each.name in wanted):
                    names[name] = each.name
                    tools[name] = Tool(name, each.description or "", dict(each.input_schema))
            cursor = page.next_cursor
            if not cursor or not page.tools:
                break
        self._names, self.tools = names, tuple(tools.values())


def _text(result: "CallToolResult") -> str:
    parts = [getattr(part, "text", None) or f"({part.type}, not shown)" for part in result.content]
    text = "\n".join(parts)
    if not text and result.structured_content is not None:
        text = json.dumps(result.structured_content, ensure_ascii=False)
    return error(bounded(text)) if result.is_error else bounded(text)


def _words(problem: BaseException) -> str:
    """The first cause, on one line."""
    while isinstance(problem, BaseExceptionGroup):
        problem = problem.exceptions[0]
    return " ".join(f"{type(problem).__name__}: {problem}".split())[:300]
