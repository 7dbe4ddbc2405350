"""A deployment that does as it is told, and one that calls it: real replicas for the tests of calls and routing."""

import asyncio
import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ray.serve.handle import DeploymentHandle

from deployments.runtime.calls import call
from deployments.runtime.errors import StateLost


@dataclass(frozen=True, slots=True)
class Order:
    """What Probe is to do."""

    wait_s: float = 0.0
    items: int = 0
    raises: str = ""
    payload: bytes = b""
    session_id: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """Who did it."""

    pid: int
    session_id: str
    payload: bytes


class Probe:
    """Answers, waits, streams or fails."""

    def __init__(self) -> None:
        self.running = 0
        self.cancelled = 0

    async def push(self, session_id: str, order: Order) -> Answer:
        """One reply after `wait_s`."""
        with self._counted():
            await self._obey(order)
        return Answer(os.getpid(), session_id, order.payload)

    async def stream(self, order: Order) -> AsyncGenerator[Answer, None]:
        """`items` replies, then the wait or the error."""
        with self._counted():
            for _ in range(order.items):
                yield Answer(os.getpid(), order.session_id, order.payload)
            await self._obey(order)

    async def state(self) -> tuple[int, int, int]:
        """Process id, calls running, calls cancelled so far."""
        return os.getpid(), self.running, self.cancelled

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.running += 1
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise
        finally:
            self.running -= 1

    async def _obey(self, order: Order) -> None:
        if order.raises == "StateLost":
            raise StateLost("which session?", code="lost", param="utterance_id")
        if order.raises:
            raise ValueError(order.raises)
        await asyncio.sleep(order.wait_s)


class Caller:
    """Plays the Gateway: runs one of the functions of `scenarios.py` in its replica, inside one request."""

    def __init__(self, probe: DeploymentHandle[Any], crowd: DeploymentHandle[Any], pair: DeploymentHandle[Any]) -> None:
        self.handles = {"probe": probe, "crowd": crowd, "pair": pair}

    async def run(self, scenario: str, *args: Any) -> Any:
        """Whatever the scenario returns."""
        from tests.serve import scenarios

        return await getattr(scenarios, scenario)(self.handles, *args)


async def cancelled_count(probe: DeploymentHandle[Any]) -> int:
    """How many calls of the probe were cancelled so far."""
    _, _, cancelled = await call(probe, "state", deadline_s=5)
    return int(cancelled)


def run(caller: DeploymentHandle[Any], scenario: str, *args: Any) -> Any:
    """The result of a scenario, for a test."""
    return caller.run.remote(scenario, *args).result(timeout_s=60)
