import pytest

from deployments.avatar.ditto.law import WINDOW_FRAMES, Law, frames_lost

OVERLAPS = range(70, 76)


@pytest.mark.parametrize(("overlap", "lost"), [(10, 60), (20, 40), (39, 2), (40, 0), (60, 0), (70, 0), (75, 0)])
def test_a_short_overlap_loses_the_beginning(overlap: int, lost: int) -> None:
    assert frames_lost(overlap) == lost


@pytest.mark.parametrize("overlap", [-1, 0, 10, 39, 80, 100])
def test_overlaps_that_lose_frames_or_leave_none_are_refused(overlap: int) -> None:
    with pytest.raises(ValueError, match="overlap"):
        Law(overlap)


@pytest.mark.parametrize("overlap", [40, 60, *OVERLAPS])
def test_windows_finish_each_frame_once_in_order(overlap: int) -> None:
    law = Law(overlap)
    assert list(law.finishes(0)) == []
    finished = [frame for window in range(1, 30) for frame in law.finishes(window)]
    assert finished == list(range(len(finished)))
    assert all(frame in law.finishes(law.finishing(frame)) for frame in finished)


@pytest.mark.parametrize("overlap", [40, 60, *OVERLAPS])
def test_a_window_sees_what_it_and_the_next_one_finish(overlap: int) -> None:
    law = Law(overlap)
    for window in range(20):
        seen = law.sees(window)
        assert len(seen) == WINDOW_FRAMES
        assert seen.stop == law.finishes(window + 1).stop
        assert law.sees(window + 1).start - seen.start == law.valid


@pytest.mark.parametrize(
    ("overlap", "first_block_needs", "ahead_ms"),
    [(75, 1, 285.0), (70, 3, 685.0), (60, 7, 1485.0), (40, 15, 3085.0)],
)
def test_sound_needed_ahead(overlap: int, first_block_needs: int, ahead_ms: float) -> None:
    law = Law(overlap)
    assert law.last_block(0) == first_block_needs
    assert law.ahead_ms == ahead_ms


@pytest.mark.parametrize("overlap", OVERLAPS)
def test_no_block_needs_more_ahead_than_is_asked_for(overlap: int) -> None:
    law = Law(overlap)
    needs_ms = [200.0 * (law.last_block(block) - block) + 85.0 for block in range(500)]
    assert max(needs_ms) == law.ahead_ms


@pytest.mark.parametrize(("overlap", "windows_a_second"), [(70, 2.5), (75, 5.0)])
def test_how_often_the_motion_model_runs(overlap: int, windows_a_second: float) -> None:
    law = Law(overlap)
    assert (law.last_window(1000) - law.last_window(500)) / (500 * 0.2) == windows_a_second
