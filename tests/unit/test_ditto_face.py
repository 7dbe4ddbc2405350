import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from deployments.avatar.contract import BLOCK_SAMPLES, FaceBlock
from deployments.avatar.ditto.batcher import Batcher
from deployments.avatar.ditto.checkout import Components
from deployments.avatar.ditto.face import DittoFace
from deployments.avatar.ditto.identity import Identity
from deployments.avatar.ditto.law import Law
from deployments.avatar.ditto.putback import Pictures
from deployments.avatar.ditto.session import FaceSession, SessionParts
from deployments.avatar.ditto.stage import Job
from deployments.avatar.encoder import H264Encoder
from deployments.media.video import VideoFrame
from deployments.runtime.errors import EngineFailed, StageUnavailable
from deployments.runtime.worker import Worker
from tests.video_decoding import decoded

PCM = bytes(2 * BLOCK_SAMPLES)
SIDE = 96


class GreyStage:
    """In the place of the networks: each frame as bright as its number."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.begun = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def step(self, jobs: Sequence[Job]) -> Sequence[Pictures | BaseException]:
        self.begun.set()
        assert self.gate.wait(10)
        self.seen += [job.block.n for job in jobs]
        return [
            EngineFailed("no memory") if job.block.n == 13 else [_grey(5 * job.block.n + place) for place in range(5)]
            for job in jobs
        ]


def _grey(frame: int) -> Any:
    return np.full((SIDE, SIDE, 3), 40 + 10 * (frame % 20), np.uint8)


def with_face(stage: GreyStage, use: Callable[[DittoFace], Coroutine[Any, Any, None]]) -> None:
    identity = Identity(_grey(0), {}, *(np.zeros((1, 1), np.float32) for _ in range(4)))
    parts = SessionParts(Components(None, None, None), {}, {}, Law(75), np.zeros((5, 1024), np.float32))

    async def main() -> None:
        worker = Worker("grey")
        batcher: Batcher[Job, Pictures] = Batcher(stage.step, worker, 4, 0.0, 8)
        with ThreadPoolExecutor(1) as encoding:
            face = DittoFace(FaceSession(parts, identity), batcher, H264Encoder(SIDE, SIDE, "libx264"), encoding)
            await use(face)
            await face.close()
            await face.close()
            with pytest.raises(StageUnavailable):
                await face.render(FaceBlock(99, PCM))
            await batcher.close()
            await worker.close()

    asyncio.run(main())


def brightness(frames: tuple[VideoFrame, ...]) -> list[int]:
    return [round(float(picture.mean()) / 10) * 10 for picture in decoded(frames)]


def test_a_block_comes_back_as_five_frames() -> None:
    async def use(face: DittoFace) -> None:
        frames = await face.render(FaceBlock(0, PCM)) + await face.render(FaceBlock(1, PCM))
        assert [frame.keyframe for frame in frames] == [True] + [False] * 9
        assert brightness(frames) == [40 + 10 * place for place in range(10)]

    with_face(GreyStage(), use)


def test_a_keyframe_that_is_asked_for_comes_first() -> None:
    async def use(face: DittoFace) -> None:
        await face.render(FaceBlock(0, PCM))
        frames = await face.render(FaceBlock(1, PCM, keyframe=True))
        assert [frame.keyframe for frame in frames] == [True, False, False, False, False]
        assert brightness(frames) == [90, 100, 110, 120, 130]

    with_face(GreyStage(), use)


def test_a_cancelled_block_is_heard_and_the_next_waits_for_it() -> None:
    stage = GreyStage()

    async def use(face: DittoFace) -> None:
        stage.gate.clear()
        cancelled = asyncio.create_task(face.render(FaceBlock(0, PCM)))
        assert await asyncio.to_thread(stage.begun.wait, 10)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        following = asyncio.create_task(face.render(FaceBlock(1, PCM, keyframe=True)))
        await asyncio.sleep(0)
        assert stage.seen == []
        stage.gate.set()
        assert brightness(await following) == [90, 100, 110, 120, 130]
        assert cancelled.cancelled()

    with_face(stage, use)
    assert stage.seen == [0, 1]


def test_a_failed_block_says_so_and_the_next_goes_on() -> None:
    async def use(face: DittoFace) -> None:
        with pytest.raises(EngineFailed, match="no memory"):
            await face.render(FaceBlock(13, PCM))
        assert len(await face.render(FaceBlock(14, PCM))) == 5

    with_face(GreyStage(), use)
