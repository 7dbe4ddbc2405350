"""The sticky table, and the router around it between real replicas."""

import asyncio
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

import pytest
from ray import serve
from ray.serve._private.common import DeploymentHandleSource, DeploymentID, RequestMetadata
from ray.serve._private.request_router.common import PendingRequest
from ray.serve.config import RequestRouterConfig
from ray.serve.handle import DeploymentHandle

from configs.schema import EngineChoice
from deployments.llm.contract import Finished, LlmItem, LlmRequest, Message
from deployments.llm.deployment import Llm
from deployments.runtime.calls import ServeStream, broadcast, call
from deployments.runtime.errors import NotFound
from deployments.runtime.model_report import ReplicaModels
from deployments.runtime.residents_stat import residents_in
from deployments.runtime.router import StickyRouter
from deployments.runtime.sticky_table import StickyTable
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


def test_a_session_goes_to_a_replica_that_has_its_model() -> None:
    table = StickyTable()
    for n in range(3):
        table.choose(f"s{n}", ["a"], 0.0)
    assert table.choose("t", ["a", "b"], 0.0, model="m", having=["a"]) == "a"
    assert table.choose("t", ["a", "b"], 0.0, model="m", having=["b"]) == "a", "it stays where it is"
    assert table.choose("t", ["a", "b"], 0.0) == "b", "without a model it is another matter"
    assert table.choose("u", ["a", "b"], 0.0, model="m", having=["gone"]) == "a", "t has had it loaded there"


def test_a_replica_is_not_overfilled_for_its_model() -> None:
    table = StickyTable(model_lead=3)
    chosen = [table.choose(f"s{n}", ["a", "b"], 0.0, model="m", having=["a"]) for n in range(6)]
    assert chosen == ["a", "a", "a", "b", "a", "b"]


def test_a_model_that_nobody_has_goes_where_the_fewest_sessions_are_and_stays_there() -> None:
    table = StickyTable(idle_s=10)
    table.choose("s", ["a"], 0.0)
    assert table.choose("t", ["a", "b"], 0.0, model="m") == "b"
    assert table.choose("u", ["a", "b"], 0.0, model="m") == "b"
    table.choose("v", ["b"], 20.0)
    assert table.choose("w", ["a", "b"], 20.0, model="m") == "a", "those with the model are forgotten"


@pytest.mark.parametrize("wrong", [{"idle_s": 0.0}, {"max_sessions": 0}, {"model_lead": 0}])
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

    def test_calls_go_to_the_replica_that_has_their_model(self, serve_url: str) -> None:
        handle = deploy_models()
        try:
            asyncio.run(prefer_the_one_that_has_it(handle))
        finally:
            serve.delete("models")


def deploy_models() -> DeploymentHandle[Any]:
    """Two replicas, each with one model of two."""
    options = {"models": {"small": {}, "large": {"load_ms": 100}}, "residency": {"budget_gib": 2}}
    choice = EngineChoice(engine="fake", options=options)
    router = {
        "request_router_class": "deployments.runtime.router:StickyRouter",
        "request_routing_stats_period_s": 0.2,
    }
    app = serve.deployment(
        name="Llm",
        num_replicas=2,
        ray_actor_options={"num_cpus": 0},
        max_ongoing_requests=100,
        graceful_shutdown_wait_loop_s=0.1,
        graceful_shutdown_timeout_s=2.0,
        request_router_config=RequestRouterConfig.model_validate(router),
    )(Llm).bind(choice)
    handle: DeploymentHandle[Any] = serve.run(app, name="models", route_prefix=None)
    return handle


async def prefer_the_one_that_has_it(handle: DeploymentHandle[Any]) -> None:
    async def having_large() -> set[str]:
        answers = await broadcast(handle, "list_models", deadline_s=10)
        assert len(answers) == 2
        return {each.replica for each in answers for m in each.models if (m.name, m.state) == ("large", "resident")}

    def told() -> set[str]:
        router: Any = handle._router
        replicas = router._asyncio_router.request_router.curr_replicas.values()
        return {each.replica_id.unique_id for each in replicas if "large" in residents_in(each.routing_stats)}

    async def generate(session_id: str) -> None:
        request = LlmRequest((Message("user", "hello"),), model="large", session_id=session_id)
        async with aclosing(
            ServeStream[LlmRequest, LlmItem](handle, "generate").stream(request, deadline_s=10)
        ) as items:
            assert [type(item) async for item in items][-1] is Finished

    assert await having_large() == set()
    loaded: ReplicaModels = await call(handle, "load_model", "large", deadline_s=10)
    async with asyncio.timeout(20):
        while told() != {loaded.replica}:  # noqa: ASYNC110 - the controller tells the router, which wakes nobody
            await asyncio.sleep(0.05)
    await asyncio.gather(*(generate(session_id) for session_id in ["", *map(str, range(6))] * 2))
    assert await having_large() == {loaded.replica}
    answers = await broadcast(handle, "load_model", "huge", deadline_s=10)
    assert [type(each) for each in answers] == [NotFound, NotFound]
