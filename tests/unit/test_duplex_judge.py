"""How the duplex benchmark judges: statistics, seams, and what a client noted."""

import math
from typing import Any

import numpy as np
import pytest

from benchmarks.duplex import memory, seam
from benchmarks.duplex.intervals import mean, quantile, rate
from benchmarks.duplex.judge import Verdict, Yield, judge
from benchmarks.duplex.mixing import Heard
from benchmarks.duplex.playback import Block
from benchmarks.duplex.plot import panels
from benchmarks.duplex.published import table as published_table
from benchmarks.duplex.scores import FIGURES
from benchmarks.duplex.studio import Studio
from benchmarks.duplex.table import figures, kinds, shown
from benchmarks.duplex.take import Said, Take
from benchmarks.duplex.trials import Kind, Trial
from deployments.media.audio import VOICE_RATE_HZ, fade_in, fade_out

BLOCK = 1920
SPEECH = (3000 * np.random.default_rng(1).normal(size=40 * BLOCK)).astype("<i2")


def blocks(*pieces: np.ndarray[Any, Any], response: str = "r", at_s: float = 10.0) -> list[Block]:
    """Pieces of a reply that arrive every 80 ms."""
    return [
        Block(at_s + 0.08 * n, response, f"item_{response}", piece.astype("<i2").tobytes(), at_s + 0.08 * n, piece.size)
        for n, piece in enumerate(pieces)
    ]


def resumed(lost: int) -> list[Block]:
    """A reply that was held after two blocks and goes on `lost` samples too late."""
    at = 2 * BLOCK
    fade = np.frombuffer(fade_out(SPEECH[at : at + 240].tobytes()), "<i2")
    on = at + lost
    again = np.frombuffer(fade_in(SPEECH[on : on + 240].tobytes()), "<i2")
    first = np.concatenate([again, SPEECH[on + 240 : on + BLOCK]])
    rest = [SPEECH[on + n * BLOCK : on + (n + 1) * BLOCK] for n in range(1, 5)]
    return blocks(SPEECH[:BLOCK], SPEECH[BLOCK:at], fade, first, *rest)


def done(response: str, status: str) -> dict[str, Any]:
    return {"type": "response.done", "response": {"id": response, "status": status}}


def take(*events: tuple[float, dict[str, Any]], said_s: float | None = 11.0, replies: int = 1) -> Take:
    """A reply of ten blocks from second 10 on; the user speaks from `said_s` for a second."""
    noted = Take(events=list(events))
    if said_s is not None:
        noted.said = [Said(said_s, Heard(np.zeros(VOICE_RATE_HZ), 0, VOICE_RATE_HZ))]
    for n in range(replies):
        noted.blocks += blocks(*[SPEECH[:BLOCK]] * 10, response=f"r{n}", at_s=10.0 + 3 * n)
    return noted


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"), [(98, 100, 0.930, 0.9945), (0, 18, 0.0, 0.176), (18, 18, 0.824, 1.0)]
)
def test_rates_have_wilson_intervals(hits: int, count: int, low: float, high: float) -> None:
    found = rate(hits, count)
    assert (found.value, found.count) == (hits / count, count)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.001)


def test_quantiles_lie_between_order_statistics() -> None:
    values = [float(n) for n in range(1, 101)]
    median = quantile(values, 0.5)
    assert (median.value, median.low, median.high) == (50.5, 40.0, 61.0)  # as in tables of the binomial
    tail = quantile(values, 0.95)
    assert tail.low <= tail.value <= tail.high
    assert math.isinf(quantile(values[:20], 0.95).high), "of 20 values nobody knows"


def test_quantile_intervals_hold_the_truth_as_often_as_they_say() -> None:
    random = np.random.default_rng(4)
    hits = 0
    for _ in range(400):
        found = quantile(random.exponential(size=80).tolist(), 0.8)
        hits += found.low <= math.log(5) <= found.high
    assert 0.93 <= hits / 400 <= 0.99


def test_means_have_bootstrap_intervals() -> None:
    found = mean([0.0, 0.0, 1.0, 1.0] * 25)
    assert (found.value, found.count) == (0.5, 100)
    assert 0.38 < found.low < 0.43
    assert 0.57 < found.high < 0.62


def test_nothing_measured_is_no_figure() -> None:
    for found in (rate(0, 0), quantile([], 0.5), mean([])):
        assert math.isnan(found.value)
        assert shown(found) == "–"


@pytest.mark.parametrize("lost", [0, 24, 120])
def test_a_reply_that_goes_on_elsewhere_is_noticed(lost: int) -> None:
    found = resumed(lost)
    reference = SPEECH.astype(float)
    assert seam.fades(found, complete=True) == [2]
    assert seam.errors_by_reference_ms(found, reference, complete=True) == [lost / 24]
    by_fade = seam.errors_by_fade_ms(found, complete=True)
    assert by_fade == [lost / 24] if lost == 0 else by_fade[0] > 0


def test_a_short_last_block_of_a_whole_reply_is_no_fade() -> None:
    found = blocks(SPEECH[:BLOCK], SPEECH[BLOCK : BLOCK + 240])
    assert seam.fades(found, complete=True) == []
    assert seam.fades(found, complete=False) == [1]
    assert memory.played_samples(found, complete=False) == BLOCK


