"""Pacing, the playhead, holding and stopping, on a virtual clock."""

import asyncio

import pytest

from deployments.media.audio import silence
from deployments.runtime import clock
from serve_app.session.playout import Playout
from tests.virtual_time import run_virtual

RATE = 24_000


class Sink:
    """Keeps what was sent, and when."""

    def __init__(self) -> None:
        self.sent: list[tuple[float, int]] = []
        self.pcm = b""

    def __call__(self, pcm: bytes, end_sample: int) -> None:
        self.pcm += pcm
        self.sent.append((clock.now_s(), end_sample))


def playout(sink: Sink) -> Playout:
    return Playout(sink, lead_ms=240, block_ms=60)


def test_sound_goes_out_at_most_the_lead_ahead_of_real_time() -> None:
    async def scene() -> None:
        sink = Sink()
        out = playout(sink)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(out.run())
            await out.put(silence(2000, RATE))
            out.finish()
        assert len(sink.pcm) == 2 * 2 * RATE
        for at_s, end_sample in sink.sent:
            assert end_sample / RATE - at_s <= 0.240 + 1e-6
        assert sink.sent[3][0] == 0.0, "the whole lead goes out at once"
        assert abs(sink.sent[-1][0] - (2.0 - 0.240)) < 1e-6

    run_virtual(scene())


def test_its_source_is_not_asked_for_more_than_the_lead() -> None:
    async def scene() -> None:
        sink = Sink()
        out = playout(sink)
        returned_s = []

        async def source() -> None:
            for _ in range(4):
                await out.put(silence(500, RATE))
                returned_s.append(clock.now_s())
            out.finish()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(out.run())
            tasks.create_task(source())
        # 500 ms put, 240 sent at once: 260 are left, so the next is asked for when one more block has gone; then the
        # source is asked every 500 ms, to within a block.
        assert returned_s == [pytest.approx(0.06 + 0.5 * n, abs=0.06) for n in range(4)]

    run_virtual(scene())


def test_the_playhead_moves_in_real_time_and_never_past_what_was_sent() -> None:
    async def scene() -> None:
        sink = Sink()
        out = playout(sink)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(out.run())
            assert out.heard_samples(clock.now_s()) == 0
            await out.put(silence(120, RATE))
            await asyncio.sleep(0.1)
            assert out.heard_samples(clock.now_s()) == RATE // 10
            await asyncio.sleep(0.4)
            assert out.heard_samples(clock.now_s()) == out.sent_samples == RATE * 120 // 1000
            await out.put(silence(120, RATE))
            await asyncio.sleep(0.05)
            assert out.heard_samples(clock.now_s()) == RATE * 170 // 1000, "the gap is not counted as heard"
            assert round(out.worst_gap_s, 3) == 0.38
            out.finish()

    run_virtual(scene())


def test_after_a_hold_it_goes_on_at_the_very_sample() -> None:
    async def scene() -> None:
        sink = Sink()
        out = playout(sink)
        sound = bytes(range(250)) * 400
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(out.run())
            tasks.create_task(out.put(sound))
            await asyncio.sleep(0.5)
            out.hold()
            held_at = out.sent_samples
            await asyncio.sleep(3)
            assert out.sent_samples == held_at
            out.release()
            out.finish()
        assert sink.pcm == sound

    run_virtual(scene())


def test_stopping_sends_nothing_more_and_says_what_was_heard() -> None:
    async def scene() -> None:
        sink = Sink()
        out = playout(sink)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(out.run())
            tasks.create_task(out.put(silence(5000, RATE)))
            await asyncio.sleep(1)
            sent = out.sent_samples
            assert out.stop(clock.now_s()) == RATE
            await asyncio.sleep(1)
            assert out.sent_samples == sent
            assert out.heard_samples(clock.now_s()) == RATE

    run_virtual(scene())


def test_it_has_been_played_when_the_client_has_played_it() -> None:
    async def scene() -> None:
        out = playout(Sink())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(out.put(silence(900, RATE)))
            tasks.create_task(out.run())
            await asyncio.sleep(0)
            out.finish()
            await asyncio.sleep(0.8)
            await out.played()
            assert round(clock.now_s(), 3) == 0.9

    run_virtual(scene())
