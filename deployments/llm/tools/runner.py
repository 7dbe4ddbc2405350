"""Runs functions beside the event loop. One that never returns costs a thread of a bounded number, no conversation."""

import asyncio
import inspect
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from deployments.llm.contract import Tool
from deployments.llm.tools.functions import BadArguments, Function, as_text
from deployments.llm.tools.results import bounded, error

log = logging.getLogger(__name__)


class FunctionRunner:
    """Of one process. Each call has a thread, which ends with the process if it does not end before."""

    def __init__(self, functions: Sequence[Function], *, timeout_s: float, max_running: int) -> None:
        """`max_running` counts the calls that were given up and still run."""
        self._functions = {function.tool.name: function for function in functions}
        self._timeout_s = timeout_s
        self._max_running = max_running
        self._running = 0

    @property
    def tools(self) -> tuple[Tool, ...]:
        """What the model is told."""
        return tuple(function.tool for function in self._functions.values())

    async def call(self, name: str, arguments: str) -> str:
        """The result as text; where there is none, a JSON object whose `error` tells the model why. Raises nothing."""
        function = self._functions.get(name)
        if function is None:
            return error(f"there is no function {name!r}; there are: {', '.join(self._functions) or 'none'}")
        if self._running >= self._max_running:
            return error("too many functions run already; try again later")
        try:
            call = function.bound(arguments)
            async with asyncio.timeout(self._timeout_s):
                result = await self._in_thread(name, call)
        except BadArguments as problem:
            return error(str(problem))
        except TimeoutError:
            log.warning("the tool %s gave no result within %g s", name, self._timeout_s)
            return error(f"the function gave no result within {self._timeout_s:g} s")
        return bounded(result)

    def _in_thread(self, name: str, call: Callable[[], Any]) -> asyncio.Future[str]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str] = loop.create_future()

        def settle(result: str) -> None:
            self._running -= 1
            if not future.done():
                future.set_result(result)

        def run() -> None:
            result = _result(name, call)
            try:
                loop.call_soon_threadsafe(settle, result)
            except RuntimeError:
                log.info("the tool %s ended after its loop", name)

        self._running += 1
        # A daemon: a pool would wait for it when the process ends.
        threading.Thread(target=run, name=f"tool-{name}", daemon=True).start()
        return future


def _result(name: str, call: Callable[[], Any]) -> str:
    """What it returns, or raises, as text."""
    try:
        result = call()
        if inspect.isawaitable(result):
            result = asyncio.run(_awaited(result))
        return as_text(result)
    except (Exception, SystemExit) as problem:
        # Somebody else's code: whatever it raises is told to the model, and to the operator here.
        log.warning("the tool %s failed", name, exc_info=problem)
        return error(f"{type(problem).__name__}: {problem}")


async def _awaited(result: Any) -> Any:
    return await result
