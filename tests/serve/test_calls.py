"""`calls.py` between real replicas."""

from typing import Any

import pytest
from ray.serve.handle import DeploymentHandle

from tests.serve.probe import run

pytestmark = [pytest.mark.ray, pytest.mark.timeout(120)]

Caller = DeploymentHandle[Any]


def test_a_push_carries_its_session_and_its_bytes(caller: Caller) -> None:
    payload = bytes(range(256)) * 13
    answer = run(caller, "echo", payload)
    assert (answer.session_id, answer.payload) == ("s1", payload)


@pytest.mark.parametrize("count", [1, 500])
def test_a_stream_gives_all_items_in_order_and_ends(caller: Caller, count: int) -> None:
    assert [answer.session_id for answer in run(caller, "items", count)] == ["s2"] * count


def test_a_stream_that_is_over_before_the_caller_looks_is_whole(caller: Caller) -> None:
    assert run(caller, "items_on_a_busy_loop", 20, 1) == [1] * 20


@pytest.mark.parametrize("scenario", ["push_error", "stream_error"])
def test_our_errors_cross_as_they_are(caller: Caller, scenario: str) -> None:
    name, message, param, _, _ = run(caller, scenario, "StateLost")
    assert (name, message, param) == ("StateLost", "which session?", "utterance_id")


@pytest.mark.parametrize("scenario", ["push_error", "stream_error"])
def test_foreign_errors_become_engine_failed_with_their_cause(caller: Caller, scenario: str) -> None:
    name, message, _, cause, _ = run(caller, scenario, "the engine's own words")
    assert name == "EngineFailed"
    assert "Probe: ValueError: the engine's own words" in message
    assert "ValueError" in cause


def test_a_value_above_serves_limit_is_an_error(caller: Caller) -> None:
    with pytest.raises(Exception, match=r"Probe: RESOURCE_EXHAUSTED"):
        run(caller, "echo_of_size", 5 * 2**20)


def test_a_push_over_its_deadline_is_stopped(caller: Caller) -> None:
    (name, message, _, _, took_s), stopped = run(caller, "push_too_long")
    assert (name, message) == ("StageTimeout", "Probe did not answer within 0.2 s")
    assert took_s < 1
    assert stopped


def test_a_stream_whose_next_item_is_late_is_stopped(caller: Caller) -> None:
    seen, (name, _, _, _, took_s), stopped = run(caller, "stream_too_long")
    assert (seen, name) == (2, "StageTimeout")
    assert took_s < 2
    assert stopped


@pytest.mark.parametrize("kind", ["push", "stream"])
def test_a_cancelled_caller_stops_the_stage(caller: Caller, kind: str) -> None:
    assert run(caller, "caller_cancelled", kind)


def test_a_reader_that_leaves_stops_the_producer(caller: Caller) -> None:
    assert run(caller, "stream_left")


def test_no_call_goes_on_whenever_it_is_cancelled(caller: Caller) -> None:
    assert run(caller, "left_at_any_moment", 40) == 0


def test_calls_of_one_request_do_not_wait_for_each_other(caller: Caller) -> None:
    assert run(caller, "many_at_once", "probe", False) == 12
    assert run(caller, "many_at_once", "crowd", False) == 12


def test_a_killed_replica_breaks_a_push_off_at_once(caller: Caller) -> None:
    (name, message, _, _, took_s), next_one_works = run(caller, "killed_in_push")
    assert (name, message) == ("StageUnavailable", "Probe: the replica that had the call is gone")
    assert took_s < 3
    assert next_one_works


def test_a_killed_replica_breaks_a_stream_off_at_once(caller: Caller) -> None:
    (name, _, _, _, took_s), next_one_works = run(caller, "killed_in_stream")
    assert name == "StageUnavailable"
    assert took_s < 3
    assert next_one_works


def test_every_figure_can_be_recorded_in_a_replica(caller: Caller) -> None:
    assert run(caller, "count_metrics") is None
