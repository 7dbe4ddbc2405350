"""The Avatar stage without Ray: open faces, each moved by numbered pushes."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from deployments.avatar.block_checks import check_block
from deployments.avatar.contract import AvatarEngine, AvatarInfo, AvatarPush, AvatarReply, Face, FaceBlock, Portrait
from deployments.media.video import FRAMES_PER_BLOCK
from deployments.runtime.clock import now_s
from deployments.runtime.errors import (
    EngineFailed,
    InvalidRequest,
    ParleyError,
    ServerFull,
    StageUnavailable,
    StateLost,
)

logger = logging.getLogger(__name__)

UNHEALTHY_AFTER_FAILURES: Final = 5
"""Errors in a row that are the engine's and not ours: a new replica may do better."""
MAX_UNFINISHED: Final = 5
"""Blocks of one face whose callers have all gone: an engine that is a second behind is taken to hang in the first."""
MAX_PREPARED: Final = 256
"""Avatars sent by sessions whose size is remembered."""

Outcome = AvatarReply | ParleyError


class OpenFace:
    """One session's face: what the engine holds for it, and the push that is, or was last, worked on."""

    def __init__(self, session_id: str, request: AvatarPush, after: tuple[asyncio.Task[None], ...]) -> None:
        self.key = (session_id, request.face_id)
        self.avatar = request.avatar
        self.after = after
        """The end of the face whose place it takes."""
        self.info: AvatarInfo | None = None
        self.face: Face | None = None
        self.n = request.block.n - 1
        self.work: asyncio.Task[Outcome] | None = None
        self.unfinished: set[asyncio.Task[Outcome]] = set()
        """More than `work` when the caller of the one before has gone."""
        self.turn = asyncio.Lock()
        """Held by the work of one push at a time."""
        self.used_s = 0.0

    def goes_on_with(self, request: AvatarPush) -> bool:
        """Whether the push is the last one again or a later one, and of the same avatar."""
        later = request.block.n > self.n and len(self.unfinished) < MAX_UNFINISHED
        return request.avatar == self.avatar and (later or request.block.n == self.n)


