"""The sticky table, and the router around it between real replicas."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Any, cast

import pytest
from ray.serve._private.common import DeploymentHandleSource, DeploymentID, RequestMetadata
from ray.serve._private.request_router.common import PendingRequest
from ray.serve.handle import DeploymentHandle

from deployments.runtime.router import StickyRouter, StickyTable
from tests.serve.probe import run


def test_sessions_go_where_the_fewest_are() -> None:
    table = StickyTable()
    chosen = Counter(table.choose(f"s{n}", ["a", "b", "c"], 0.0) for n in range(9))
    assert chosen == {"a": 3, "b": 3, "c": 3}


def test_a_session_stays_where_it_is() -> None:
    table = StickyTable()
    first = table.choose("s", ["a", "b"], 0.0)
    for n in range(20):
        table.choose(f"other{n}", ["a", "b"], 0.0)
    assert table.choose("s", ["a", "b", "c"], 1.0) == first


def test_a_new_replica_gets_the_next_sessions() -> None:
    table = StickyTable()
    for n in range(4):
        table.choose(f"s{n}", ["a"], 0.0)
    assert {table.choose(f"t{n}", ["a", "b"], 0.0) for n in range(4)} == {"b"}


def test_a_session_moves_when_its_replica_is_gone_and_not_back() -> None:
    table = StickyTable()
    assert table.choose("s", ["a"], 0.0) == "a"
    assert table.choose("s", ["b"], 1.0) == "b"
    assert table.choose("s", ["a", "b"], 2.0) == "b"


def test_an_idle_session_is_forgotten_and_counts_no_more() -> None:
    table = StickyTable(idle_s=10)
    for n in range(5):
        table.choose(f"old{n}", ["a"], 0.0)
    table.choose("kept", ["a"], 5.0)
    assert len(table) == 6
    assert table.choose("new", ["a", "b"], 10.0) == "b"
    assert len(table) == 2


def test_use_keeps_a_session() -> None:
    table = StickyTable(idle_s=10)
    home = table.choose("s", ["a", "b"], 0.0)
    for second in range(5, 100, 5):
        assert table.choose("s", ["a", "b"], float(second)) == home


def test_the_table_is_bounded_and_drops_the_least_recent() -> None:
    table = StickyTable(max_sessions=3)
    for n in range(3):
        table.choose(f"s{n}", ["a"], float(n))
    table.choose("s0", ["a"], 3.0)
    table.choose("s3", ["a"], 4.0)
    assert len(table) == 3
    assert table.choose("s0", ["a", "b"], 5.0) == "a"
    assert table.choose("s1", ["a", "b"], 5.0) == "b"


def test_equal_replicas_are_not_always_taken_in_the_same_order() -> None:
    first = {StickyTable().choose(f"s{n}", ["a", "b", "c"], 0.0) for n in range(50)}
    assert first == {"a", "b", "c"}


@pytest.mark.parametrize("wrong", [{"idle_s": 0.0}, {"max_sessions": 0}])
def test_senseless_bounds_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        StickyTable(**wrong)


@dataclass(frozen=True)
class Name:
    unique_id: str


@dataclass(frozen=True)
class Replica:
    replica_id: Name


def ranks(calls: int, **kwargs: Any) -> list[list[set[str]]]:
    """Of the replicas for each call of one session, those that Serve asks first, and then, if these are full."""

    async def main() -> list[list[set[str]]]:
        router = StickyRouter(DeploymentID("Llm"), DeploymentHandleSource.REPLICA)
        router.initialize_state(**kwargs)
        replicas = cast("Any", [Replica(Name(name)) for name in "abc"])
        metadata = RequestMetadata(request_id="r", internal_request_id="i", session_id="s")
        chosen = [await router.choose_replicas(replicas, PendingRequest([], {}, metadata)) for _ in range(calls)]
        return [[{replica.replica_id.unique_id for replica in rank} for rank in each] for each in chosen]

    return asyncio.run(main())


def test_a_session_waits_for_its_replica() -> None:
    assert ranks(2) == [[{"a"}]] * 2


def test_a_session_that_may_leave_tries_its_own_replica_first_each_time() -> None:
    assert ranks(2, leave_when_full=True) == [[{"a"}, {"b", "c"}]] * 2


@pytest.mark.ray
@pytest.mark.timeout(120)
class TestBetweenReplicas:
    """Three replicas, one caller."""

    def test_sessions_are_spread_and_stick(self, caller: DeploymentHandle[Any]) -> None:
        seats = run(caller, "seats", 12, 5)
        assert all(len(pids) == 1 for pids in seats.values()), seats
        counts = Counter(pids[0] for pids in seats.values())
        assert len(counts) == 3
        assert max(counts.values()) - min(counts.values()) <= 2, "the table also holds the sessions of other tests"

    def test_calls_without_a_session_use_every_replica(self, caller: DeploymentHandle[Any]) -> None:
        assert len(run(caller, "without_session", 30)) == 3

    def test_a_full_replica_is_passed_by_where_that_is_allowed(self, caller: DeploymentHandle[Any]) -> None:
        for session in ("a", "b", "c"):
            home, elsewhere, back = run(caller, "one_too_many", session)
            assert elsewhere != home
            assert back == home

    def test_calls_of_one_request_need_no_ids_of_their_own(self, caller: DeploymentHandle[Any]) -> None:
        assert run(caller, "many_at_once", "crowd", True) == 6

    def test_only_the_sessions_of_a_dead_replica_move(self, caller: DeploymentHandle[Any]) -> None:
        before, after, killed = run(caller, "kill_one_of_the_crowd", 6)
        moved = {session_id for session_id in before if before[session_id] != after[session_id]}
        assert moved == {session_id for session_id, pid in before.items() if pid == killed}
        assert len(moved) == 2
        assert killed not in after.values()
