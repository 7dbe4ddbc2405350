"""Notices that nothing has happened for too long."""

import asyncio
from collections.abc import Callable

from deployments.runtime import clock


class Idleness:
    """Counts from the last `stir`, and not at all while something goes on."""

    def __init__(self, idle_s: float) -> None:
        self._idle_s = idle_s
        self._stirred_s = 0.0

    def stir(self) -> None:
        """Something happened."""
        self._stirred_s = clock.now_s()

    async def wait(self, goes_on: Callable[[], bool]) -> None:
        """Return when nothing has happened for `idle_s`; `goes_on` is asked when that may be."""
        while True:
            if goes_on():
                self.stir()
            rest_s = self._stirred_s + self._idle_s - clock.now_s()
            if rest_s <= 0:
                return
            await asyncio.sleep(rest_s)
