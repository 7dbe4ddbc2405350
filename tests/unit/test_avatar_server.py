import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from deployments.avatar.contract import BLOCK_SAMPLES, AvatarPush, AvatarReply, FaceBlock, Portrait
from deployments.avatar.engines.fake import Config, Engine
from deployments.avatar.server import MAX_UNFINISHED, UNHEALTHY_AFTER_FAILURES, AvatarServer
from deployments.avatar.test_pattern import read_frame_number
from deployments.media.video import FRAMES_PER_BLOCK, VideoFrame
from deployments.runtime.clock import now_s
from deployments.runtime.errors import (
    ConfigError,
    EngineFailed,
    InvalidRequest,
    ServerFull,
    StageUnavailable,
    StateLost,
)
from tests.video_decoding import decoded
from tests.virtual_time import run_virtual

PCM = bytes(2 * BLOCK_SAMPLES)
PICTURE = cv2.imencode(".png", np.zeros((64, 64), np.uint8))[1].tobytes()


def block(n: int, **fields: object) -> FaceBlock:
    return replace(FaceBlock(n, PCM), **fields)  # type: ignore[arg-type]  # a dictionary has one value type


def push(n: int, face_id: str = "f", avatar: str = "", portrait: Portrait | None = None) -> AvatarPush:
    return AvatarPush(face_id, block(n), avatar, portrait)


def numbers(frames: tuple[VideoFrame, ...]) -> list[int | None]:
    return [read_frame_number(picture) for picture in decoded(frames)]


def with_server(
    test: Callable[[AvatarServer, Engine], Awaitable[None]], config: Config | None = None, **limits: float
) -> None:
    async def main() -> None:
        engine = Engine(config or Config())
        server = AvatarServer(engine, **limits)  # type: ignore[arg-type]  # a dictionary has one value type
        await server.start()
        try:
            await test(server, engine)
        finally:
            await server.close()
        assert engine.faces == []

    run_virtual(main())


def test_the_same_sound_comes_back_with_its_five_frames() -> None:
    async def test(server: AvatarServer, engine: Engine) -> None:
        pcm = np.arange(BLOCK_SAMPLES, dtype="<i2").tobytes()
        replies = [await server.push("s", AvatarPush("f", block(n, pcm=pcm))) for n in range(3)]
        assert [(reply.n, reply.pcm, reply.width, reply.height, reply.ahead_ms) for reply in replies] == [
            (n, pcm, 160, 128, 80) for n in range(3)
        ]
        assert numbers(sum((reply.frames for reply in replies), ())) == list(range(15))
        assert [frame.keyframe for reply in replies for frame in reply.frames] == [True] + 14 * [False]

    with_server(test)


def test_a_repeated_number_gets_the_same_reply() -> None:
    async def test(server: AvatarServer, engine: Engine) -> None:
        await server.push("s", push(0))
        first = await server.push("s", push(1))
        assert await server.push("s", push(1)) is first
        assert numbers((await server.push("s", replace(push(2), block=block(2, keyframe=True)))).frames) == list(
            range(10, 15)
        )
        assert (len(engine.faces), engine.faces[0].moods) == (1, ["idle"] * 3)

    with_server(test)


def test_a_face_that_is_not_known_begins_anywhere_on_its_clock() -> None:
    async def test(server: AvatarServer, engine: Engine) -> None:
        reply = await server.push("s", push(700))
        assert (reply.n, reply.frames[0].keyframe) == (700, True)
        assert numbers(reply.frames) == list(range(3500, 3505))

    with_server(test)


def test_after_a_gap_the_face_goes_on_with_a_keyframe() -> None:
    async def test(server: AvatarServer, engine: Engine) -> None:
        await server.push("s", push(0))
        (face,) = engine.faces
        reply = await server.push("s", push(5))
        assert reply.frames[0].keyframe
        assert numbers(reply.frames) == list(range(25, 30))
        assert engine.faces == [face]
        assert not (await server.push("s", push(6))).frames[0].keyframe

    with_server(test)


@pytest.mark.parametrize(
    "back", [push(2), replace(push(4), avatar="other")], ids=["an earlier place", "another avatar"]
)
def test_an_earlier_place_and_another_avatar_open_the_face_anew(back: AvatarPush) -> None:
    async def test(server: AvatarServer, engine: Engine) -> None:
        await server.push("s", push(3))
        (old,) = engine.faces
        reply = await server.push("s", back)
        assert reply.frames[0].keyframe
        assert numbers(reply.frames)[0] == 5 * back.block.n
        assert len(engine.faces) == 1
        assert engine.faces != [old]

    with_server(test, Config(avatars=("pattern", "other")))