class AvatarServer:
    """One engine and the faces that are open in it.

    Any push is complete in itself: where the face is not known, or its clock was further, it is opened anew and goes
    on at the push's place. A push is worked on in a task of its own: when its caller is cancelled the work goes on,
    and the same number pushed again gets its reply. What nobody has pushed to for `idle_s` is closed at the next push
    or health check.
    """

    def __init__(
        self,
        engine: AvatarEngine,
        *,
        max_faces: int = 64,
        idle_s: float = 10.0,
        now: Callable[[], float] = now_s,
    ) -> None:
        """`now` gives monotonic seconds."""
        self._engine = engine
        self._max_faces = max_faces
        self._idle_s = idle_s
        self._now = now
        self._running = False
        self._failures = 0
        self._faces: dict[tuple[str, str], OpenFace] = {}
        self._prepared: dict[str, AvatarInfo] = {}
        self._ends: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start the engine. Raises ConfigError."""
        await self._engine.start()
        self._running = True

    @property
    def open_faces(self) -> int:
        """How many are open now."""
        return len(self._faces)

    def check_health(self) -> None:
        """Raises StageUnavailable before the start, after the end, and when the engine fails again and again."""
        if not self._running:
            raise StageUnavailable("the talking head is not running")
        if self._failures >= UNHEALTHY_AFTER_FAILURES:
            raise StageUnavailable(f"the talking head failed {self._failures} times in a row")
        self._forget_idle()

    async def close(self) -> None:
        """Close every face, then the engine. May be called more than once."""
        self._running = False
        for face in list(self._faces.values()):
            self._forget(face)
        if self._ends:
            await asyncio.wait(self._ends)
        await self._engine.close()

    async def push(self, session_id: str, request: AvatarPush) -> AvatarReply:
        """The block's sound with its pictures, or the end of the face.

        Raises StateLost for an avatar that is not known here (send its portrait), InvalidRequest, ServerFull, and
        EngineFailed with the engine's own error as its cause. An engine's error closes the face.
        """
        if not self._running:
            raise StageUnavailable("the talking head is not running")
        self._forget_idle()
        face = self._faces.get((session_id, request.face_id))
        if request.close:
            if face is not None:
                self._forget(face)
            return AvatarReply(request.block.n, b"", ())
        _check(request)
        if face is None or not face.goes_on_with(request):
            face = self._admit(session_id, request)
        return await self._reply(face, request)

    async def _reply(self, face: OpenFace, request: AvatarPush) -> AvatarReply:
        """The reply to a push of a face that is open."""
        face.used_s = self._now()
        if request.block.n != face.n or face.work is None:
            block = request.block if request.block.n == face.n + 1 else replace(request.block, keyframe=True)
            face.n = block.n
            face.work = asyncio.create_task(self._work(face, block, request.portrait))
            face.unfinished.add(face.work)
            face.work.add_done_callback(face.unfinished.discard)
        work = face.work
        await asyncio.wait([work])  # unlike awaiting the task, does not cancel it with the caller
        if work.cancelled():
            raise StateLost(f"face {request.face_id} was closed; push again to open it anew")
        outcome = work.result()
        if isinstance(outcome, ParleyError):
            raise outcome
        return outcome

    def _admit(self, session_id: str, request: AvatarPush) -> OpenFace:
        """Begin a face; the session's one before it is over."""
        after = tuple(self._forget(other) for other in list(self._faces.values()) if other.key[0] == session_id)
        if len(self._faces) >= self._max_faces:
            raise ServerFull(f"{self._max_faces} faces are shown; try again later")
        face = OpenFace(session_id, request, after)
        self._faces[face.key] = face
        return face

    async def _work(self, face: OpenFace, block: FaceBlock, portrait: Portrait | None) -> Outcome:
        """What a push leads to. An error is returned, since nobody may be waiting for it any more."""
        async with face.turn:
            try:
                if portrait is not None:
                    await self._prepare(portrait)
                reply = await self._render(face, block)
            except ParleyError as error:
                self._forget(face)
                return error
            except Exception as cause:
                self._failures += 1
                self._forget(face)
                failed = EngineFailed(f"the talking head failed: {type(cause).__name__}: {cause}")
                failed.__cause__ = cause
                return failed
            self._failures = 0
            return reply

    async def _prepare(self, portrait: Portrait) -> None:
        self._prepared.pop(portrait.id, None)
        self._prepared[portrait.id] = await self._engine.prepare(portrait)
        while len(self._prepared) > MAX_PREPARED:
            del self._prepared[next(iter(self._prepared))]

    async def _render(self, face: OpenFace, block: FaceBlock) -> AvatarReply:
        if face.face is None or face.info is None:
            if face.after:
                await asyncio.wait(face.after)
            face.info = self._info(face.avatar)
            face.face = self._engine.open(face.info.id, seed=face.key[0])
            block = replace(block, keyframe=True)
        frames = await face.face.render(block)
        if len(frames) != FRAMES_PER_BLOCK:
            raise RuntimeError(f"{len(frames)} frames for a block instead of {FRAMES_PER_BLOCK}")
        return AvatarReply(block.n, block.pcm, frames, face.info.width, face.info.height, self._engine.ahead_ms)

    def _info(self, avatar: str) -> AvatarInfo:
        """The avatar as it will be shown; empty is the engine's default. Raises StateLost."""
        if avatar in self._prepared:
            return self._prepared[avatar]
        for info in self._engine.avatars:
            if avatar in ("", info.id):
                return info
        raise StateLost(f"avatar {avatar!r} is not known here; send its portrait")

    def _forget_idle(self) -> None:
        now = self._now()
        for face in list(self._faces.values()):
            if now - face.used_s > self._idle_s:
                self._forget(face)

    def _forget(self, face: OpenFace) -> asyncio.Task[None]:
        """Let a face go at once; what it holds is freed by the task that is returned."""
        if self._faces.get(face.key) is face:
            del self._faces[face.key]
        end = asyncio.create_task(self._end(face))
        self._ends.add(end)
        end.add_done_callback(self._ends.discard)
        return end

    async def _end(self, face: OpenFace) -> None:
        """Stop the work in progress and close the face. Its failure concerns nobody but the operator."""
        for work in face.unfinished:
            work.cancel()
        if face.unfinished:
            await asyncio.wait(face.unfinished)
        if face.face is not None:
            try:
                await face.face.close()
            except Exception:
                logger.exception("closing a face failed")


def _check(request: AvatarPush) -> None:
    check_block(request.block)
    if request.portrait is not None and request.portrait.id != request.avatar:
        raise InvalidRequest(
            f"the portrait is of {request.portrait.id!r}, the face of {request.avatar!r}", param="portrait"
        )
