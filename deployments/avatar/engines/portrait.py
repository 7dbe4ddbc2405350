"""A portrait that moves, without weights and on one processor: a picture, warped where it speaks, blinks and breathes.

It costs a tenth of a core for a session at 384 × 580 (`benchmarks/avatar_cost.py`). One portrait ships with it, drawn
by code; anyone's picture becomes one when its face is found, or described.
"""

import asyncio
import functools
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal, Protocol

import cv2
from pydantic import BaseModel, ConfigDict, Field

from deployments.avatar.anchors import found_anchors
from deployments.avatar.contract import MAX_SIDE_PX, AvatarInfo, FaceBlock, Portrait
from deployments.avatar.description import AvatarDescription
from deployments.avatar.drawing.portrait import DEFAULT_HEIGHT_PX, DEFAULT_WIDTH_PX, MIN_SIDE_PX, drawn_portrait
from deployments.avatar.encoder import Encoder, H264Encoder, check
from deployments.avatar.lipsync import LOOK_AHEAD_MS, LipSync
from deployments.avatar.mouth import MouthPose
from deployments.avatar.picture import Picture, decoded, fitted
from deployments.avatar.portrait_model import Performer, PortraitModel, even
from deployments.media.timing import PhonemeTime
from deployments.media.video import FRAMES_PER_BLOCK, VideoFrame
from deployments.runtime.errors import InvalidRequest, StageUnavailable, StateLost
from deployments.runtime.worker import Worker

DRAWN = "parley"
"""Id of the portrait that ships with the project."""
_SHADE_NICENESS = 10
"""Of the thread that draws it: on Linux, niceness is a thread's."""


class Mouth(Protocol):
    """What moves the mouth: `LipSync`, or a script in a test."""

    def block(self, pcm: bytes, ahead: bytes, phonemes: tuple[PhonemeTime, ...] | None) -> tuple[MouthPose, ...]:
        """The mouth at each of the block's frames."""
        ...


