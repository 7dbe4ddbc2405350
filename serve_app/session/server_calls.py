"""Calls of functions that the server runs itself.

A call is run once, when the model has made it, and its result enters the conversation once, also when the reply that
made it was cut off meanwhile, or when the call was given up (`open_calls.py`) before its result came.
"""

import asyncio
import json
from collections.abc import Callable, Collection
from typing import Protocol

from deployments.llm.contract import Tool
from serve_app.session.items import Item


class ServerTools(Protocol):
    """What runs them."""

    @property
    def tools(self) -> tuple[Tool, ...]:
        """What the model is told."""
        ...

    async def call(self, name: str, arguments: str) -> str:
        """The result, or what went wrong, as text. Raises nothing."""
        ...


class NoTools:
    """A server without functions."""

    tools: tuple[Tool, ...] = ()

    async def call(self, name: str, arguments: str) -> str:
        """Refused."""
        return json.dumps({"error": f"there is no function {name!r}"})


class ServerCalls:
    """Of one session. Each call is a task of its group."""

    def __init__(
        self,
        tools: ServerTools,
        chosen: Collection[str] | None,
        tasks: asyncio.TaskGroup,
        on_result: Callable[[str, str], None],
    ) -> None:
        """`chosen`: the names that this session has; None: all. `on_result(call_id, output)` when one is done."""
        self.tools = tuple(tool for tool in tools.tools if chosen is None or tool.name in chosen)
        self._names = {tool.name for tool in self.tools}
        self._run = tools.call
        self._tasks = tasks
        self._on_result = on_result
        self._begun: set[str] = set()

    def make(self, item: Item) -> None:
        """The model has made a call; one of the client's is left to it."""
        if item.name in self._names and item.call_id not in self._begun:
            self._begun.add(item.call_id)
            self._tasks.create_task(self._answer(item), name=f"tool {item.name}")

    def lost(self, items: Collection[Item]) -> list[tuple[str, str]]:
        """Of a conversation that goes on elsewhere: calls that were under way, each with what the model is told."""
        answered = {item.call_id for item in items if item.type == "function_call_output"}
        output = json.dumps({"error": "the connection broke while the function ran: it is not known what it did"})
        return [
            (item.call_id, output)
            for item in items
            if item.type == "function_call" and item.name in self._names and item.call_id not in answered
        ]

    async def _answer(self, item: Item) -> None:
        self._on_result(item.call_id, await self._run(item.name, item.arguments))
