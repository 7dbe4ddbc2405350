"""A face for tests and benchmarks: a test pattern that says which frame it is, as H.264, at once or as slow as asked.

It waits on the event loop's clock only, so it runs on a virtual one. Drawing and encoding run on the event loop: at
160 × 128 pixels they cost less than handing them to a thread.
"""

import asyncio
from fractions import Fraction
from typing import Literal

import av
import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from deployments.avatar.contract import AvatarInfo, FaceBlock, Portrait
from deployments.avatar.test_pattern import MIN_SIDE_PX, Picture, draw, openness_of
from deployments.media.audio import to_float
from deployments.media.video import FRAME_RATE_HZ, FRAMES_PER_BLOCK, VideoFrame
from deployments.runtime.errors import Conflict, InvalidRequest, StateLost

KEYFRAME_EVERY = 2 * FRAME_RATE_HZ
"""Frames."""


class Config(BaseModel):
    """What it shows, how fast it is and what goes wrong."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width_px: int = Field(default=160, ge=MIN_SIDE_PX, le=1024, multiple_of=2)
    height_px: int = Field(default=128, ge=MIN_SIDE_PX, le=1024, multiple_of=2)
    avatars: tuple[str, ...] = Field(default=("pattern",), min_length=1)
    ahead_ms: float = Field(default=80, ge=0, le=1000)
    render_ms: float = Field(default=0, ge=0)
    """Wait before each block is given."""
    first_render_ms: float = Field(default=0, ge=0)
    """Wait before the first block of a face, besides."""
    fail_at: Literal["open", "render"] | None = None
    """Raise RuntimeError there."""
    failing_avatar: str | None = None
    """The only one that `fail_at` concerns; None: every one."""
    fail_at_block: int = Field(default=0, ge=0)
    """With `fail_at: render`: the first block, counted from 0 in each face, that fails."""
    hang_at_block: int | None = Field(default=None, ge=0)
    """Wait for ever instead of giving this block, counted from 0 in each face."""
    frames: int = Field(default=FRAMES_PER_BLOCK, ge=0, le=FRAMES_PER_BLOCK)
    """Of a block. Fewer than a block has are a failure for the server to find."""


class Engine:
    """Shows each frame's number and level. A portrait is looked at and its id remembered; the picture is the same."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._avatars = {name: self._info(name) for name in config.avatars}
        self.faces: list[FakeFace] = []
        """Those open now: a test sees here that one was closed."""

    async def start(self) -> None:
        pass

    @property
    def avatars(self) -> tuple[AvatarInfo, ...]:
        return tuple(self._avatars.values())

    @property
    def ahead_ms(self) -> float:
        return self._config.ahead_ms

    async def prepare(self, portrait: Portrait) -> AvatarInfo:
        """Take any picture that can be read."""
        _check_picture(portrait.picture)
        self._avatars[portrait.id] = self._info(portrait.id)
        return self._avatars[portrait.id]

    def open(self, avatar: str, seed: str = "") -> "FakeFace":
        if self._fails(avatar) and self._config.fail_at == "open":
            raise RuntimeError("scripted failure of open")
        if avatar not in self._avatars:
            raise StateLost(f"the fake has no avatar {avatar!r}")
        config = self._config if self._fails(avatar) else self._config.model_copy(update={"fail_at": None})
        face = FakeFace(self, config)
        self.faces.append(face)
        return face

    async def close(self) -> None:
        for face in list(self.faces):
            await face.close()

    def _fails(self, avatar: str) -> bool:
        return self._config.failing_avatar in (None, avatar)

    def _info(self, name: str) -> AvatarInfo:
        return AvatarInfo(name, self._config.width_px, self._config.height_px, "A test pattern")


class FakeFace:
    """One session's pattern. Frame k of block n shows the number 5 n + k."""

    def __init__(self, engine: Engine, config: Config) -> None:
        self._engine = engine
        self._config = config
        self._encoder = _Encoder(config.width_px, config.height_px)
        self._given = 0
        self._closed = False
        self.moods: list[str] = []
        """Of the blocks so far."""

    async def render(self, block: FaceBlock) -> tuple[VideoFrame, ...]:
        if self._closed:
            raise Conflict("the face is closed")
        index = self._given
        self._given += 1
        self.moods.append(block.mood)
        await self._before(index)
        frames = []
        samples = to_float(block.pcm).reshape(FRAMES_PER_BLOCK, -1)
        for k in range(self._config.frames):
            number = FRAMES_PER_BLOCK * block.n + k
            picture = draw(number, openness_of(samples[k]), self._config.width_px, self._config.height_px)
            frames.append(self._encoder.encode(picture, keyframe=block.keyframe and k == 0))
        return tuple(frames)

    async def close(self) -> None:
        self._closed = True
        if self in self._engine.faces:
            self._engine.faces.remove(self)

    async def _before(self, index: int) -> None:
        if self._config.fail_at == "render" and index >= self._config.fail_at_block:
            raise RuntimeError("scripted failure of render")
        if index == self._config.hang_at_block:
            await asyncio.Event().wait()
        await asyncio.sleep((self._config.render_ms + (0 if index else self._config.first_render_ms)) / 1000)


def _check_picture(encoded: bytes) -> None:
    refused = InvalidRequest("the picture is neither a PNG nor a JPEG that can be read", param="picture")
    if not encoded:
        raise refused
    try:
        picture = cv2.imdecode(np.frombuffer(encoded, dtype=np.uint8), cv2.IMREAD_GRAYSCALE)
    except cv2.error as error:  # of its size, which it reads before the pixels
        raise refused from error
    if picture is None:
        raise refused


class _Encoder:
    """Grey pictures to H.264, one in, one out."""

    def __init__(self, width_px: int, height_px: int) -> None:
        self._context = av.CodecContext.create("libx264", "w")
        assert isinstance(self._context, av.VideoCodecContext)
        self._context.width, self._context.height = width_px, height_px
        self._context.pix_fmt = "yuv420p"
        self._context.time_base = Fraction(1, FRAME_RATE_HZ)
        self._context.framerate = Fraction(FRAME_RATE_HZ)
        self._context.gop_size = KEYFRAME_EVERY
        self._context.max_b_frames = 0
        self._context.thread_count = 1
        # The decoder of a browser takes constrained baseline everywhere.
        self._context.options = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline", "forced-idr": "1"}
        self._colourless = np.full((height_px // 2, width_px), 128, np.uint8)
        self._frames = 0

    def encode(self, picture: Picture, *, keyframe: bool) -> VideoFrame:
        # Swscale would take twice as long as x264 to add the colours that are not there.
        frame = av.VideoFrame.from_ndarray(np.concatenate([picture, self._colourless]), format="yuv420p")
        frame.pts = self._frames
        frame.time_base = Fraction(1, FRAME_RATE_HZ)
        frame.pict_type = av.video.frame.PictureType.I if keyframe else av.video.frame.PictureType.NONE
        self._frames += 1
        (packet,) = self._context.encode(frame)
        return VideoFrame(bytes(packet), packet.is_keyframe)