class Config(BaseModel):
    """How large the drawn portrait is, and what encodes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width_px: int = Field(default=DEFAULT_WIDTH_PX, ge=MIN_SIDE_PX, le=MAX_SIDE_PX)
    """Of the portrait that ships; odd sizes grow by one pixel."""
    height_px: int = Field(default=DEFAULT_HEIGHT_PX, ge=MIN_SIDE_PX, le=MAX_SIDE_PX)
    fps: Literal[25] = 25
    encoder: Encoder = "auto"
    """auto: NVENC where it works, else libx264."""
    threads: int = Field(default=2, ge=1, le=64)
    """That draw and encode; a face stays with one. Each can show 10 faces in real time."""
    max_side_px: int = Field(default=MAX_SIDE_PX, ge=MIN_SIDE_PX, le=MAX_SIDE_PX)
    """Pictures that are sent are made smaller where they are larger."""
    max_portraits: int = Field(default=32, ge=1)
    """Kept ready beside the one that ships, 8 MB each for 384 × 579: the one not opened for longest goes first."""


class Engine:
    """An AvatarEngine. Faces of one portrait share what was worked out for it."""

    def __init__(self, config: Config, mouth: Callable[[], Mouth] = LipSync) -> None:
        self._config = config
        self._mouth = mouth
        self._drawn: asyncio.Task[PortraitModel] | None = None
        self._portraits: OrderedDict[str, PortraitModel] = OrderedDict()
        self._workers = [Worker(f"portrait-{index}", max_waiting=256) for index in range(config.threads)]
        self._faces: dict[PortraitFace, Worker] = {}
        self._closed = False

    async def start(self) -> None:
        """Try the encoder, and begin to draw the portrait: 2.4 s of CPU, in the shade of what else starts.

        A face that is opened before it is drawn waits for it with its first block.
        """
        # One thread a face; OpenCV's own would only get in the way of each other.
        cv2.setNumThreads(1)
        await self._workers[0].run(functools.partial(check, self._config.encoder))
        self._drawn = asyncio.create_task(self._draw())

    async def _draw(self) -> PortraitModel:
        artist = Worker("portrait-artist")
        try:
            return await artist.run(functools.partial(_drawn_in_shade, self._config.width_px, self._config.height_px))
        finally:
            await artist.close()

    @property
    def avatars(self) -> tuple[AvatarInfo, ...]:
        """The drawn one."""
        if self._drawn is None:
            return ()
        return (AvatarInfo(DRAWN, *self._drawn_size, "Drawn by Parley's own code"),)

    @property
    def _drawn_size(self) -> tuple[int, int]:
        return even(self._config.width_px), even(self._config.height_px)

    @property
    def ahead_ms(self) -> float:
        return LOOK_AHEAD_MS

    async def prepare(self, portrait: Portrait) -> AvatarInfo:
        """Decode the picture, find its face where it is not described, and work its shapes out: 0.7 s of CPU."""
        self._check_open()
        if portrait.id in ("", DRAWN):
            raise InvalidRequest(f"{portrait.id!r} cannot be the id of a portrait that is sent", param="id")
        # The thread with the fewest faces: what waits behind this are their next blocks.
        model = await self._idlest().run(functools.partial(_model, portrait, self._config.max_side_px))
        self._portraits[portrait.id] = model
        self._portraits.move_to_end(portrait.id)
        while len(self._portraits) > self._config.max_portraits:
            self._portraits.popitem(last=False)
        return _info(portrait.id, model)

    def open(self, avatar: str, seed: str = "") -> "PortraitFace":
        """A face of a portrait; empty takes the drawn one. Its movements hang on id, seed and clock alone."""
        self._check_open()
        model: PortraitModel | asyncio.Task[PortraitModel] | None
        model = self._drawn if avatar in ("", DRAWN) else self._portraits.get(avatar)
        if model is None:
            raise StateLost(f"the portrait {avatar!r} must be sent", code="unknown_avatar", param="avatar")
        if avatar in self._portraits:
            self._portraits.move_to_end(avatar)
        worker = self._idlest()
        face = PortraitFace(model, (avatar or DRAWN) + seed, self._mouth(), self._config.encoder, worker, self._forget)
        self._faces[face] = worker
        return face

    async def close(self) -> None:
        """Close the faces and join the threads. May be called more than once."""
        self._closed = True
        for face in list(self._faces):
            await face.close()
        if self._drawn is not None:
            await asyncio.wait([self._drawn])
        await asyncio.gather(*(worker.close() for worker in self._workers))
        self._portraits.clear()

    def _check_open(self) -> None:
        if self._closed or self._drawn is None:
            raise StageUnavailable(
                "the avatar engine is closed" if self._closed else "the avatar engine is not started"
            )

    def _idlest(self) -> Worker:
        taken = list(self._faces.values())
        return min(self._workers, key=taken.count)

    def _forget(self, face: "PortraitFace") -> None:
        self._faces.pop(face, None)


class PortraitFace:
    """One session's face. Blocks are drawn and encoded in its thread, one after the other."""

    def __init__(
        self,
        model: PortraitModel | asyncio.Task[PortraitModel],
        seed: str,
        mouth: Mouth,
        encoder: Encoder,
        worker: Worker,
        on_close: Callable[["PortraitFace"], None],
    ) -> None:
        """`model` may still be worked out."""
        self._model = model
        self._seed = seed
        self._performer: Performer | None = None
        self._mouth = mouth
        self._encoder_name: Encoder = encoder
        self._encoder: H264Encoder | None = None
        self._worker = worker
        self._on_close = on_close
        self._torn = False
        """A block that was begun did not arrive: what follows cannot be decoded without it."""
        self._closed = False

    async def render(self, block: FaceBlock) -> tuple[VideoFrame, ...]:
        """The block's five frames. After a cancelled call the next one begins with a keyframe."""
        if self._closed:
            raise StageUnavailable("the face is closed")
        keyframe = block.keyframe or self._torn
        self._torn = True
        # Shielded: other faces wait for the same drawing.
        model = self._model if isinstance(self._model, PortraitModel) else await asyncio.shield(self._model)
        frames = await self._worker.run(functools.partial(self._render, model, block, keyframe))
        self._torn = False
        return frames

    async def close(self) -> None:
        """Free the encoder, once the block that is being drawn is done. May be called more than once."""
        if self._closed:
            return
        self._closed = True
        self._on_close(self)
        try:
            await self._worker.run(self._free)
        except StageUnavailable:  # the engine is closed: its thread no longer runs
            self._free()

    def _render(self, model: PortraitModel, block: FaceBlock, keyframe: bool) -> tuple[VideoFrame, ...]:
        """In the face's thread."""
        if self._performer is None or self._encoder is None:
            self._performer = Performer(model, self._seed)
            self._encoder = H264Encoder(model.width_px, model.height_px, self._encoder_name, block.bitrate_kbps)
        poses = self._mouth.block(block.pcm, block.ahead, block.phonemes)
        frames = []
        for index, pose in enumerate(poses):
            picture = self._performer.frame(FRAMES_PER_BLOCK * block.n + index, pose, block.mood)
            frames.append(self._encoder.encode(picture, keyframe and index == 0, block.bitrate_kbps))
        return tuple(frames)

    def _free(self) -> None:
        if self._encoder is not None:
            self._encoder.close()
            self._encoder = None


def _drawn_in_shade(width_px: int, height_px: int) -> PortraitModel:
    """In a thread of its own, which gives way to the rest of the start."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _SHADE_NICENESS)
    return _drawn_model(width_px, height_px)


@functools.lru_cache(maxsize=2)
def _drawn_model(width_px: int, height_px: int) -> PortraitModel:
    """The one that ships, warmed up."""
    model = PortraitModel(*drawn_portrait(width_px, height_px))
    Performer(model, DRAWN).frame(0, MouthPose(jaw=0.5), "speaking")
    return model


def _model(portrait: Portrait, max_side_px: int) -> PortraitModel:
    """Blocks. Raises InvalidRequest."""
    picture, description = described(portrait)
    small, factor = fitted(picture, max_side_px)
    if factor < 1:
        description = description.scaled(factor, small.shape[1], small.shape[0])
    return PortraitModel(small, description)


def described(portrait: Portrait) -> tuple[Picture, AvatarDescription]:
    """The decoded picture, and its description: the one that came with it, or what is found. Raises InvalidRequest."""
    picture = decoded(portrait.picture)
    if not portrait.description:
        return picture, found_anchors(picture)
    description = AvatarDescription.from_json(portrait.description)
    height, width = picture.shape[:2]
    if (description.width_px, description.height_px) != (width, height):
        raise InvalidRequest(
            f"the description is of a picture of {description.width_px}×{description.height_px} px, but this one has "
            f"{width}×{height}",
            param="description",
        )
    return picture, description


def _info(avatar: str, model: PortraitModel, description: str = "") -> AvatarInfo:
    return AvatarInfo(avatar, model.width_px, model.height_px, description)