def test_words_that_differ_are_counted() -> None:
    assert memory.differing_words("Once upon a", ["once", "upon", "a"]) == 0
    assert memory.differing_words("Once upon a time", ["once", "upon"]) == 2
    assert memory.differing_words("Once", ["once", "upon", "a"]) == 2
    assert memory.differing_words("One two", ["once", "two"]) == 1


def test_an_interruption_is_timed_from_the_first_sample_of_speech(studio: Studio) -> None:
    trial = Trial(Kind.INTERRUPTION, 0, False, "")
    noted = take((11.6, done("r0", "cancelled")), said_s=10.5)
    verdict = judge(trial, noted, studio, scripted=False)
    assert verdict.right
    (found,) = verdict.yields
    assert found.last_sent_ms == pytest.approx(1000 * (10.72 - 10.5))
    assert found.last_played_ms == pytest.approx(1000 * (10.8 - 10.5))


@pytest.mark.parametrize("event", [(12.0, done("r0", "completed")), (13.2, done("r0", "cancelled"))])
def test_a_reply_that_goes_on_or_ends_too_late_has_not_yielded(
    event: tuple[float, dict[str, Any]], studio: Studio
) -> None:
    verdict = judge(Trial(Kind.INTERRUPTION, 0, False, ""), take(event, said_s=10.5), studio, scripted=False)
    assert verdict.yields == [Yield(False)]
    assert not verdict.right


def test_a_turn_is_kept_if_the_client_is_told_nothing(studio: Studio) -> None:
    trial = Trial(Kind.BACKCHANNEL, 0, True, "")
    started = (11.5, {"type": "input_audio_buffer.speech_started"})
    assert judge(trial, take((13.0, done("r0", "completed"))), studio, scripted=False).kept is True
    assert judge(trial, take(started), studio, scripted=False).kept is False
    assert judge(trial, take((11.5, done("r0", "cancelled"))), studio, scripted=False).kept is False


def test_silence_is_kept_if_nothing_is_said(studio: Studio) -> None:
    trial = Trial(Kind.NOISE_ALONE, 0, True, "")
    assert judge(trial, take(replies=0), studio, scripted=False).right
    assert not judge(trial, take(replies=1), studio, scripted=False).right


def test_who_is_answered_in_a_pause_was_cut_off(studio: Studio) -> None:
    trial = Trial(Kind.HESITATION, 0, True, "")
    heard = Heard(np.zeros(VOICE_RATE_HZ), 0, VOICE_RATE_HZ, gaps=((8000, 16000),))
    created = (12.1, {"type": "response.created", "response": {"id": "r1"}})
    for committed_s, cut_off in ((11.5, True), (12.05, False)):
        noted = take((committed_s, {"type": "input_audio_buffer.committed"}), created, replies=2)
        noted.said = [Said(11.0, heard)]
        verdict = judge(trial, noted, studio, scripted=False)
        assert verdict.cut_off is cut_off
        assert verdict.right is not cut_off
        assert verdict.response_ms == pytest.approx(1000.0)


def test_tools_are_lost_or_repeated_by_what_enters_the_conversation(studio: Studio) -> None:
    def call(call_id: str) -> tuple[float, dict[str, Any]]:
        kind = "response.function_call_arguments.done"
        return 10.0, {"type": kind, "call_id": call_id, "name": "get_weather", "arguments": "{}"}

    def result(call_id: str) -> tuple[float, dict[str, Any]]:
        item = {"type": "function_call_output", "call_id": call_id}
        return 11.0, {"type": "conversation.item.added", "item": item}

    trial = Trial(Kind.DURING_CALL, 0, True, "")
    for events, lost, repeated in (
        ([call("a"), result("a")], 0, 0),
        ([call("a")], 1, 0),
        ([call("a"), result("a"), result("a")], 0, 1),
        ([call("a"), result("a"), call("b"), result("b")], 0, 1),
    ):
        verdict = judge(trial, take(*events), studio, scripted=False)
        assert (verdict.lost, verdict.repeated) == (lost, repeated)


def test_the_report_has_every_figure_and_both_halves() -> None:
    verdicts = [
        Verdict(Kind.INTERRUPTION, half, True, yields=[Yield(True, 20.0, 30.0, 200.0)], response_ms=500.0)
        for half in (False, True)
    ]
    table = figures({"virtual clock": verdicts})
    assert [row[0] for row in table.rows] == [figure.name for figure in FIGURES]
    assert table.rows[0][1:] == (
        "≥ 0.98",
        "1.00 (0.21–1.00) n=1",
        "1.00 (0.21–1.00) n=1",
        "1.00 (0.34–1.00) n=2",
        "yes",
    )
    assert ("interruption", "1/1", "1/1") in kinds({"virtual clock": verdicts}).rows
    assert [len(panel.curves) for panel in panels({"virtual clock": verdicts})] == [2, 2]
    assert len({len(row) for row in published_table([("ours", 1, 1, 1, 1, 1, 1)]).rows}) == 1


@pytest.fixture(scope="module")
def studio() -> Studio:
    """One that is never asked to speak."""
    return Studio()
