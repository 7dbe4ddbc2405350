"""What every talking head engine does: a new file in `engines/` is tested without an edit here."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest

from deployments.avatar.contract import BLOCK_SAMPLES, MAX_SIDE_PX, AvatarEngine, Face, FaceBlock, Mood, Portrait
from deployments.media.audio import to_float
from deployments.media.timing import PhonemeTime
from deployments.media.video import FRAME_RATE_HZ, FRAMES_PER_BLOCK, VideoFrame
from deployments.runtime.engines import load_engine
from deployments.runtime.errors import InvalidRequest, ParleyError, StateLost
from tests.contract.engines_here import engines_here, options_for
from tests.video_decoding import decoded

SILENCE = bytes(2 * BLOCK_SAMPLES)
MOODS: tuple[Mood, ...] = ("idle", "listening", "thinking", "speaking")


def tone(n: int, level: float = 8_000.0) -> bytes:
    """A block of a voice-like sound: 150 Hz and overtones, swelling four times a second."""
    at = (np.arange(BLOCK_SAMPLES) + n * BLOCK_SAMPLES) / 24_000
    voice = sum(np.sin(2 * np.pi * 150 * k * at) / k for k in range(1, 12))
    return (level * voice / 2 * (0.5 - 0.5 * np.cos(2 * np.pi * 4 * at))).clip(-32768, 32767).astype("<i2").tobytes()


def noise(level: float) -> bytes:
    return np.random.default_rng(1).normal(0, level, BLOCK_SAMPLES).clip(-32768, 32767).astype("<i2").tobytes()


class Started:
    """An engine on a loop of its own, shared by the tests of this file."""

    def __init__(self, runner: asyncio.Runner, engine: AvatarEngine) -> None:
        self.run = runner.run
        self.engine = engine

    @asynccontextmanager
    async def face(self) -> AsyncIterator[Face]:
        face = self.engine.open(self.engine.avatars[0].id)
        try:
            yield face
        finally:
            await face.close()


@pytest.fixture(scope="module", params=engines_here("avatar"))
def started(request: pytest.FixtureRequest) -> Iterator[Started]:
    with asyncio.Runner() as runner:
        engine = load_engine("avatar", request.param, options_for(request.param))
        runner.run(engine.start())
        yield Started(runner, engine)
        runner.run(engine.close())
        runner.run(engine.close())


def block(n: int, pcm: bytes = SILENCE, **fields: object) -> FaceBlock:
    return replace(FaceBlock(n, pcm), **fields)  # type: ignore[arg-type]  # a dictionary has one value type


async def watch(face: Face, blocks: list[FaceBlock]) -> list[VideoFrame]:
    frames: list[VideoFrame] = []
    for each in blocks:
        rendered = await face.render(each)
        assert len(rendered) == FRAMES_PER_BLOCK
        frames += rendered
    return frames


def check_video(started: Started, frames: list[VideoFrame]) -> None:
    """Every frame can be decoded, one picture each, in the size that was promised."""
    info = started.engine.avatars[0]
    pictures = decoded(frames)
    assert len(pictures) == len(frames)
    assert {picture.shape for picture in pictures} == {(info.height, info.width, 3)}


def test_it_says_whom_it_shows(started: Started) -> None:
    assert started.engine.avatars
    assert len({info.id for info in started.engine.avatars}) == len(started.engine.avatars)
    for info in started.engine.avatars:
        assert info.id
        assert info.width % 2 == info.height % 2 == 0
        assert 0 < max(info.width, info.height) <= MAX_SIDE_PX
    assert 0 <= started.engine.ahead_ms <= 1000


def test_each_block_gives_five_frames_that_decode_one_by_one(started: Started) -> None:
    async def main() -> list[VideoFrame]:
        async with started.face() as face:
            return await watch(face, [block(n, tone(n)) for n in range(8)])

    frames = started.run(main())
    assert frames[0].keyframe
    check_video(started, frames)
    # No delay in the encoder: what is decoded of the first n frames are n pictures.
    assert len(decoded(frames[:3])) == 3


def test_a_keyframe_comes_when_asked_for_and_at_least_every_2_s(started: Started) -> None:
    async def main() -> list[VideoFrame]:
        async with started.face() as face:
            return await watch(face, [block(n, tone(n), keyframe=n == 7) for n in range(32)])

    frames = started.run(main())
    assert frames[7 * FRAMES_PER_BLOCK].keyframe
    keyframes = [index for index, frame in enumerate(frames) if frame.keyframe]
    assert max(np.diff([*keyframes, len(frames)])) <= 2 * FRAME_RATE_HZ
    assert len(keyframes) < len(frames) / FRAMES_PER_BLOCK
    # Each one is where a receiver can begin.
    for index in keyframes:
        check_video(started, frames[index : index + 3])


def test_the_picture_moves_with_the_sound_and_the_mouth_rests_without(started: Started) -> None:
    async def main() -> list[VideoFrame]:
        async with started.face() as face:
            return await watch(face, [block(n, SILENCE if n < 4 else tone(n)) for n in range(10)])

    pictures = [picture.astype(np.float32) for picture in decoded(started.run(main()))]
    moved = [float(np.abs(after - before).mean()) for before, after in pairwise(pictures)]
    assert max(moved[25:]) > 0
    lower = [picture[picture.shape[0] // 2 :] for picture in pictures]
    spoken = np.mean([np.abs(picture - lower[15]).mean() for picture in lower[30:]])
    rested = np.mean([np.abs(picture - lower[15]).mean() for picture in lower[10:20]])
    assert spoken > rested


@pytest.mark.parametrize("mood", MOODS)
def test_every_mood_can_be_shown(started: Started, mood: Mood) -> None:
    async def main() -> list[VideoFrame]:
        async with started.face() as face:
            return await watch(face, [block(n, mood=mood) for n in range(3)])

    check_video(started, started.run(main()))


@pytest.mark.parametrize(
    "pcm",
    [SILENCE, noise(20), noise(60_000), b"\xff\x7f" * BLOCK_SAMPLES, b"\x00\x80" * BLOCK_SAMPLES],
    ids=["silence", "faint noise", "clipped noise", "full-scale up", "full-scale down"],
)
def test_what_is_no_speech_is_no_error(started: Started, pcm: bytes) -> None:
    assert to_float(pcm).size == BLOCK_SAMPLES

    async def main() -> list[VideoFrame]:
        async with started.face() as face:
            return await watch(face, [block(n, pcm, ahead=pcm) for n in range(5)])

    check_video(started, started.run(main()))


@pytest.mark.parametrize("ahead", [b"", bytes(2), bytes(1_000), tone(1), tone(1) * 10])
def test_any_length_of_the_following_sound_will_do(started: Started, ahead: bytes) -> None:
    async def main() -> list[VideoFrame]:
        async with started.face() as face:
            return await watch(face, [block(n, tone(0), ahead=ahead) for n in range(2)])

    check_video(started, started.run(main()))


@pytest.mark.parametrize(
    "phonemes",
    [
        (),
        (PhonemeTime("a", 0, BLOCK_SAMPLES),),
        (PhonemeTime("p", -5_000, -2_000), PhonemeTime("ɑː", -2_000, 9_000)),
        (PhonemeTime("", 0, 0), PhonemeTime("no such symbol", 10, 5), PhonemeTime("\ud800", 10, 10**9)),
        (PhonemeTime("b", 4_000, 100), PhonemeTime("m", 4_000, 4_000), PhonemeTime("a", -(10**9), 10**9)),
        tuple(PhonemeTime("pa"[n % 2], n, n + 1) for n in range(BLOCK_SAMPLES)),
    ],
    ids=["none", "one", "begun before", "strange", "out of order", "thousands"],
)
def test_any_phonemes_will_do(started: Started, phonemes: tuple[PhonemeTime, ...]) -> None:
    async def main() -> list[VideoFrame]:
        async with started.face() as face:
            return await watch(face, [block(n, tone(n), phonemes=phonemes) for n in range(2)])

    check_video(started, started.run(main()))


def test_it_begins_anywhere_on_the_clock_and_takes_a_gap(started: Started) -> None:
    async def main() -> list[VideoFrame]:
        async with started.face() as face:
            places = [10**6, 10**6 + 1, 10**6 + 9]
            return await watch(face, [block(n, tone(n), keyframe=n == places[-1]) for n in places])

    frames = started.run(main())
    assert frames[0].keyframe
    assert frames[2 * FRAMES_PER_BLOCK].keyframe
    check_video(started, frames)


@pytest.mark.parametrize("bitrate_kbps", [1, 100, 8_000])
def test_the_bitrate_may_change_within_a_face(started: Started, bitrate_kbps: int) -> None:
    async def main() -> list[VideoFrame]:
        async with started.face() as face:
            return await watch(face, [block(n, tone(n), bitrate_kbps=800 if n % 2 else bitrate_kbps) for n in range(4)])

    check_video(started, started.run(main()))


def test_faces_at_the_same_time_do_not_mix(started: Started) -> None:
    blocks = [block(n, tone(n)) for n in range(5)]

    async def one(blocks: list[FaceBlock]) -> list[VideoFrame]:
        async with started.face() as face:
            return await watch(face, blocks)

    async def main() -> list[list[VideoFrame]]:
        silent = [block(n) for n in range(5)]
        return list(await asyncio.gather(one(blocks), one(silent), one(blocks), one(silent)))

    shown = started.run(main())
    for frames in shown:
        check_video(started, frames)
    spoken, silent, spoken_again, _ = (np.stack(decoded(frames)).astype(np.float32) for frames in shown)
    # Faces may differ in how they blink, but not as much as silence from speech.
    assert np.abs(spoken - spoken_again).mean() < np.abs(spoken - silent).mean()


def test_a_cancelled_block_returns_within_50_ms_and_the_next_one_can_be_shown(started: Started) -> None:
    async def main() -> tuple[float, list[VideoFrame]]:
        async with started.face() as face:
            await face.render(block(0, tone(0)))
            task = asyncio.create_task(face.render(block(1, tone(1))))
            await asyncio.sleep(0.002)
            cancelled_s = time.perf_counter()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            took_s = time.perf_counter() - cancelled_s
            return took_s, await watch(face, [block(2, tone(2), keyframe=True), block(3, tone(3))])

    took_s, shown = zip(*(started.run(main()) for _ in range(3)), strict=True)
    # The least of three: other processes may hold the cores.
    assert min(took_s) < 0.05
    for frames in shown:
        assert frames[0].keyframe
        check_video(started, frames)


def test_closed_is_closed(started: Started) -> None:
    async def main() -> None:
        face = started.engine.open(started.engine.avatars[0].id)
        await face.render(block(0))
        await face.close()
        await face.close()
        with pytest.raises(ParleyError):
            await face.render(block(1))
        await started.engine.open(started.engine.avatars[0].id).close()

    started.run(main())


def test_an_avatar_that_was_not_prepared_is_asked_for(started: Started) -> None:
    with pytest.raises(StateLost):
        started.engine.open("nobody of this name")


def _picture(width: int, height: int, extension: str = ".png") -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return cv2.imencode(extension, pixels)[1].tobytes()


NO_PICTURES = {
    "nothing": b"",
    "text": b"not a picture at all",
    "a GIF": b"GIF89a" + bytes(100),
    "only the head of a PNG": _picture(64, 64)[:16],
    "only the head of a JPEG": _picture(64, 64, ".jpg")[:20],
    "zeros": bytes(100_000),
}
ODD_PICTURES = {
    "one pixel": (_picture(1, 1), b""),
    "half a PNG": (_picture(256, 256)[: len(_picture(256, 256)) // 2], b""),
    "noise": (_picture(300, 200, ".jpg"), b""),
    "a description that is none": (_picture(300, 200), b"{"),
    "a description of something else": (_picture(300, 200), b'{"mouth": [1e999, null], "x": "y"}'),
    "a deep description": (_picture(300, 200), b"[" * 100_000),
}


@pytest.mark.parametrize("picture", NO_PICTURES.values(), ids=NO_PICTURES)
def test_what_is_no_picture_is_refused_with_a_reason(started: Started, picture: bytes) -> None:
    with pytest.raises(InvalidRequest) as raised:
        started.run(started.engine.prepare(Portrait("hostile", picture)))
    assert raised.value.message
    with pytest.raises(StateLost):
        started.engine.open("hostile")


@pytest.mark.parametrize("portrait", ODD_PICTURES.values(), ids=ODD_PICTURES)
def test_an_odd_portrait_is_refused_or_shown(started: Started, portrait: tuple[bytes, bytes]) -> None:
    async def main() -> list[VideoFrame] | None:
        try:
            info = await started.engine.prepare(Portrait("odd", *portrait))
        except InvalidRequest:
            return None
        face = started.engine.open("odd")
        try:
            frames = list(await face.render(block(0, tone(0))))
        finally:
            await face.close()
        assert {picture.shape for picture in decoded(frames)} == {(info.height, info.width, 3)}
        return frames

    frames = started.run(main())
    assert frames is None or len(frames) == FRAMES_PER_BLOCK
