"""One session's face towards the stage: its blocks go to the device one by one, its pictures to its encoder."""

import asyncio
import functools
import logging
from concurrent.futures import Executor

from deployments.avatar.contract import FaceBlock
from deployments.avatar.ditto.batcher import Batcher
from deployments.avatar.ditto.putback import Pictures
from deployments.avatar.ditto.session import FaceSession
from deployments.avatar.ditto.stage import Job
from deployments.avatar.ditto.video import encoded
from deployments.avatar.encoder import H264Encoder
from deployments.media.video import VideoFrame
from deployments.runtime.errors import ParleyError, StageUnavailable

logger = logging.getLogger(__name__)


class DittoFace:
    """A `Face`."""

    def __init__(
        self, session: FaceSession, batcher: Batcher[Job, Pictures], encoder: H264Encoder, encoding: Executor
    ) -> None:
        self._session = session
        self._batcher = batcher
        self._encoder = encoder
        self._encoding = encoding
        self._running: asyncio.Future[Pictures] | None = None
        self._packing: asyncio.Future[tuple[VideoFrame, ...]] | None = None
        self._closed = False

    async def render(self, block: FaceBlock) -> tuple[VideoFrame, ...]:
        """Cancelled, the block is still rendered, so that the face has heard it; its pictures are dropped."""
        if self._closed:
            raise StageUnavailable("the face is closed")
        await self._settled()
        self._running = asyncio.ensure_future(self._batcher.submit(Job(self._session, block)))
        self._running.add_done_callback(_note_error)
        pictures = await asyncio.shield(self._running)
        encode = functools.partial(encoded, self._encoder, pictures, block.keyframe, block.bitrate_kbps)
        self._packing = asyncio.get_running_loop().run_in_executor(self._encoding, encode)
        self._packing.add_done_callback(_note_error)
        return await asyncio.shield(self._packing)

    async def _settled(self) -> None:
        """What a cancelled call left running has ended: one thread at a time uses the session and its encoder."""
        for left in (self._running, self._packing):
            if left is not None and not left.done():
                await asyncio.wait([left])

    async def close(self) -> None:
        """Free it. May be called more than once."""
        self._closed = True
        await self._settled()
        self._encoder.close()


def _note_error(done: "asyncio.Future[Pictures] | asyncio.Future[tuple[VideoFrame, ...]]") -> None:
    """A call that was cancelled does not see how its block ended."""
    if not done.cancelled() and (error := done.exception()) is not None:
        level = logging.DEBUG if isinstance(error, ParleyError) else logging.ERROR
        logger.log(level, "A face's block failed: %s", error)
