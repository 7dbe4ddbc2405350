"""What the benchmarks compute: percentiles, lateness, answers, tables. The measuring itself is `make bench`."""

import json
import math
from pathlib import Path

import pytest

from benchmarks.avatar_cost import Cost
from benchmarks.avatar_cost import table as cost_table
from benchmarks.cell import Cell
from benchmarks.first_audio import panels, table
from benchmarks.load import Result
from benchmarks.report import Curve, Panel, Table, draw
from benchmarks.sessions import Measured, keeps_real_time, tables
from benchmarks.sessions import panels as session_panels
from benchmarks.spread import Spread
from benchmarks.user import Answer, Turn, heard_s, lateness_ms
from benchmarks.voice import CLIPS, FRAME_S, FRAME_SAMPLES, load, room_noise
from deployments.media.audio import VOICE_RATE_HZ

BLOCK = 1440
"""60 ms."""


def reply(blocks: int, *, lead_ms: float = 240.0, transit_s: float = 0.004) -> list[tuple[float, int]]:
    """Arrivals of a reply that is sent at its pace from second 10 on."""
    lead_s = lead_ms / 1000
    ends = [BLOCK * (n + 1) for n in range(blocks)]
    return [(10 + max(0.0, end / VOICE_RATE_HZ - lead_s) + transit_s, end) for end in ends]


def cell(
    sessions: int = 2, *, lateness: tuple[float, ...] = (0.0, 5.0), decision_ms: float = 12.0, behind_ms: float = 0.0
) -> Cell:
    answers = [Answer(decision_ms, 20.0, decision_ms + 20.0, 18.0)]
    result = Result(1, answers, list(lateness), 0.8, [0.1, 0.2], behind_ms, 0.05)
    cores = {"gateway": 0.05, "stages": 0.01, "proxy": 0.02, "rest": 0.03}
    return Cell(sessions, result, cores, [(0.0, 201.0), (10.0, 203.0)], 0.4)


def test_spread_interpolates_between_values() -> None:
    spread = Spread.of([float(n) for n in range(1, 102)])
    assert (spread.count, spread.p50, spread.p95, spread.p99, spread.max) == (101, 51.0, 96.0, 100.0, 101.0)


def test_spread_of_nothing_is_no_number() -> None:
    spread = Spread.of([])
    assert spread.count == 0
    assert all(math.isnan(value) for value in (spread.p50, spread.p95, spread.p99, spread.max))


def test_reply_at_its_pace_is_never_late() -> None:
    assert lateness_ms(reply(20), 240) == pytest.approx([0.0] * 16, abs=1e-6)


def test_blocks_of_the_first_burst_have_no_pace() -> None:
    assert lateness_ms(reply(4), 240) == []
    assert lateness_ms([], 240) == []


def test_late_block_is_late_by_its_delay() -> None:
    arrivals = reply(20)
    at_s, end = arrivals[10]
    arrivals[10] = (at_s + 0.03, end)
    late = lateness_ms(arrivals, 240)
    assert max(late) == pytest.approx(30)
    assert sorted(late)[-2] == pytest.approx(0, abs=1e-6)


def test_slow_first_block_does_not_excuse_the_others() -> None:
    """The pace is the fastest block's, so what a slow start would hide is still counted."""
    arrivals = reply(20)
    arrivals[0] = (arrivals[0][0] + 0.05, arrivals[0][1])
    arrivals[12] = (arrivals[12][0] + 0.02, arrivals[12][1])
    assert max(lateness_ms(arrivals, 240)) == pytest.approx(20)


def test_a_gap_makes_everything_after_it_late() -> None:
    arrivals = [(at_s + (0.1 if n >= 10 else 0.0), end) for n, (at_s, end) in enumerate(reply(20))]
    assert lateness_ms(arrivals, 240)[-1] == pytest.approx(100)


def test_heard_time_leaves_out_the_first_block() -> None:
    assert heard_s(reply(11)) == pytest.approx(0.6)
    assert heard_s([]) == 0


def test_answer_counts_from_speech_plus_the_silence() -> None:
    answer = Turn(100.0, 100.52, 100.545, 22.0).answer(500)
    assert answer is not None
    assert answer.decision_late_ms == pytest.approx(20)
    assert answer.decision_to_audio_ms == pytest.approx(25)
    assert answer.speech_to_audio_ms == pytest.approx(45)
    assert answer.server_ms == 22.0


