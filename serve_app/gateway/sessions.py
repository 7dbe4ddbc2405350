"""The conversations of one replica: who is let in, and how all are sent home."""

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from deployments.runtime.errors import ServerFull
from serve_app.session.closing import SHUTTING_DOWN, Closing
from serve_app.session.commands import Command
from serve_app.session.events import ServerEvent
from serve_app.session.settings import SessionSettings


class LiveSession(Protocol):
    """What a transport needs of a session."""

    @property
    def id(self) -> str:
        """`sess_…`."""
        ...

    @property
    def settings(self) -> SessionSettings:
        """Those in force."""
        ...

    @property
    def closing(self) -> Closing | None:
        """Why it ended; None while it goes on."""
        ...

    async def run(self) -> None:
        """Hold the conversation until it is closed."""
        ...

    async def submit(self, command: Command) -> None:
        """Ask for something; waits while too much else was asked for."""
        ...

    def events(self) -> AsyncGenerator[ServerEvent, None]:
        """Everything the session says, to its end. For one reader."""
        ...

    def close(self, closing: Closing) -> None:
        """End it. Only the first reason counts."""
        ...


class Counts(Protocol):
    """Who is told how many there are."""

    def sessions(self, count: int) -> None:
        """So many are open."""
        ...

    def refused(self) -> None:
        """One found the server full."""
        ...


class Sessions:
    """At most so many at a time. Belongs to one event loop."""

    def __init__(
        self, make: Callable[[SessionSettings], LiveSession], max_sessions: int, counts: Counts | None = None
    ) -> None:
        self._make = make
        self._max_sessions = max_sessions
        self._counts = counts
        self._open: set[LiveSession] = set()
        self._draining = False

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def enter(self, settings: SessionSettings) -> Iterator[LiveSession]:
        """A session of one's own, counted until it is left. Raises ServerFull."""
        if self._draining:
            raise ServerFull(SHUTTING_DOWN.reason)
        if len(self._open) >= self._max_sessions:
            if self._counts is not None:
                self._counts.refused()
            raise ServerFull(f"the server is full ({self._max_sessions} conversations): try again later")
        session = self._make(settings)
        self._open.add(session)
        self._tell()
        try:
            yield session
        finally:
            self._open.discard(session)
            self._tell()

    def _tell(self) -> None:
        if self._counts is not None:
            self._counts.sessions(len(self._open))

    def close_all(self, closing: Closing = SHUTTING_DOWN) -> None:
        """End every conversation and let nobody in any more."""
        self._draining = True
        for session in tuple(self._open):
            session.close(closing)
