"""Function calls that the model has made and the client has not answered yet.

A call lives on when the reply that made it is interrupted: its result enters the conversation once, whenever it comes.
After `filler_after_s` the assistant says that it is at work; after `timeout_s` the call is answered with a failure.
"""

import asyncio
import json
from collections.abc import Callable

from configs.session import ToolsConfig
from serve_app.session.items import Item


class OpenCalls:
    """Used by the session's one loop; a task of its group watches each call."""

    def __init__(
        self,
        config: ToolsConfig,
        tasks: asyncio.TaskGroup,
        *,
        on_slow: Callable[[], None],
        on_expired: Callable[[str, str], None],
    ) -> None:
        """`on_slow()` when a call takes long; `on_expired(call_id, output)` when it is given up."""
        self._config = config
        self._tasks = tasks
        self._on_slow = on_slow
        self._on_expired = on_expired
        self._watched: dict[str, asyncio.Task[None]] = {}

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return bool(self._watched)

    def see(self, item: Item) -> None:
        """An item has entered the conversation or has its final form."""
        if item.type == "function_call" and item.status == "completed" and item.call_id not in self._watched:
            self._watched[item.call_id] = self._tasks.create_task(self._watch(item.call_id))
        elif item.type == "function_call_output":
            watch = self._watched.pop(item.call_id, None)
            if watch is not None:
                watch.cancel()

    async def _watch(self, call_id: str) -> None:
        filler_after_s, timeout_s = self._config.filler_after_s, self._config.timeout_s
        waited_s = 0.0
        if filler_after_s is not None and filler_after_s < timeout_s:
            await asyncio.sleep(filler_after_s)
            waited_s = filler_after_s
            self._on_slow()
        await asyncio.sleep(timeout_s - waited_s)
        del self._watched[call_id]
        self._on_expired(call_id, json.dumps({"error": f"the function gave no result within {timeout_s:g} s"}))
