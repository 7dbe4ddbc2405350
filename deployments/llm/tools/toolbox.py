"""All tools that the server itself has for the model: functions of its own, and those of MCP servers."""

import asyncio
from collections.abc import Sequence

from configs.tools import ToolServerConfig
from deployments.llm.contract import Tool
from deployments.llm.tools.functions import load_functions
from deployments.llm.tools.mcp_server import McpServer
from deployments.llm.tools.runner import FunctionRunner


def toolbox_of(config: ToolServerConfig) -> "Toolbox":
    """What a configuration names. Raises ConfigError."""
    functions = FunctionRunner(
        load_functions(config.functions), timeout_s=config.timeout_s, max_running=config.max_running
    )
    servers = [
        McpServer(label, server, timeout_s=config.timeout_s, max_running=config.max_running)
        for label, server in config.mcp.items()
    ]
    return Toolbox(functions, servers)


class Toolbox:
    """Of one process."""

    def __init__(self, functions: FunctionRunner, servers: Sequence[McpServer] = ()) -> None:
        self._functions = functions
        self._servers = tuple(servers)

    @property
    def tools(self) -> tuple[Tool, ...]:
        """What the model is told; a function comes before a server's tool of the same name."""
        own = self._functions.tools
        names = {tool.name for tool in own}
        return (*own, *(tool for server in self._servers for tool in server.tools if tool.name not in names))

    async def call(self, name: str, arguments: str) -> str:
        """As `FunctionRunner.call`."""
        if not any(tool.name == name for tool in self._functions.tools):
            for server in self._servers:
                if server.has(name):
                    return await server.call(name, arguments)
        return await self._functions.call(name, arguments)

    async def run(self) -> None:
        """Keep the connections until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for server in self._servers:
                tasks.create_task(server.run())

    async def wait_for_servers(self, within_s: float) -> None:
        """Return when each server has answered or failed once, or time is up."""
        waiting = [asyncio.ensure_future(server.tried.wait()) for server in self._servers]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=within_s)
            for task in late:
                task.cancel()
