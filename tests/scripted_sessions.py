"""Sessions that do what a test says, for whatever carries them; and a server around them."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import uvicorn
from starlette.types import ASGIApp

from deployments.avatar.client import AvatarClient
from deployments.avatar.contract import AvatarPush, AvatarReply
from deployments.runtime.errors import NotFound, StageUnavailable
from deployments.runtime.local import LocalPush
from serve_app.gateway.sessions import LiveSession, Resumed
from serve_app.session import events as ev
from serve_app.session.closing import Closing
from serve_app.session.commands import Command
from serve_app.session.ids import new_id
from serve_app.session.screen import Faces
from serve_app.session.settings import SessionSettings
from serve_app.store.resuming import not_resumable


class ScriptedSession:
    """Greets as a session does, keeps what it is asked, says what it is told to."""

    def __init__(self, settings: SessionSettings) -> None:
        self.id = new_id("sess")
        self.conversation_id = new_id("conv")
        self.settings = settings
        self.closing: Closing | None = None
        self.running = False
        self.fails_with: Exception | None = None
        self._commands: asyncio.Queue[Command] = asyncio.Queue()
        self._outbox: asyncio.Queue[ev.ServerEvent | None] = asyncio.Queue()
        self._over = asyncio.Event()

    async def run(self) -> None:
        """Until it is closed."""
        self.running = True
        try:
            if self.fails_with is not None:
                raise self.fails_with
            self.say(ev.SessionCreated(self.settings, {}))
            await self._over.wait()
        finally:
            self.running = False
            self._outbox.put_nowait(None)

    async def submit(self, command: Command) -> None:
        """Keep it."""
        await self._commands.put(command)

    def events(self) -> AsyncGenerator[ev.ServerEvent, None]:
        """What was said."""
        return self._read()

    def close(self, closing: Closing) -> None:
        """The first reason counts."""
        if self.closing is None:
            self.closing = closing
            self._over.set()

    def say(self, *events: ev.ServerEvent) -> None:
        """Say something."""
        for event in events:
            self._outbox.put_nowait(event)

    async def next_command(self) -> Command:
        """The next that it was asked and that nobody has taken yet."""
        return await self._commands.get()

    async def closed(self) -> Closing:
        """Wait for the end."""
        await self._over.wait()
        assert self.closing is not None
        return self.closing

    async def _read(self) -> AsyncGenerator[ev.ServerEvent, None]:
        while (event := await self._outbox.get()) is not None:
            yield event


@dataclass
class SessionMaker:
    """Makes them and keeps them."""

    made: list[ScriptedSession] = field(default_factory=list)

    def __call__(self, settings: SessionSettings, resumed: Resumed | None = None) -> LiveSession:
        self.made.append(ScriptedSession(settings))
        return self.made[-1]


async def nobody_comes_back(token: str, heard_ms: int | None) -> Resumed:
    """For a server that has nothing to come back to."""
    raise not_resumable()


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncGenerator[str, None]:
    """An ASGI app on a port of its own of 127.0.0.1, in this loop; gives `127.0.0.1:port`."""
    config = uvicorn.Config(app, "127.0.0.1", 0, log_level="critical", lifespan="off")
    listening = config.bind_socket()
    listening.listen()  # who comes before the server runs waits
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve([listening]))
    try:
        yield f"127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        await serving
        listening.close()


async def until(condition: Callable[[], bool]) -> None:
    """Let everything else run until something is so."""
    while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
        await asyncio.sleep(0)


def faces_without(deleted: str) -> Faces:
    """Faces of which one avatar was deleted; nobody draws them."""

    async def nobody(session_id: str, push: AvatarPush) -> AvatarReply:
        raise StageUnavailable("nobody draws here")

    async def no_portrait(avatar: str) -> None:
        return None

    async def check(avatar: str) -> None:
        if avatar == deleted:
            raise NotFound(f"There is no avatar {avatar!r}.", "avatar_not_found", "avatar")

    return Faces(AvatarClient(LocalPush(nobody), 1.0), no_portrait, check)
