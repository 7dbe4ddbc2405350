"""Pacing, the playhead, holding and stopping, on a virtual clock."""

import asyncio

import pytest

from deployments.media.audio import fade_in, fade_out, silence
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


async def held_for(duration_s: float, sound: bytes) -> tuple[Sink, Playout, int]:
    """Hold after half a second; the sample at which it stopped."""
    sink = Sink()
    out = playout(sink)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(out.run())
        tasks.create_task(out.put(sound))
        await asyncio.sleep(0.5)
        out.hold()
        held_at = out.sent_samples
        await asyncio.sleep(duration_s)
        assert out.sent_samples == held_at
        out.release()
        out.finish()
    return sink, out, held_at


def test_a_hold_shorter_than_the_lead_is_not_heard() -> None:
    async def scene() -> None:
        sound = bytes(range(250)) * 400
        sink, out, _ = await held_for(0.1, sound)
        assert sink.pcm == sound
        assert out.worst_gap_s == 0

    run_virtual(scene())


def test_after_a_pause_for_nothing_sound_waits_until_the_client_needs_it() -> None:
    async def scene() -> None:
        sink = Sink()
        out = playout(sink)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(out.run())
            tasks.create_task(out.put(silence(1000, RATE)))
            await asyncio.sleep(0.5)
            out.hold()
            await asyncio.sleep(0.02)
            out.release(late=True)
            await asyncio.sleep(0.4)
            out.stop(clock.now_s())
        before = [end for at_s, end in sink.sent if at_s <= 0.5]
        after = [(at_s, end) for at_s, end in sink.sent if at_s > 0.5]
        assert after[0][0] == pytest.approx(before[-1] / RATE - 0.06)
        assert after[1][0] == after[0][0], "and then the whole lead again"
        assert out.worst_gap_s == 0
        assert sink.pcm == silence(after[-1][1] * 1000 / RATE, RATE), "nothing twice, nothing lost"

    run_virtual(scene())


def test_a_second_suspicion_after_a_pause_holds_again() -> None:
    async def scene() -> None:
        sink = Sink()
        out = playout(sink)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(out.run())
            tasks.create_task(out.put(silence(1000, RATE)))
            await asyncio.sleep(0.5)
            sent = len(sink.sent)
            for _ in range(3):
                out.hold()
                await asyncio.sleep(0.02)
                out.release(late=True)
                await asyncio.sleep(0.005)
            assert len(sink.sent) == sent
            out.stop(clock.now_s())

    run_virtual(scene())


def test_a_longer_hold_fades_and_goes_on_at_the_very_sample() -> None:
    async def scene() -> None:
        sound = bytes(range(250)) * 400
        sink, out, held_at = await held_for(3.0, sound)
        at, fade = 2 * held_at, 2 * RATE // 100
        assert sink.pcm[:at] == sound[:at]
        assert sink.pcm[at : at + fade] == fade_out(sound[at : at + fade])
        assert sink.pcm[at + fade : at + 2 * fade] == fade_in(sound[at : at + fade])
        assert sink.pcm[at + 2 * fade :] == sound[at + fade :]
        faded_s = next(at_s for n, (at_s, end) in enumerate(sink.sent) if n and end == sink.sent[n - 1][1])
        assert 0.5 < faded_s < held_at / RATE, "before the client has played what it got"
        assert out.worst_gap_s == 0, "a hold is no under-run"

    run_virtual(scene())


def test_stopped_while_held_it_sends_no_fade() -> None:
    async def scene() -> None:
        sink = Sink()
        out = playout(sink)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(out.run())
            tasks.create_task(out.put(silence(5000, RATE)))
            await asyncio.sleep(1)
            out.hold()
            sent = len(sink.pcm)
            out.stop(clock.now_s())
        assert len(sink.pcm) == sent

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
