"""One engine that runs for as long as a test uses it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

EngineT = TypeVar("EngineT", bound="Startable")
T = TypeVar("T")


class Startable(Protocol):
    """What engines of all stages have."""

    async def start(self) -> None: ...

    async def close(self) -> None: ...


def with_running(engine: EngineT, use: Callable[[EngineT], Awaitable[T]]) -> T:
    """What `use` returns, on a loop of its own."""

    async def main() -> T:
        await engine.start()
        try:
            return await use(engine)
        finally:
            await engine.close()

    return asyncio.run(main())
