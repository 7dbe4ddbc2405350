"""The duplex benchmark on the virtual clock, from end to end: real session, real protocol, real detector."""

from collections.abc import Iterator

import pytest

from benchmarks.duplex.memory import heard_words, reply_to
from benchmarks.duplex.runs import on_virtual_clock
from benchmarks.duplex.studio import Studio
from benchmarks.duplex.trials import Kind, Trial

STORY = "tell me a long story about the sea"


@pytest.fixture(scope="module")
def studio() -> Iterator[Studio]:
    with Studio() as opened:
        yield opened


def test_one_who_speaks_over_a_reply_gets_the_turn(studio: Studio) -> None:
    trial = Trial(Kind.INTERRUPTION, 1, False, STORY, ("wait, I have a question",), "en-us", delay_ms=1500)
    (verdict,) = on_virtual_clock([trial], studio)
    assert verdict.right
    (found,) = verdict.yields
    assert found.last_sent_ms is not None
    assert found.last_sent_ms < 150
    assert verdict.heard_words == [0]
    assert verdict.response_ms is not None
    assert 500 <= verdict.response_ms < 600


def test_one_who_agrees_does_not_and_the_reply_goes_on_at_the_sample(studio: Studio) -> None:
    trial = Trial(Kind.BACKCHANNEL, 2, False, STORY, ("yeah",), "en-us", delay_ms=1500)
    (verdict,) = on_virtual_clock([trial], studio)
    assert verdict.kept
    assert verdict.held == 1
    assert verdict.resume_ms == [0.0]
    assert verdict.pause_ms > 100


def test_a_slammed_door_and_an_echo_disturb_nobody(studio: Studio) -> None:
    door = Trial(Kind.NOISE, 3, False, STORY, noise="door", delay_ms=1500)
    echo = Trial(Kind.ECHO, 4, False, STORY, snr_db=20, echo_db=-12, echo_delay_ms=150)
    for verdict in on_virtual_clock([door, echo], studio):
        assert verdict.kept
        assert verdict.held == 0


def test_a_call_that_is_talked_over_is_made_and_answered_once(studio: Studio) -> None:
    ask = "what is the weather in Paris"
    trial = Trial(Kind.DURING_CALL, 5, False, ask, ("wait, I have a question",), "en-us", delay_ms=300)
    (verdict,) = on_virtual_clock([trial], studio)
    assert (verdict.calls, verdict.lost, verdict.repeated) == (1, 0, 0)
    assert verdict.right


def test_a_rerun_gives_the_same_verdicts(studio: Studio) -> None:
    trial = Trial(Kind.INTERRUPTION, 6, True, STORY, ("hi_how_are_you",), snr_db=10, pitch=1.04, delay_ms=1200)
    assert on_virtual_clock([trial], studio) == on_virtual_clock([trial], studio)


def test_heard_words_grow_with_what_was_played(studio: Studio) -> None:
    text = reply_to(STORY)
    some, more = heard_words(text, 24_000, studio), heard_words(text, 72_000, studio)
    assert 0 < len(some) < len(more)
    assert more[: len(some)] == some
    assert text.lower().startswith(some[0])
