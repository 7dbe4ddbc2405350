"""A server of the Model Context Protocol with tools that behave, and some that do not.

`python -m tests.mcp_tools` speaks on standard input and output.
"""

import asyncio
import os
import sys

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def variable(name: str) -> str:
    """An environment variable."""
    return os.environ.get(name, "not set")


def oddly_named() -> str:
    """Has a name that a model may not use."""
    return "called"


def fail() -> str:
    """Raise."""
    raise ToolError("no luck today")


def much() -> str:
    """More than a window holds."""
    return "word " * 100_000


async def hang() -> str:
    """Never return."""
    await asyncio.sleep(3600)
    return "never"


def die() -> str:
    """End the server's process in the middle of the call."""
    sys.stdout.flush()
    os._exit(1)


def make_server() -> MCPServer:
    """With all of them; one serves once."""
    server = MCPServer("tools")
    for function in (add, variable, fail, much, hang, die):
        server.tool()(function)
    server.tool(name="a.name/no model would take")(oddly_named)
    return server


if __name__ == "__main__":
    make_server().run()
