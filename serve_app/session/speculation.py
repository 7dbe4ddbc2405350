"""A reply that is begun on a guess: in the pause before it is certain that the user has finished.

It is kept silent, and nothing that it says has an effect: a tool call in it is made when the reply is used, not before.
It is used when the model would be asked the very same, and thrown away otherwise.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from deployments.llm.client import LlmClient
from deployments.llm.contract import LlmItem, LlmRequest
from deployments.runtime.errors import ParleyError

_ITEMS_AHEAD = 64
"""A model that has said so much before the user's turn is over waits."""


class Speculation:
    """One reply on its way. Its task belongs to the session's group; `drop` it, or read `items` to their end."""

    def __init__(self, llm: LlmClient, request: LlmRequest, tasks: asyncio.TaskGroup) -> None:
        self.request = request
        self._llm = llm
        self._items: asyncio.Queue[LlmItem | ParleyError | None] = asyncio.Queue(_ITEMS_AHEAD)
        self._task = tasks.create_task(self._run())

    def drop(self) -> None:
        """Stop the model; nobody wants this reply."""
        self._task.cancel()

    async def items(self) -> AsyncGenerator[LlmItem, None]:
        """The reply from its beginning. Read it inside `aclosing`, which also stops the model. Raises as it does."""
        try:
            while (item := await self._items.get()) is not None:
                if isinstance(item, ParleyError):
                    raise item
                yield item
        finally:
            self.drop()

    async def _run(self) -> None:
        end: ParleyError | None = None
        try:
            async with aclosing(self._llm.reply(self.request)) as items:
                async for item in items:
                    await self._items.put(item)
        except ParleyError as error:
            end = error
        await self._items.put(end)
