"""Which deployments answer, with which engine, and why not: /readyz, /v1/models and the line at the terminal."""

import asyncio
from collections.abc import Mapping
from typing import Any

from ray.serve.handle import DeploymentHandle

from deployments.runtime.address import http_address, wait_until_served
from deployments.runtime.calls import call
from deployments.runtime.errors import StageError
from deployments.runtime.logs import announce
from deployments.runtime.replicas import why_no_replica
from deployments.runtime.stage import StageDescription

_START_DEADLINE_S = 5.0


class Readiness:
    """Asks the deployments of the graph."""

    def __init__(self, stages: Mapping[str, DeploymentHandle[Any]]) -> None:
        """`stages` by deployment name."""
        self._stages = dict(stages)

    async def describe(self, deadline_s: float) -> dict[str, StageDescription]:
        """One replica's description per deployment, all asked at once; one that does not answer has that as problem."""
        names = list(self._stages)
        return dict(zip(names, await asyncio.gather(*(self._ask(name, deadline_s) for name in names)), strict=True))

    async def wait(self) -> dict[str, StageDescription]:
        """Return once every deployment has answered, ready or with a problem of its own."""
        while True:
            described = await self.describe(_START_DEADLINE_S)
            if all(answer.engine for answer in described.values()):
                return described

    async def announce(self, public_url: str | None = None) -> None:
        """Print the one line with the address, once everything answers and the address is served."""
        described = await self.wait()
        url = await asyncio.to_thread(http_address)
        await wait_until_served(f"{url}/livez")
        problems = "; ".join(f"{name}: {answer.problem}" for name, answer in described.items() if not answer.ready)
        if problems:
            announce(f"Parley runs at {public_url or url} but is not ready: {problems}")
        else:
            announce(f"Parley is ready: {public_url or url}")

    async def _ask(self, name: str, deadline_s: float) -> StageDescription:
        handle = self._stages[name]
        try:
            answer: StageDescription = await call(handle, "describe", deadline_s=deadline_s)
        except StageError as error:
            # A replica that waits for a GPU that nobody has would be "did not answer" for ever.
            missing = await asyncio.to_thread(why_no_replica, handle.app_name, name)
            return StageDescription(engine="", problem=missing or str(error))
        return answer