def test_an_avatar_that_is_not_known_is_lost_until_its_portrait_is_sent() -> None:
    async def test(server: AvatarServer, engine: Engine) -> None:
        with pytest.raises(StateLost, match="avatar 'ann' is not known here; send its portrait"):
            await server.push("s", push(0, avatar="ann"))
        assert (server.open_faces, engine.faces) == (0, [])
        reply = await server.push("s", push(0, avatar="ann", portrait=Portrait("ann", PICTURE)))
        assert numbers(reply.frames) == list(range(5))
        await server.push("another session", push(0, avatar="ann"))

    with_server(test)


def test_a_portrait_that_cannot_be_read_or_is_another_avatars_is_refused() -> None:
    async def test(server: AvatarServer, engine: Engine) -> None:
        with pytest.raises(InvalidRequest, match="neither a PNG nor a JPEG"):
            await server.push("s", push(0, avatar="ann", portrait=Portrait("ann", b"GIF89a")))
        with pytest.raises(InvalidRequest, match="the portrait is of 'bob', the face of 'ann'"):
            await server.push("s", push(0, avatar="ann", portrait=Portrait("bob", PICTURE)))
        assert server.open_faces == 0

    with_server(test)


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ({"pcm": b""}, "200 ms of sound at a time: 9600 bytes, not 0"),
        ({"pcm": bytes(9_598)}, "not 9598"),
        ({"pcm": bytes(9_601)}, "not 9601"),
        ({"ahead": bytes(3)}, "3 bytes are not whole"),
        ({"ahead": bytes(10**6)}, "at most 96000 bytes"),
        ({"n": -1}, "not -1"),
        ({"bitrate_kbps": 0}, "no bitrate"),
    ],
)
def test_a_block_that_makes_no_sense_is_refused_and_the_face_goes_on(bad: dict[str, object], named: str) -> None:
    async def test(server: AvatarServer, engine: Engine) -> None:
        await server.push("s", push(0))
        with pytest.raises(InvalidRequest, match=named):
            await server.push("s", AvatarPush("f", replace(block(1), **bad)))  # type: ignore[arg-type]  # a dictionary has one value type
        assert not (await server.push("s", push(1))).frames[0].keyframe
        assert len(engine.faces) == 1

    with_server(test)


def test_close_frees_the_face_and_needs_none() -> None:
    async def test(server: AvatarServer, engine: Engine) -> None:
        await server.push("s", push(0))
        closing = AvatarPush("f", FaceBlock(1, b""), close=True)
        assert await server.push("s", closing) == AvatarReply(1, b"", ())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (server.open_faces, engine.faces) == (0, [])
        assert (await server.push("s", closing)).frames == ()
        assert server.open_faces == 0

    with_server(test)


def test_faces_do_not_disturb_each_other() -> None:
    async def test(server: AvatarServer, engine: Engine) -> None:
        async def face(session: int) -> list[int | None]:
            frames: tuple[VideoFrame, ...] = ()
            for n in range(session, session + 4):
                frames += (await server.push(f"s{session}", push(n, "same id"))).frames
            return numbers(frames)

        assert await asyncio.gather(*(face(session) for session in range(10))) == [
            list(range(5 * session, 5 * session + 20)) for session in range(10)
        ]
        assert server.open_faces == 10

    with_server(test, Config(render_ms=30))


def test_a_full_server_says_so_and_the_faces_inside_go_on() -> None:
    async def test(server: AvatarServer, engine: Engine) -> None:
        await server.push("a", push(0))
        await server.push("b", push(0))
        with pytest.raises(ServerFull, match="2 faces are shown"):
            await server.push("c", push(0))
        await server.push("a", push(0))
        await server.push("b", replace(push(0), avatar="pattern"))
        await server.push("a", AvatarPush("f", FaceBlock(1, b""), close=True))
        await server.push("c", push(0))

    with_server(test, max_faces=2)


def test_an_idle_face_is_forgotten_and_its_next_push_opens_it_anew() -> None:
    async def test(server: AvatarServer, engine: Engine) -> None:
        await server.push("idle", push(0))
        await asyncio.sleep(6)
        await server.push("busy", push(0))
        await asyncio.sleep(6)
        server.check_health()
        await asyncio.sleep(0.001)
        assert (server.open_faces, len(engine.faces)) == (1, 1)
        assert (await server.push("idle", push(1))).frames[0].keyframe
        assert not (await server.push("busy", push(1))).frames[0].keyframe

    with_server(test, idle_s=10)


