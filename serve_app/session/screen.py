"""Whether a session shows a face, and which."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from deployments.avatar.client import AvatarClient, PortraitSource
from deployments.avatar.contract import Mood
from deployments.runtime.errors import InvalidRequest, ParleyError
from serve_app.session.events import ErrorEvent, ServerEvent
from serve_app.session.face import LiveFace
from serve_app.session.machine import State
from serve_app.session.settings import SessionSettings

MOODS: Final[Mapping[State, Mood]] = {
    State.IDLE: "idle",
    State.LISTENING: "idle",
    State.USER_SPEAKING: "listening",
    State.THINKING: "thinking",
    State.SPEAKING: "speaking",
    State.HELD: "listening",
    State.CLOSED: "idle",
}


async def _any(_: str) -> None:
    """Nothing is ever deleted."""


@dataclass(frozen=True, slots=True)
class Faces:
    """Where faces come from."""

    client: AvatarClient
    portrait: PortraitSource
    """An uploaded avatar by its id. Raises NotFound."""
    check: Callable[[str], Awaitable[None]] = _any
    """Raises NotFound for one that was deleted, which the stage may still know."""


class Screen:
    """Starts and ends the session's face as its settings say."""

    def __init__(
        self,
        faces: Faces | None,
        session_id: str,
        say: Callable[[ServerEvent], None],
        state: Callable[[], State],
        lead_ms: float,
    ) -> None:
        """`faces`: None where the server has none."""
        self.face: LiveFace | None = None
        self._faces = faces
        self._session_id = session_id
        self._say = say
        self._state = state
        self._lead_ms = lead_ms
        self._tasks: asyncio.TaskGroup | None = None
        self._avatar = ""
        self._showing: asyncio.Task[None] | None = None

    def open(self, tasks: asyncio.TaskGroup) -> None:
        """The session begins, whose `tasks` own the face."""
        self._tasks = tasks

    def check(self, settings: SessionSettings) -> None:
        """Raises InvalidRequest where these ask for a face that the server does not have."""
        if settings.shows_face and self._faces is None:
            raise InvalidRequest(
                'This server has no face: use "output_modalities": ["audio"].', param="session.output_modalities"
            )

    async def check_avatar(self, settings: SessionSettings) -> None:
        """Raises NotFound where these begin to show an avatar that was deleted. One that is seen now may go on."""
        avatar = settings.video.avatar if settings.video is not None else ""
        if settings.shows_face and self._faces is not None and (self.face is None or avatar != self._avatar):
            await self._faces.check(avatar)

    def configure(self, settings: SessionSettings) -> None:
        """Show what these ask for, from now on. A reply that is being spoken keeps its face."""
        self.check(settings)
        avatar = settings.video.avatar if settings.video is not None else ""
        if settings.shows_face and self.face is not None and avatar == self._avatar:
            return
        if self._showing is not None:
            self._showing.cancel()
        self.face = self._showing = None
        if settings.shows_face and self._faces is not None and self._tasks is not None:
            self._avatar = avatar
            client = self._faces.client.open(self._session_id, avatar, self._faces.portrait)
            self.face = LiveFace(client, self._say, lambda: MOODS[self._state()], self._lead_ms, on_trouble=self._tell)
            self._showing = self._tasks.create_task(self.face.run())

    def close(self) -> None:
        """The session is over."""
        if self._showing is not None:
            self._showing.cancel()

    def cut(self) -> None:
        """The reply was cut off."""
        if self.face is not None:
            self.face.cut()

    def request_keyframe(self) -> None:
        """The client has lost the picture: begin the next block with a keyframe."""
        if self.face is not None:
            self.face.refresh()

    def set_bitrate(self, kbps: int) -> None:
        """Draw for so many bits from the next block on."""
        if self.face is not None:
            self.face.set_bitrate(kbps)

    def _tell(self, error: ParleyError) -> None:
        self._say(ErrorEvent.of(error))
