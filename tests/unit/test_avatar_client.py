import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
import pytest

from deployments.avatar.client import AvatarClient, FaceClient
from deployments.avatar.contract import BLOCK_SAMPLES, AvatarPush, AvatarReply, Portrait
from deployments.avatar.engines.fake import Config, Engine
from deployments.avatar.server import AvatarServer
from deployments.avatar.test_pattern import read_frame_number
from deployments.media.timing import PhonemeTime
from deployments.media.video import VideoFrame
from deployments.runtime.clock import now_s
from deployments.runtime.errors import (
    Conflict,
    EngineFailed,
    InvalidRequest,
    ParleyError,
    ServerFull,
    StageTimeout,
    StageUnavailable,
    StateLost,
)
from deployments.runtime.local import LocalPush
from tests.video_decoding import decoded
from tests.virtual_time import run_virtual

PCM = bytes(2 * BLOCK_SAMPLES)
ANN = Portrait("ann", cv2.imencode(".png", np.zeros((64, 64), np.uint8))[1].tobytes())


@dataclass
class Replicas:
    """A server that can be replaced by a fresh one, and a wire that can break before it."""

    config: Config = field(default_factory=Config)
    servers: list[AvatarServer] = field(default_factory=list)
    pushes: list[AvatarPush] = field(default_factory=list)
    broken: list[ParleyError] = field(default_factory=list)
    """Raised by the next pushes, before they reach the server."""
    fetched: list[str] = field(default_factory=list)

    async def replace(self) -> None:
        self.servers.append(AvatarServer(Engine(self.config)))
        await self.servers[-1].start()

    async def push(self, session_id: str, request: AvatarPush) -> AvatarReply:
        self.pushes.append(request)
        if self.broken:
            raise self.broken.pop(0)
        return await self.servers[-1].push(session_id, request)

    async def portrait(self, avatar: str) -> Portrait | None:
        self.fetched.append(avatar)
        return ANN if avatar == ANN.id else None


def with_face(
    test: Callable[[FaceClient, Replicas], Awaitable[None]],
    replicas: Replicas | None = None,
    *,
    avatar: str = "",
    first_n: int = 0,
) -> None:
    async def main(replicas: Replicas) -> None:
        await replicas.replace()
        try:
            client = AvatarClient(LocalPush(replicas.push), deadline_s=1.0)
            face = client.open("session", avatar, replicas.portrait, first_n=first_n)
            await test(face, replicas)
            await face.close()
        finally:
            for server in replicas.servers:
                await server.close()

    run_virtual(main(replicas or Replicas()))


def numbers(*replies: AvatarReply) -> list[int | None]:
    frames: tuple[VideoFrame, ...] = sum((reply.frames for reply in replies), ())
    return [read_frame_number(picture) for picture in decoded(frames)]


def sent(replicas: Replicas) -> list[tuple[int, bool]]:
    return [(push.block.n, push.block.keyframe) for push in replicas.pushes]


def test_blocks_are_numbered_and_the_clock_counts_them() -> None:
    async def test(face: FaceClient, replicas: Replicas) -> None:
        assert (face.n, face.clock_ms, face.ahead_ms) == (0, 0, 80)
        phonemes = (PhonemeTime("a", 0, 2_400),)
        first = await face.push(PCM, ahead=bytes(480), phonemes=phonemes, mood="speaking")
        face.bitrate_kbps = 300
        second = await face.push(PCM)
        assert numbers(first, second) == list(range(10))
        assert (face.n, face.clock_ms, face.ahead_ms) == (2, 400, 40)
        one, two = (push.block for push in replicas.pushes)
        assert (one.ahead, one.phonemes, one.mood, one.bitrate_kbps) == (bytes(480), phonemes, "speaking", 800)
        assert (two.n, two.phonemes, two.mood, two.bitrate_kbps, two.keyframe) == (1, None, "idle", 300, False)

    with_face(test, Replicas(Config(ahead_ms=40)))


def test_a_face_goes_on_at_a_later_place() -> None:
    async def test(face: FaceClient, replicas: Replicas) -> None:
        assert face.clock_ms == 8_000
        assert numbers(await face.push(PCM), await face.push(PCM)) == list(range(200, 210))

    with_face(test, first_n=40)


def test_one_push_is_in_flight() -> None:
    async def test(face: FaceClient, replicas: Replicas) -> None:
        replies = await asyncio.gather(*(face.push(PCM) for _ in range(5)))
        assert numbers(*replies) == list(range(25))
        assert now_s() == pytest.approx(0.5)

    with_face(test, Replicas(Config(render_ms=100)))


def test_another_replica_goes_on_at_the_same_place_with_a_keyframe() -> None:
    async def test(face: FaceClient, replicas: Replicas) -> None:
        await face.push(PCM)
        await replicas.replace()
        replicas.broken.append(StageUnavailable("died"))
        replies = [await face.push(PCM), await face.push(PCM)]
        assert numbers(*replies) == list(range(5, 15))
        assert sent(replicas) == [(0, False), (1, False), (1, True), (2, False)]
        assert replies[0].frames[0].keyframe

    with_face(test)