@pytest.mark.parametrize(
    "turn",
    [
        Turn(),
        Turn(speech_ended_s=1.0, first_audio_s=1.6, server_ms=5.0),
        Turn(speech_ended_s=1.0, stopped_s=1.5, server_ms=5.0),
        Turn(speech_ended_s=1.0, stopped_s=0.8, first_audio_s=0.9, server_ms=5.0),
    ],
)
def test_turn_cut_short_or_without_sound_is_no_answer(turn: Turn) -> None:
    assert turn.answer(500) is None


def test_speaking_on_voids_what_was_decided_before() -> None:
    turn = Turn(None, 1.0, 1.1, 9.0, [(1.1, 100)])
    turn.restart()
    assert turn == Turn()


@pytest.mark.parametrize(("name", "end_ms"), CLIPS)
def test_clip_ends_with_its_last_speech(name: str, end_ms: int) -> None:
    utterance = load(name, end_ms)
    assert utterance.last_frame == len(utterance.messages) - 1
    assert 0 <= utterance.rest_s < FRAME_S
    assert 200 < 1000 * utterance.last_sample / VOICE_RATE_HZ <= end_ms
    assert json.loads(utterance.messages[0])["type"] == "input_audio_buffer.append"


def test_room_noise_is_the_same_every_time() -> None:
    assert room_noise(3) == room_noise(3)
    assert len(json.loads(room_noise(1)[0])["audio"]) == 2 * FRAME_SAMPLES * 4 // 3


@pytest.mark.parametrize(
    ("subject", "kept"),
    [
        (cell(), True),
        (cell(lateness=(0.0,) * 50 + (300.0,) * 50), False),
        (cell(decision_ms=900.0), False),
        (cell(behind_ms=2000.0), False),
    ],
)
def test_real_time_is_lost_by_late_sound_late_decisions_or_a_full_pipe(subject: Cell, kept: bool) -> None:
    assert keeps_real_time(subject) is kept


def test_session_costs_what_it_adds() -> None:
    front = Measured("HAProxy", idle_cores=0.01, baseline_mb=200.0, cells=[cell(2)])
    assert front.cores_per_session(front.cells[0]) == pytest.approx(0.02)
    assert front.mb_per_session(front.cells[0]) == pytest.approx(1.5)


def test_table_is_markdown_and_aligned() -> None:
    text = Table("Title", ("name", "ms"), [("a", 1.234), ("long name", None), ("b", float("nan"))], "A note.").text()
    lines = text.splitlines()
    assert lines[0] == "Title"
    assert lines[2:4] == ["|      name |  ms |", "|----------:|----:|"]
    assert lines[4:7] == ["|         a | 1.2 |", "| long name |   – |", "|         b |   – |"]
    assert lines[-1] == "A note."
    assert len({len(line) for line in lines[2:7]}) == 1


def test_report_of_first_audio_has_a_row_a_cell() -> None:
    measured = [("instant", [cell(1), cell(5)]), ("embedded", [cell(1)])]
    assert [row[:2] for row in table(measured).rows] == [("instant", 1), ("instant", 5), ("embedded", 1)]
    assert [len(curve.points) for curve in panels(measured)[0].curves] == [2, 2, 1, 1]


def test_report_of_sessions_has_a_row_a_cell() -> None:
    measured = [
        Measured("HAProxy", 0.01, 200.0, [cell(1), cell(40)]),
        Measured("Serve's proxy", 0.01, 200.0, [cell(1)]),
    ]
    for each in tables(measured):
        assert [row[:2] for row in each.rows] == [("HAProxy", 1), ("HAProxy", 40), ("Serve's proxy", 1)]
        assert {len(row) for row in each.rows} == {len(each.columns)}
    assert session_panels(measured)[2].curves[0].points == [(0.0, 0.025), (10.0, 0.075)]


def test_cost_of_a_face_is_shown_by_part() -> None:
    cost = Cost(384, 579, 100.0, {"lips": 0.5, "H.264": 3.5}, 22.0, 400.0)
    assert cost_table(cost).rows == [("lips", 0.5, 0.0125), ("H.264", 3.5, 0.0875), ("together", 4.0, 0.1)]


def test_plot_is_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "plot.png"
    panel = Panel("Title", "sessions", "ms", [Curve("p50", [(1, 10.0), (5, 12.0)])], (("aim", 20.0),), log=True)
    draw([panel, panel], path, "on a machine")
    assert path.read_bytes().startswith(b"\x89PNG")