@pytest.mark.parametrize("place", ["open", "render"])
def test_an_engines_own_error_becomes_engine_failed_with_its_cause(place: str) -> None:
    async def test(server: AvatarServer, engine: Engine) -> None:
        with pytest.raises(EngineFailed, match=f"RuntimeError: scripted failure of {place}") as raised:
            await server.push("s", push(0))
        assert isinstance(raised.value.__cause__, RuntimeError)
        await asyncio.sleep(0.001)
        assert (server.open_faces, engine.faces) == (0, [])

    with_server(test, Config.model_validate({"fail_at": place}))


def test_a_block_without_all_its_frames_is_a_failure() -> None:
    async def test(server: AvatarServer, engine: Engine) -> None:
        with pytest.raises(EngineFailed, match=f"4 frames for a block instead of {FRAMES_PER_BLOCK}"):
            await server.push("s", push(0))

    with_server(test, Config(frames=4))


def test_a_face_that_failed_is_opened_anew_at_the_next_place() -> None:
    async def test(server: AvatarServer, engine: Engine) -> None:
        await server.push("s", push(0))
        with pytest.raises(EngineFailed):
            await server.push("s", push(1))
        reply = await server.push("s", push(2))
        assert (numbers(reply.frames), reply.frames[0].keyframe) == (list(range(10, 15)), True)

    with_server(test, Config(fail_at="render", fail_at_block=1))


def test_failures_in_a_row_make_it_unhealthy_and_a_success_healthy_again() -> None:
    async def test(server: AvatarServer, engine: Engine) -> None:
        await server.push("well", push(0))
        for attempt in range(UNHEALTHY_AFTER_FAILURES):
            await server.push(f"s{attempt}", push(0))
        for attempt in range(UNHEALTHY_AFTER_FAILURES):
            server.check_health()
            with pytest.raises(EngineFailed):
                await server.push(f"s{attempt}", push(1))
        with pytest.raises(StageUnavailable, match="failed 5 times in a row"):
            server.check_health()
        await server.push("fresh", push(0))
        server.check_health()

    with_server(test, Config(fail_at="render", fail_at_block=1))


def test_not_running_before_start_and_after_close() -> None:
    async def main() -> None:
        server = AvatarServer(Engine(Config()))
        for _ in range(2):
            with pytest.raises(StageUnavailable):
                server.check_health()
            with pytest.raises(StageUnavailable):
                await server.push("s", push(0))
            await server.start()
            server.check_health()
            await server.close()
            await server.close()

    run_virtual(main())


def test_an_engine_that_cannot_start_lets_its_error_through() -> None:
    class Unconfigured(Engine):
        async def start(self) -> None:
            raise ConfigError("no weights")

    with pytest.raises(ConfigError, match="no weights"):
        run_virtual(AvatarServer(Unconfigured(Config())).start())


async def cancelled_after(seconds: float, call: Awaitable[AvatarReply]) -> None:
    task = asyncio.ensure_future(call)
    await asyncio.sleep(seconds)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_push_whose_caller_goes_is_worked_on_and_its_number_gets_the_reply() -> None:
    async def test(server: AvatarServer, engine: Engine) -> None:
        await cancelled_after(0.3, server.push("s", push(0)))
        reply = await server.push("s", push(0))
        assert (numbers(reply.frames), now_s()) == (list(range(5)), 1.0)

    with_server(test, Config(render_ms=1000))


def test_the_next_number_waits_for_the_one_whose_caller_went() -> None:
    async def test(server: AvatarServer, engine: Engine) -> None:
        await cancelled_after(0.3, server.push("s", push(0)))
        reply = await server.push("s", replace(push(1), block=block(1, keyframe=True)))
        assert (numbers(reply.frames), now_s()) == (list(range(5, 10)), 2.0)

    with_server(test, Config(render_ms=1000))


@pytest.mark.parametrize("ending", ["a later place", "an earlier place", "close"])
def test_a_hung_block_ends_with_its_face(ending: str) -> None:
    async def test(server: AvatarServer, engine: Engine) -> None:
        hung = [asyncio.create_task(server.push("s", push(10 + n))) for n in range(MAX_UNFINISHED)]
        await asyncio.sleep(1)
        assert not any(task.done() for task in hung)
        if ending == "close":
            await server.close()
        else:
            again = asyncio.create_task(server.push("s", push(30 if ending == "a later place" else 0)))
            await asyncio.sleep(1)
            assert len(engine.faces) == 1
            again.cancel()
        for task in hung:
            with pytest.raises(StateLost, match="push again to open it anew"):
                await task

    with_server(test, Config(hang_at_block=0))
