"""The conversations of one replica: who is let in, and how all are sent home."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from deployments.runtime.errors import ServerFull
from serve_app.session.closing import SHUTTING_DOWN, TAKEN_OVER, Closing
from serve_app.session.commands import Command
from serve_app.session.events import ServerEvent
from serve_app.session.recording import Recorder
from serve_app.session.resuming import Carried
from serve_app.session.settings import SessionSettings


@dataclass(frozen=True, slots=True)
class Resumed:
    """A conversation that goes on, and its record."""

    carried: Carried
    recorder: Recorder


class LiveSession(Protocol):
    """What a transport needs of a session."""

    @property
    def id(self) -> str:
        """`sess_…`."""
        ...

    @property
    def conversation_id(self) -> str:
        """`conv_…`."""
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


class MakeSession(Protocol):
    """Makes a session, new or for a conversation that goes on."""

    def __call__(self, settings: SessionSettings, resumed: Resumed | None = None) -> LiveSession:
        """Not running yet."""
        ...


class Sessions:
    """At most so many at a time. Belongs to one event loop."""

    def __init__(self, make: MakeSession, max_sessions: int, counts: Counts | None = None) -> None:
        self._make = make
        self._max_sessions = max_sessions
        self._counts = counts
        self._open: set[LiveSession] = set()
        self._reserved = 0
        self._draining = False

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """Keep a place for one who will `enter` right behind it. Raises ServerFull."""
        self._check_room()
        self._reserved += 1
        try:
            yield
        finally:
            self._reserved -= 1

    @contextmanager
    def enter(self, settings: SessionSettings, resumed: Resumed | None = None) -> Iterator[LiveSession]:
        """A session of one's own, counted until it is left. Raises ServerFull."""
        self._check_room()
        session = self._make(settings, resumed)
        self._open.add(session)
        self._tell()
        try:
            yield session
        finally:
            self._open.discard(session)
            self._tell()

    def hand_over(self, conversation_id: str) -> None:
        """End the session of a conversation that goes on over another connection, if it is here."""
        for session in tuple(self._open):
            if session.conversation_id == conversation_id:
                session.close(TAKEN_OVER)

    def close_all(self, closing: Closing = SHUTTING_DOWN) -> None:
        """End every conversation and let nobody in any more."""
        self._draining = True
        for session in tuple(self._open):
            session.close(closing)

    def _check_room(self) -> None:
        if self._draining:
            raise ServerFull(SHUTTING_DOWN.reason)
        if len(self._open) + self._reserved >= self._max_sessions:
            if self._counts is not None:
                self._counts.refused()
            raise ServerFull(f"the server is full ({self._max_sessions} conversations): try again later")

    def _tell(self) -> None:
        if self._counts is not None:
            self._counts.sessions(len(self._open))
