"""The engine `portrait`: faces in step with their blocks, whatever happens around them."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import numpy as np
import pytest

from deployments.avatar.contract import FaceBlock, Mood, Portrait
from deployments.avatar.engines.portrait import DRAWN, Config, Engine
from deployments.avatar.mouth import MouthPose
from deployments.media.video import VideoFrame
from deployments.runtime.errors import InvalidRequest, StageUnavailable, StateLost
from tests.portraits import SILENT_BLOCK, ScriptedMouth, block, drawn, jpeg, noise_picture, png, small_drawn
from tests.video_decoding import decoded

SMALL = Config(width_px=160, height_px=241, encoder="libx264")
"""Drawn quickly."""


def with_engine(use: Callable[[Engine], Awaitable[None]], config: Config = SMALL) -> None:
    async def run() -> None:
        async with started(config) as engine:
            await use(engine)

    asyncio.run(run())


@asynccontextmanager
async def started(config: Config = SMALL) -> AsyncGenerator[Engine, None]:
    engine = Engine(config, ScriptedMouth)
    try:
        await engine.start()
        yield engine
    finally:
        await engine.close()


async def rendered(engine: Engine, blocks: list[FaceBlock], avatar: str = "") -> list[VideoFrame]:
    face = engine.open(avatar)
    frames = [frame for block in blocks for frame in await face.render(block)]
    await face.close()
    return frames


def test_a_block_gives_five_frames_of_the_announced_size() -> None:
    async def use(engine: Engine) -> None:
        (info,) = engine.avatars
        assert (info.id, info.width, info.height) == (DRAWN, 160, 242)
        frames = await rendered(engine, [block(n) for n in range(4)])
        shown = decoded(frames)
        assert len(shown) == 20
        assert {picture.shape for picture in shown} == {(242, 160, 3)}
        assert [n for n, frame in enumerate(frames) if frame.keyframe] == [0]

    with_engine(use)


def test_the_same_blocks_give_the_same_bytes() -> None:
    async def use(engine: Engine) -> None:
        blocks = [block(n, "thinking" if n < 3 else "speaking") for n in range(6)]
        one, other, another = await asyncio.gather(*(rendered(engine, blocks) for _ in range(3)))
        assert one == other == another

    with_engine(use)


def test_a_lost_picture_brings_a_keyframe_in_the_next_block() -> None:
    async def use(engine: Engine) -> None:
        frames = await rendered(engine, [block(0), block(1), block(2, keyframe=True), block(3)])
        assert [n for n, frame in enumerate(frames) if frame.keyframe] == [0, 10]

    with_engine(use)


def test_another_replica_goes_on_from_the_clock() -> None:
    """The head is where it would have been; only the mouth begins anew."""

    async def use(engine: Engine) -> None:
        blocks = [FaceBlock(n, SILENT_BLOCK, mood="listening", bitrate_kbps=4000) for n in range(15)]
        before = decoded(await rendered(engine, blocks))
        async with started() as elsewhere:
            after = decoded(await rendered(elsewhere, blocks[10:]))
        assert len(after) == 25
        for one, other in zip(before[50:], after, strict=True):
            # Above the mouth: eyes, brows, hair.
            assert np.abs(one[:125].astype(int) - other[:125]).mean() < 1.5

    with_engine(use, SMALL)


def test_nothing_jumps_from_idle_to_talking_and_back() -> None:
    class Ramped:
        """Opens and closes its mouth as lips do."""

        def __init__(self) -> None:
            self._number = 0

        def block(self, pcm: bytes, ahead: bytes, phonemes: object) -> tuple[MouthPose, ...]:
            numbers = range(self._number, self._number + 5)
            self._number += 5
            return tuple(MouthPose(jaw=0.35 * (1 - np.cos(0.5 * n)) if 50 <= n < 113 else 0.0) for n in numbers)

    async def use() -> None:
        engine = Engine(SMALL, Ramped)
        await engine.start()
        course: list[tuple[Mood, int]] = [("idle", 5), ("thinking", 5), ("speaking", 13), ("idle", 7)]
        moods = [mood for mood, count in course for _ in range(count)]
        blocks = [block(n, mood, bitrate_kbps=6000) for n, mood in enumerate(moods)]
        shown = decoded(await rendered(engine, blocks))
        await engine.close()
        steps = [float(np.abs(b.astype(int) - a).mean()) for a, b in pairwise(shown)]
        assert max(steps) < 3.0, f"at frame {int(np.argmax(steps))}"
        assert min(steps[5:]) > 0.0, "it is frozen"

    asyncio.run(use())


def test_after_a_cancelled_block_the_next_one_stands_alone() -> None:
    async def use(engine: Engine) -> None:
        face = engine.open("")
        await face.render(block(0))
        task = asyncio.create_task(face.render(block(1)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        frames = [*await face.render(block(2)), *await face.render(block(3))]
        assert [n for n, frame in enumerate(frames) if frame.keyframe] == [0]
        assert len(decoded(frames)) == 10
        await face.close()

    with_engine(use)


def test_the_loop_runs_while_a_face_is_drawn() -> None:
    async def use(engine: Engine) -> None:
        faces = [engine.open("") for _ in range(6)]
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0.001)
                turns += 1

        counting = asyncio.create_task(count())
        await asyncio.gather(*(face.render(block(n)) for n in range(3) for face in faces))
        counting.cancel()
        assert turns > 20

    with_engine(use)


def test_a_closed_face_and_a_closed_engine_say_so() -> None:
    async def use() -> None:
        engine = Engine(SMALL, ScriptedMouth)
        with pytest.raises(StageUnavailable, match="not started"):
            engine.open("")
        await engine.start()
        face, other = engine.open(""), engine.open("")
        await face.render(block(0))
        await face.close()
        await face.close()
        with pytest.raises(StageUnavailable):
            await face.render(block(1))
        await engine.close()
        await engine.close()
        await other.close()
        with pytest.raises(StageUnavailable):
            engine.open("")

    asyncio.run(use())


def test_an_unknown_portrait_must_be_sent_first() -> None:
    async def use(engine: Engine) -> None:
        with pytest.raises(StateLost) as error:
            engine.open("somebody")
        assert error.value.code == "unknown_avatar"
        picture, description = small_drawn()
        info = await engine.prepare(Portrait("somebody", png(picture), description.to_json()))
        assert (info.id, info.width, info.height) == ("somebody", 192, 290)
        frames = await rendered(engine, [block(0)], "somebody")
        assert decoded(frames)[0].shape == (290, 192, 3)

    with_engine(use)


def test_a_photograph_without_a_description_becomes_a_face() -> None:
    async def use(engine: Engine) -> None:
        info = await engine.prepare(Portrait("photograph", jpeg(drawn()[0])))
        assert (info.width, info.height) == (384, 580)  # one more for H.264
        shown = decoded(await rendered(engine, [block(n) for n in range(2)], "photograph"))
        # It speaks: around the mouth more changes than on the forehead.
        change = np.std(np.stack(shown).astype(float), axis=0).mean(axis=2)
        assert change[317:350, 164:220].mean() > 3 * change[142:187, 164:220].mean()

    with_engine(use)


def test_a_described_picture_is_made_smaller_with_its_description() -> None:
    async def use(engine: Engine) -> None:
        picture, description = drawn()
        info = await engine.prepare(Portrait("large", jpeg(picture), description.to_json()))
        assert (info.width, info.height) == (160, 240)  # 159 wide, and one more for H.264
        shown = decoded(await rendered(engine, [block(n) for n in range(2)], "large"))
        change = np.std(np.stack(shown).astype(float), axis=0).mean(axis=2)
        assert change[131:145, 68:91].mean() > 3 * change[59:77, 68:91].mean()

    with_engine(use, SMALL.model_copy(update={"max_side_px": 240}))


@pytest.mark.parametrize(
    ("portrait", "said"),
    [
        (Portrait("x", b"no picture"), "neither PNG nor JPEG"),
        (Portrait("x", png(noise_picture())), "no face was found"),
        (Portrait("x", png(noise_picture()), b"{}"), "description"),
        (Portrait("x", png(noise_picture()), drawn()[1].to_json()), "but this one has 320×400"),
        (Portrait("", png(drawn()[0])), "cannot be the id"),
        (Portrait(DRAWN, png(drawn()[0])), "cannot be the id"),
    ],
    ids=["not a picture", "no face", "empty description", "another picture's", "no id", "the drawn one's id"],
)
def test_what_cannot_become_a_face_is_refused(portrait: Portrait, said: str) -> None:
    async def use(engine: Engine) -> None:
        with pytest.raises(InvalidRequest, match=said):
            await engine.prepare(portrait)
        with pytest.raises(StateLost):
            engine.open("x")

    with_engine(use)


def test_portraits_beyond_the_limit_go_oldest_first() -> None:
    async def use(engine: Engine) -> None:
        picture, description = small_drawn()
        for name in ("a", "b"):
            await engine.prepare(Portrait(name, png(picture), description.to_json()))
        face = engine.open("a")
        await engine.prepare(Portrait("c", png(picture), description.to_json()))
        with pytest.raises(StateLost):
            engine.open("b")
        assert len(await face.render(block(0))) == 5
        engine.open("a")

    with_engine(use, SMALL.model_copy(update={"max_portraits": 2}))


def test_the_first_block_costs_less_than_60_ms() -> None:
    """CPU time of the whole process, the best of three: other work on the machine does not count."""

    async def use(engine: Engine) -> None:
        costs = []
        for _ in range(3):
            begin_s = time.process_time()
            face = engine.open("")
            await face.render(block(0))
            costs.append(time.process_time() - begin_s)
        assert min(costs) < 0.06

    with_engine(use, Config(encoder="libx264"))


def test_two_faces_of_one_portrait_move_alike_only_with_the_same_seed() -> None:
    async def use(engine: Engine) -> None:
        def film(seed: str) -> Awaitable[tuple[VideoFrame, ...]]:
            return engine.open("", seed).render(block(40))

        one, again, other = await asyncio.gather(film("a"), film("a"), film("b"))
        assert one == again
        assert one != other

    with_engine(use)
