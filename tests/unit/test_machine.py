"""The table is total, and its rows keep what the conversation promises."""

import itertools

import pytest

from serve_app.session.machine import REFUSED, TABLE, Effect, Event, IllegalTransition, State, step

PAIRS = list(itertools.product(State, Event))


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_every_pair_is_either_a_row_or_refused(state: State, event: Event) -> None:
    assert ((state, event) in TABLE) != ((state, event) in REFUSED)


@pytest.mark.parametrize(("state", "event"), sorted(REFUSED))
def test_a_missing_row_names_both_and_says_why(state: State, event: Event) -> None:
    with pytest.raises(IllegalTransition) as caught:
        step(state, event)
    assert str(caught.value) == f"{event} while {state}: {REFUSED[state, event]}"


def test_closing_works_from_everywhere_and_is_final() -> None:
    assert {step(state, Event.CLOSE)[0] for state in State} == {State.CLOSED}
    assert {step(State.CLOSED, event) for event in Event} == {(State.CLOSED, ())}


def test_every_state_can_be_reached_and_left() -> None:
    reached = {State.IDLE}
    while True:
        more = {row[0] for (state, _), row in TABLE.items() if state in reached} | reached
        if more == reached:
            break
        reached = more
    assert reached == set(State)
    for state in set(State) - {State.CLOSED}:
        assert any(row[0] is not state for (at, _), row in TABLE.items() if at is state)


def test_a_turn_runs_exactly_while_thinking_speaking_or_held() -> None:
    """START_TURN leads there, and every way out but the turn's own end cancels it."""
    busy = {State.THINKING, State.SPEAKING, State.HELD}
    for (state, event), (after, effects) in TABLE.items():
        if Effect.START_TURN in effects:
            assert after is State.THINKING
            assert state not in busy or Effect.CANCEL_TURN in effects
        if state in busy and after not in busy and event not in (Event.DONE, Event.CLOSE):
            assert Effect.CANCEL_TURN in effects, (state, event)
        if state not in busy and after in busy:
            assert Effect.START_TURN in effects, (state, event)


def test_playback_is_held_and_let_go_in_pairs() -> None:
    for (state, event), (after, effects) in TABLE.items():
        assert (Effect.HOLD in effects) == (after is State.HELD and state is not State.HELD), (state, event)
        assert (Effect.RELEASE in effects) == (state is State.HELD and after is State.SPEAKING), (state, event)


def test_the_client_learns_of_speech_before_its_reply_is_cut() -> None:
    for effects in (
        effects for _, effects in TABLE.values() if {Effect.ANNOUNCE_SPEECH, Effect.CANCEL_TURN} <= set(effects)
    ):
        first = min(effects.index(Effect.ANNOUNCE_SPEECH), effects.index(Effect.CANCEL_TURN))
        assert first == effects.index(Effect.ANNOUNCE_SPEECH) or Effect.BEGIN_UTTERANCE in effects
