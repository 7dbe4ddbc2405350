"""The parts that bring pictures to the screen, by themselves: which is due, and what a decoder makes of bad data."""

import asyncio
import base64
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from playwright.sync_api import Page

from deployments.avatar.contract import BLOCK_SAMPLES, FaceBlock
from deployments.avatar.engines import fake
from deployments.media.video import FRAMES_PER_BLOCK, VideoFrame

pytestmark = pytest.mark.browser

# A queue on a clock of its own. Each step is a call of the queue; `show` gives what is seen at a time, `heard` says
# which sample of item "a" is heard at 0 ms, the following 24 to a millisecond.
_QUEUE = """async (steps) => {
  const { PictureQueue } = await import(new URL("web/picture-queue.js", document.baseURI));
  let heard = -Infinity;
  const queue = new PictureQueue((item, sample) => (sample - heard) / 24);
  const seen = [];
  const closed = [];
  for (const [what, ...given] of steps) {
    if (what === "put") {
      const [name, sample] = given;
      queue.fill(queue.place(sample === undefined ? null : "a", sample), { name, close: () => closed.push(name) });
    } else if (what === "heard") heard = given[0];
    else if (what === "show") seen.push(queue.next(given[0])?.name ?? null);
    else queue[what]();
  }
  return { seen, closed };
}"""

_DECODE = """async (units) => {
  const { PictureDecoder } = await import(new URL("web/picture-decoder.js", document.baseURI));
  const { bytesOf } = await import(new URL("web/pcm.js", document.baseURI));
  const shown = [];
  let lost = 0;
  const decoder = new PictureDecoder({
    onPicture: (picture, tag) => { shown.push(tag); picture.close(); },
    onLost: () => { lost += 1; },
    onTrouble: (trouble) => shown.push(trouble.message),
  });
  const taken = [];
  for (const [data, keyframe] of units) {
    taken.push(decoder.push(bytesOf(data), keyframe, taken.length));
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  await decoder.decoder?.flush();
  return { taken, shown, lost };
}"""


def _seen(page: Page, *steps: tuple[Any, ...]) -> list[str | None]:
    seen: list[str | None] = page.evaluate(_QUEUE, [list(step) for step in steps])["seen"]
    return seen


def _silent(count: int) -> list[tuple[Any, ...]]:
    return [("put", f"s{index}") for index in range(count)]


def _spoken(count: int) -> list[tuple[Any, ...]]:
    return [("put", f"a{index}", 960 * index) for index in range(count)]


def test_silent_pictures_follow_at_25_a_second_and_late_ones_are_skipped(page: Page) -> None:
    shows = [("show", at_ms) for at_ms in (1000, 1020, 1040, 1130, 1140, 1160)]
    assert _seen(page, *_silent(6), *shows) == ["s0", None, "s1", "s3", None, "s4"]


def test_a_backlog_of_silence_is_skipped(page: Page) -> None:
    assert _seen(page, *_silent(30), ("show", 1000)) == ["s18"]


def test_spoken_pictures_wait_for_their_sound(page: Page) -> None:
    steps = [("put", "s0"), *_spoken(5), ("show", 1000), ("show", 1100), ("heard", 0), ("show", 0), ("show", 39)]
    assert _seen(page, *steps, ("show", 125), ("show", 160)) == ["s0", None, "a0", None, "a3", "a4"]


def test_a_hold_shows_what_is_silent_and_the_spoken_go_on_after_it(page: Page) -> None:
    steps = [*_spoken(3), *_silent(4), ("heard", 0), ("show", 0), ("hold",), ("show", 60), ("show", 100), ("resume",)]
    assert _seen(page, *steps, ("heard", -2400), ("show", 140), ("show", 180), ("show", 400)) == [
        "a0",
        "s0",
        "s1",
        "a1",
        "a2",
        None,
    ]


def test_what_is_not_said_is_not_shown(page: Page) -> None:
    steps = [*_spoken(5), ("heard", 0), ("show", 0), ("dropSpoken",), ("put", "s0"), ("show", 60), ("show", 500)]
    assert _seen(page, *steps) == ["a0", "s0", None]
    assert page.evaluate(_QUEUE, [list(step) for step in steps])["closed"] == ["a1", "a2", "a3", "a4"]


def test_voided_silence_is_not_shown(page: Page) -> None:
    assert _seen(page, *_silent(5), ("dropSilent",), *_spoken(1), ("heard", 0), ("show", 0)) == ["a0"]


def _units(blocks: int) -> list[VideoFrame]:
    """With a keyframe in every other block."""

    async def render() -> list[VideoFrame]:
        face = fake.Engine(fake.Config()).open("pattern")
        pcm = bytes(2 * BLOCK_SAMPLES)
        return [frame for n in range(blocks) for frame in await face.render(FaceBlock(n, pcm, keyframe=n % 2 == 0))]

    with ThreadPoolExecutor(1) as thread:  # in this one Playwright has a loop
        return thread.submit(lambda: asyncio.run(render())).result()


def _decoded(page: Page, frames: list[VideoFrame]) -> dict[str, Any]:
    units = [[base64.b64encode(frame.data).decode(), frame.keyframe] for frame in frames]
    decoded: dict[str, Any] = page.evaluate(_DECODE, units)
    return decoded


def test_pictures_are_decoded_in_order_from_the_first_keyframe_on(page: Page) -> None:
    frames = _units(3)[1:]
    decoded = _decoded(page, frames)
    first = 2 * FRAMES_PER_BLOCK - 1
    assert decoded["taken"] == [index >= first for index in range(len(frames))]
    assert decoded["shown"] == list(range(first, len(frames)))
    assert decoded["lost"] == 0


def test_after_a_broken_picture_it_goes_on_with_the_next_keyframe(page: Page) -> None:
    frames = _units(3)
    broken = FRAMES_PER_BLOCK // 2
    frames[broken] = VideoFrame(b"\x00\x00\x00\x01\x65" + b"\xff" * 60, keyframe=False)
    decoded = _decoded(page, frames)
    assert decoded["lost"] == 1
    first = 2 * FRAMES_PER_BLOCK
    assert decoded["shown"][-FRAMES_PER_BLOCK:] == list(range(first, len(frames)))
    assert not any(decoded["taken"][broken + 1 : first])