def test_the_portrait_is_sent_to_a_replica_that_does_not_know_it_and_only_then() -> None:
    async def test(face: FaceClient, replicas: Replicas) -> None:
        first = await face.push(PCM)
        second = await face.push(PCM)
        assert numbers(first, second) == list(range(10))
        assert [push.portrait for push in replicas.pushes] == [None, ANN, None]
        assert replicas.fetched == ["ann"]

    with_face(test, avatar="ann")


def test_a_fresh_replica_is_told_about_the_avatar_after_the_old_one_died() -> None:
    async def test(face: FaceClient, replicas: Replicas) -> None:
        await face.push(PCM)
        await replicas.replace()
        replicas.broken.append(StageUnavailable("died"))
        assert numbers(await face.push(PCM)) == list(range(5, 10))
        assert sent(replicas)[-3:] == [(1, False), (1, True), (1, True)]

    with_face(test, avatar="ann")


def test_an_avatar_that_nobody_knows_is_lost_for_good() -> None:
    async def test(face: FaceClient, replicas: Replicas) -> None:
        with pytest.raises(StateLost, match="'bob' is not known"):
            await face.push(PCM)
        assert (len(replicas.pushes), replicas.fetched, face.n) == (2, ["bob"], 1)

    with_face(test, avatar="bob")


def test_a_second_loss_is_raised_and_the_next_push_tries_again() -> None:
    async def test(face: FaceClient, replicas: Replicas) -> None:
        replicas.broken += [StageUnavailable("died")] * 2
        with pytest.raises(StageUnavailable):
            await face.push(PCM)
        assert numbers(await face.push(PCM)) == list(range(5, 10))
        assert sent(replicas) == [(0, False), (0, True), (1, True)]

    with_face(test)


@pytest.mark.parametrize("error", [EngineFailed("broke"), ServerFull("full"), StageTimeout("slow")])
def test_other_errors_are_raised_at_once_and_use_the_number_up(error: ParleyError) -> None:
    async def test(face: FaceClient, replicas: Replicas) -> None:
        await face.push(PCM)
        replicas.broken.append(error)
        with pytest.raises(type(error)):
            await face.push(PCM)
        assert (len(replicas.pushes), face.clock_ms) == (2, 400)
        reply = await face.push(PCM)
        assert (numbers(reply), reply.frames[0].keyframe) == (list(range(10, 15)), True)
        assert not (await face.push(PCM)).frames[0].keyframe

    with_face(test)


def test_a_cancelled_push_uses_its_number_up_and_the_next_begins_with_a_keyframe() -> None:
    async def test(face: FaceClient, replicas: Replicas) -> None:
        first = await face.push(PCM)
        cancelled = asyncio.create_task(face.push(PCM))
        waiting = asyncio.create_task(face.push(PCM))
        await asyncio.sleep(0.05)
        waiting.cancel()
        await asyncio.sleep(0)
        cancelled.cancel()
        for task in (cancelled, waiting):
            with pytest.raises(asyncio.CancelledError):
                await task
        third = await face.push(PCM)
        # What was cancelled while it waited for its turn was never begun.
        assert sent(replicas) == [(0, False), (1, False), (2, True)]
        assert third.frames[0].keyframe
        assert numbers(first, third) == [*range(5), *range(10, 15)]
        assert len(replicas.servers[-1]._engine.faces) == 1  # type: ignore[attr-defined]  # the fake's

    with_face(test, Replicas(Config(render_ms=100)))


def test_a_cancelled_push_costs_the_next_one_no_more_than_the_rest_of_its_work() -> None:
    async def test(face: FaceClient, replicas: Replicas) -> None:
        task = asyncio.create_task(face.push(PCM))
        await asyncio.sleep(0.06)
        task.cancel()
        await face.push(PCM)
        assert now_s() == pytest.approx(0.2)

    with_face(test, Replicas(Config(render_ms=100)))


def test_sound_of_another_length_is_refused_and_uses_no_number_up() -> None:
    async def test(face: FaceClient, replicas: Replicas) -> None:
        for pcm in (b"", PCM[:-2], PCM + b"x"):
            with pytest.raises(InvalidRequest):
                await face.push(pcm)
        assert (face.n, replicas.pushes) == (0, [])
        assert not (await face.push(PCM)).n

    with_face(test)


def test_closing_frees_the_face_and_may_be_repeated() -> None:
    async def test(face: FaceClient, replicas: Replicas) -> None:
        await face.push(PCM)
        await face.close()
        await face.close()
        assert [push.close for push in replicas.pushes] == [False, True]
        assert replicas.servers[-1].open_faces == 0
        with pytest.raises(Conflict):
            await face.push(PCM)

    with_face(test)


def test_closing_what_was_never_shown_or_is_lost_is_no_error() -> None:
    async def test(face: FaceClient, replicas: Replicas) -> None:
        never = AvatarClient(LocalPush(replicas.push), 1.0).open("session")
        await never.close()
        assert replicas.pushes == []
        await face.push(PCM)
        replicas.broken.append(StageUnavailable("died"))
        await face.close()

    with_face(test)
