"""Avatars of both kinds: those that the Avatar stage has of its own, and those that people uploaded."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
import orjson

from deployments.avatar.client import AvatarClient
from deployments.avatar.contract import BLOCK_SAMPLES, AvatarInfo, AvatarReply, Portrait
from deployments.media.audio import BYTES_PER_SAMPLE
from deployments.media.video import VideoFrame
from deployments.runtime.clock import wall_s
from deployments.runtime.errors import EngineFailed, Forbidden
from serve_app.gateway.picture import jpeg, normalised
from serve_app.session.ids import new_id
from serve_app.store.avatars import AvatarRecord, Avatars

StageAvatars = Callable[[], Awaitable[tuple[AvatarInfo, ...]]]
"""What the stage can show without being sent a portrait."""

UPLOADED = "av_"
"""Ids of uploaded avatars begin so."""


@dataclass(frozen=True, slots=True)
class NewAvatar:
    """What is uploaded."""

    picture: bytes
    name: str
    description: dict[str, Any]
    """Where the parts of the face are; empty: the engine is to find them."""


class AvatarDesk:
    """Takes avatars in, looks them up and gives them away."""

    def __init__(self, kept: Avatars, client: AvatarClient, of_stage: StageAvatars, max_avatars: int) -> None:
        self._kept = kept
        self._client = client
        self._of_stage = of_stage
        self._max_avatars = max_avatars
        self._previews: dict[str, bytes] = {}
        """Of the stage's own."""

    async def portrait(self, avatar: str) -> Portrait | None:
        """What a stage that does not know an avatar is sent. Raises NotFound."""
        picture, description = await self._kept.picture(avatar)
        return _portrait(avatar, picture, description)

    async def check(self, avatar: str) -> None:
        """Raises NotFound for one that was uploaded and is not there any more, which the stage may still know."""
        if avatar.startswith(UPLOADED):
            await self._kept.get(avatar)

    async def add(self, new: NewAvatar) -> tuple[AvatarRecord, bytes]:
        """Keep an avatar that the stage can show; it and its preview, a JPEG.

        Raises InvalidRequest with the stage's reason, TooLarge, and what `FaceClient.push` raises: nothing is kept
        then.
        """
        picture = await asyncio.to_thread(normalised, new.picture, keep_size=bool(new.description))
        portrait = _portrait(new_id("av"), picture, new.description)
        shown = await self._first_block(portrait.id, portrait)
        preview = await asyncio.to_thread(_preview, shown.frames)
        record = AvatarRecord(portrait.id, new.name, new.description, shown.width, shown.height, int(wall_s() * 1000))
        await self._kept.add(record, picture, preview, self._max_avatars)
        return record, preview

    async def list(self) -> tuple[tuple[AvatarInfo, ...], tuple[AvatarRecord, ...]]:
        """The stage's own, the default first, and the uploaded ones, the newest first."""
        return await self._owned(), await self._kept.list()

    async def get(self, avatar: str) -> AvatarInfo | AvatarRecord:
        """One of them. Raises NotFound."""
        own = await self._own(avatar)
        return own if own is not None else await self._kept.get(avatar)

    async def preview(self, avatar: str) -> bytes:
        """A JPEG. Raises NotFound."""
        if await self._own(avatar) is None:
            return await self._kept.preview(avatar)
        if avatar not in self._previews:
            shown = await self._first_block(avatar, None)
            self._previews[avatar] = await asyncio.to_thread(_preview, shown.frames)
        return self._previews[avatar]

    async def delete(self, avatar: str) -> None:
        """Forget an uploaded one. Who sees it at the moment goes on seeing it. Raises NotFound, Forbidden."""
        if await self._own(avatar) is not None:
            raise Forbidden(f"'{avatar[:64]}' belongs to the server and cannot be deleted.", param="avatar")
        await self._kept.delete(avatar)

    async def _own(self, avatar: str) -> AvatarInfo | None:
        if avatar.startswith(UPLOADED):
            return None
        return next((info for info in await self._owned() if info.id == avatar), None)

    async def _owned(self) -> tuple[AvatarInfo, ...]:
        # An engine may count those it was sent among its own.
        return tuple(info for info in await self._of_stage() if not info.id.startswith(UPLOADED))

    async def _first_block(self, avatar: str, portrait: Portrait | None) -> AvatarReply:
        """The first pictures of a face at rest: made by the code that will show it, so what it refuses is refused."""

        async def given(_: str) -> Portrait | None:
            return portrait

        face = self._client.open(new_id("sess"), avatar, given)
        try:
            return await face.push(bytes(BYTES_PER_SAMPLE * BLOCK_SAMPLES), phonemes=(), keyframe=True)
        finally:
            await face.close()


def _portrait(avatar: str, picture: bytes, description: dict[str, Any]) -> Portrait:
    return Portrait(avatar, picture, orjson.dumps(description) if description else b"")


def _preview(frames: tuple[VideoFrame, ...]) -> bytes:
    """The first frame as a JPEG. Blocks. Raises EngineFailed where it is no picture."""
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    try:
        pictures = [*decoder.decode(av.Packet(frames[0].data)), *decoder.decode(None)]
        return jpeg(np.asarray(pictures[0].to_ndarray(format="bgr24"), np.uint8))
    except (av.error.FFmpegError, IndexError) as error:
        raise EngineFailed("the talking head's first picture cannot be decoded") from error
