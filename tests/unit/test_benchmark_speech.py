"""The arithmetic of `benchmarks/speech.py`, on a virtual clock."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from benchmarks.speech import Cell, Measured, Spoken, at_once, listen, spoken_reply, tables
from deployments.media.audio import VOICE_RATE_HZ, silence
from deployments.tts.contract import SpeechBlock, SpeechRequest
from tests.virtual_time import run_virtual


async def hesitating(request: SpeechRequest) -> AsyncGenerator[SpeechBlock, None]:
    """Blocks of 100 ms: the first after 50 ms, the second with it, the third 400 ms later."""
    for wait_s in (0.05, 0.0, 0.4):
        await asyncio.sleep(wait_s)
        yield SpeechBlock(silence(100, VOICE_RATE_HZ))


def test_an_under_run_is_how_long_a_listener_had_nothing() -> None:
    spoken = run_virtual(listen(hesitating, "hello", VOICE_RATE_HZ))
    assert spoken.first_ms == pytest.approx(50)
    assert spoken.audio_s == pytest.approx(0.3)
    assert spoken.blocks == 3
    assert spoken.under_run_s == pytest.approx(0.2), "two blocks last 200 of the 400 ms"


def test_c100_counts_requests_of_several_blocks() -> None:
    smooth, gap, short = Spoken(1, 1, 3, 0.1), Spoken(1, 1, 3, 0.11), Spoken(1, 0.1, 1, 0.0)
    assert Cell("graph", 1, 1.0, [smooth, gap, smooth, smooth, short]).c100 == 0.75


def test_all_listeners_are_counted() -> None:
    cell = run_virtual(at_once("bare engine", hesitating, VOICE_RATE_HZ, 4, 3))
    assert len(cell.spoken) == 12
    assert cell.audio_s_per_s == pytest.approx(12 * 0.3 / (3 * 0.45))


def test_two_clauses_at_once_make_the_reply_faster_and_the_tables_say_so() -> None:
    async def both() -> Measured:
        cells = [Cell(way, n, 1.0, [Spoken(2.0, 1.0, 3, 0.0)]) for way in ("bare engine", "graph") for n in (1, 4, 16)]
        return Measured("fake", cells, [await spoken_reply(1), await spoken_reply(2)])

    measured = run_virtual(both())
    one, two = measured.replies
    assert one.seconds == pytest.approx(26 * 0.4, rel=0.02), "one after the other"
    assert one.seconds / two.seconds >= 1.8
    assert "clauses at once" in tables(measured)[1].text()
