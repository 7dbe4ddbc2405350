"""The Avatar stage as a session sees it: a face that survives the loss of a replica."""

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from deployments.avatar.block_checks import check_block
from deployments.avatar.contract import AvatarPush, AvatarReply, FaceBlock, Mood, Portrait
from deployments.media.timing import PhonemeTime
from deployments.media.video import BLOCK_MS
from deployments.runtime.errors import Conflict, StageError, StageUnavailable, StateLost
from deployments.runtime.ports import PushPort

PortraitSource = Callable[[str], Awaitable[Portrait | None]]
"""Fetches an avatar by its id; None where there is no such avatar."""

USUAL_AHEAD_MS: Final = 80.0
"""What a face is given of the following sound before its engine has said how much it wants."""


class AvatarClient:
    """Opens faces over any port."""

    def __init__(self, port: PushPort[AvatarPush, AvatarReply], deadline_s: float) -> None:
        """`deadline_s` bounds the wait for each reply."""
        self._port = port
        self._deadline_s = deadline_s

    def open(
        self, session_id: str, avatar: str = "", portrait: PortraitSource | None = None, *, first_n: int = 0
    ) -> "FaceClient":
        """Begin a face at block `first_n` of its clock; nothing is sent yet.

        `portrait` is asked for the avatar when a replica does not know it.
        """
        return FaceClient(self._port, session_id, self._deadline_s, avatar, portrait, first_n)


class FaceClient:
    """One session's face. Calls wait for each other, so that one is in flight.

    The clock goes on by a block with each push, whatever becomes of it: a push that was cancelled or has failed has
    used its number up, and the next one begins with a keyframe. So a block that was heard without its picture keeps
    its place, and no reply to other sound can be taken for one.
    """

    def __init__(
        self,
        port: PushPort[AvatarPush, AvatarReply],
        session_id: str,
        deadline_s: float,
        avatar: str,
        portrait: PortraitSource | None,
        first_n: int,
    ) -> None:
        self.bitrate_kbps = 800
        """Of the picture, from the next block on."""
        self._port = port
        self._session_id = session_id
        self._deadline_s = deadline_s
        self._avatar = avatar
        self._portrait = portrait
        self._id = uuid.uuid4().hex
        self._n = first_n
        self._ahead_ms = USUAL_AHEAD_MS
        self._broken = False
        """The receiver does not have the block before the next one."""
        self._sent = False
        self._turn = asyncio.Lock()
        self._closed = False

    @property
    def avatar(self) -> str:
        """Its portrait's id; empty is the engine's default."""
        return self._avatar

    @property
    def n(self) -> int:
        """The number of the next block."""
        return self._n

    @property
    def clock_ms(self) -> float:
        """Where the next block begins."""
        return self._n * BLOCK_MS

    @property
    def ahead_ms(self) -> float:
        """How much of the following sound the engine wants to see with each block."""
        return self._ahead_ms

    async def push(
        self,
        pcm: bytes,
        *,
        ahead: bytes = b"",
        phonemes: tuple[PhonemeTime, ...] | None = None,
        mood: Mood = "idle",
        keyframe: bool = False,
    ) -> AvatarReply:
        """The pictures of the next 200 ms of 24 kHz sound; the arguments are those of `FaceBlock`.

        When its replica is lost, another goes on from the same place, once; so it does when it does not know the
        avatar. Raises InvalidRequest for sound of another length (which uses no number up), StageUnavailable or
        StateLost when the retry has failed too, StageTimeout, EngineFailed, ServerFull, and what `portrait` raises.
        """
        async with self._turn:
            if self._closed:
                raise Conflict("the face is closed")
            demanded = keyframe or self._broken
            block = FaceBlock(self._n, pcm, ahead, phonemes, mood, demanded, self.bitrate_kbps)
            check_block(block)
            self._n += 1
            self._broken = self._sent = True
            reply = await self._exchange(AvatarPush(self._id, block, self._avatar))
            self._broken = False
            self._ahead_ms = reply.ahead_ms
            return reply

    async def close(self) -> None:
        """Let the stage forget it. May be called more than once; a stage that has lost it has nothing to forget."""
        if self._closed:
            return
        self._closed = True
        async with self._turn:
            if self._sent:
                request = AvatarPush(self._id, FaceBlock(self._n, b""), self._avatar, close=True)
                with contextlib.suppress(StageError):
                    await self._port.push(self._session_id, request, deadline_s=self._deadline_s)

    async def _exchange(self, request: AvatarPush) -> AvatarReply:
        """One block and its reply, from another replica where that is needed."""
        try:
            return await self._ask(request)
        except StageUnavailable:
            request = replace(request, block=replace(request.block, keyframe=True))
            return await self._ask(request)

    async def _ask(self, request: AvatarPush) -> AvatarReply:
        """One block and its reply, from a replica that is told about the avatar where that is needed."""
        try:
            return await self._port.push(self._session_id, request, deadline_s=self._deadline_s)
        except StateLost:
            portrait = await self._portrait(self._avatar) if self._portrait and self._avatar else None
            request = replace(request, block=replace(request.block, keyframe=True), portrait=portrait)
            return await self._port.push(self._session_id, request, deadline_s=self._deadline_s)
