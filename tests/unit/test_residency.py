"""Models that are loaded while others are used: who waits for what, and that no sequence of calls breaks a rule."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.residency import ResidencyConfig
from deployments.runtime.clock import now_s
from deployments.runtime.errors import ConfigError, Conflict, NotFound, ParleyError, ServerFull, StageUnavailable
from deployments.runtime.residency import CLOSE_WAIT_S, Lease, Residency
from tests.virtual_time import run_virtual

SIZES = {"a": 1.0, "b": 2.0, "c": 2.5, "d": 4.0}
LOAD_S = 5.0
UNLOAD_S = 1.0


class Model:
    """Takes memory from the beginning of its load to the end of its unloading."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.warm = False


class Loader:
    """Loads by the clock, and fails if anything is there twice or there is too much of it."""

    def __init__(self, budget_gib: float | None = None) -> None:
        self.budget_gib = budget_gib
        self.loads: Counter[str] = Counter()
        self.fails: Counter[str] = Counter()
        """How often each is yet to fail."""
        self.cold: set[str] = set()
        """Those whose warm-up fails."""
        self.when_warm: Callable[[], object] = lambda: None
        """Called with the end of each warm-up."""
        self.memory: dict[str, Model | None] = {}
        self.leased: Counter[str] = Counter()

    async def load(self, name: str) -> Model:
        assert name not in self.memory, "loaded twice"
        self.loads[name] += 1
        self.memory[name] = None
        assert self.budget_gib is None or sum(SIZES[each] for each in self.memory) <= self.budget_gib
        try:
            await asyncio.sleep(LOAD_S)
            if self.fails[name]:
                self.fails[name] -= 1
                raise ConfigError(f"no file for {name}")
        except BaseException:
            del self.memory[name]
            raise
        self.memory[name] = Model(name)
        return Model(name)

    async def warm_up(self, model: Model) -> None:
        await asyncio.sleep(1)
        if model.name in self.cold:
            raise RuntimeError("it does not run")
        model.warm = True
        self.when_warm()

    async def unload(self, model: Model) -> None:
        assert not self.leased[model.name], "unloaded in use"
        await asyncio.sleep(UNLOAD_S)
        del self.memory[model.name]


def scene(
    act: Callable[[Residency[Model], Loader], Awaitable[None]],
    config: ResidencyConfig | None = None,
    fails: dict[str, int] | None = None,
) -> None:
    """Start, act, close; nothing may be left."""

    async def play() -> None:
        loader = Loader(None if config is None else config.budget_gib)
        loader.fails.update(fails or {})
        residency = Residency(loader, SIZES, config or ResidencyConfig())
        await residency.start()
        await act(residency, loader)
        await residency.close()
        assert loader.memory == {}
        assert len(asyncio.all_tasks()) == 1

    run_virtual(play())


def states(residency: Residency[Model]) -> dict[str, str]:
    return {each.name: each.state for each in residency.report()}


def test_default_and_preloaded_are_there_and_warm_at_the_start() -> None:
    async def act(residency: Residency[Model], loader: Loader) -> None:
        assert now_s() == 6, "at the same time"
        assert residency.residents == ("b", "c")
        assert residency.names == ("c", "a", "b", "d")
        async with residency.use() as model:
            assert model.name == "c"
            assert model.warm
        assert loader.loads == {"b": 1, "c": 1}

    scene(act, ResidencyConfig(default="c", preload=("b",), max_loads=2))


def test_what_the_loader_raises_at_the_start_is_raised() -> None:
    with pytest.raises(ConfigError, match="no file for b"):
        scene(lambda *_: asyncio.sleep(0), ResidencyConfig(preload=("b",)), fails={"b": 1})


def test_all_who_want_a_model_wait_for_one_load() -> None:
    async def act(residency: Residency[Model], loader: Loader) -> None:
        leases = await asyncio.gather(*(residency.lease("b") for _ in range(5)))
        assert loader.loads["b"] == 1
        assert all(lease.model.warm for lease in leases)
        assert next(each for each in residency.report() if each.name == "b").in_use == 5
        for lease in leases:
            lease.release()
            lease.release()  # may be told twice
        assert next(each for each in residency.report() if each.name == "b").in_use == 0

    scene(act)


def test_a_slow_load_holds_up_nobody_else() -> None:
    async def act(residency: Residency[Model], _: Loader) -> None:
        loading = asyncio.create_task(residency.load("d"))
        await asyncio.sleep(1)
        began_s = now_s()
        async with residency.use("a"):
            assert now_s() == began_s
        assert states(residency)["d"] == "loading"
        await loading

    scene(act)


def test_a_failed_load_is_told_to_all_who_wait_and_tried_again_after_a_while() -> None:
    async def act(residency: Residency[Model], loader: Loader) -> None:
        outcomes = await asyncio.gather(*(residency.lease("b") for _ in range(3)), return_exceptions=True)
        assert [str(each) for each in outcomes] == ["The model 'b' could not be loaded: no file for b"] * 3
        assert all(isinstance(each, StageUnavailable) and each.retryable for each in outcomes)
        assert states(residency)["b"] == "failed"
        with pytest.raises(StageUnavailable, match="no file for b"):
            await residency.lease("b")
        assert loader.loads["b"] == 1, "not tried at once"
        await asyncio.sleep(30)
        async with residency.use("b"):
            assert loader.loads["b"] == 2
        assert states(residency)["b"] == "resident"

    scene(act, fails={"b": 1})


def test_an_operator_need_not_wait_after_a_failure() -> None:
    async def act(residency: Residency[Model], loader: Loader) -> None:
        with pytest.raises(StageUnavailable):
            await residency.load("b")
        await residency.load("b")
        assert residency.residents == ("a", "b")

    scene(act, fails={"b": 1})


def test_a_model_whose_warm_up_fails_is_unloaded_again() -> None:
    async def act(residency: Residency[Model], loader: Loader) -> None:
        loader.cold.add("b")
        with pytest.raises(StageUnavailable, match="it does not run"):
            await residency.lease("b")
        assert "b" not in loader.memory

    scene(act)


def test_who_gives_up_does_not_stop_the_load_for_others() -> None:
    async def act(residency: Residency[Model], loader: Loader) -> None:
        waiters = [asyncio.create_task(residency.lease("b")) for _ in range(2)]
        await asyncio.sleep(1)
        waiters[0].cancel()
        lease = await waiters[1]
        assert waiters[0].cancelled()
        assert next(each for each in residency.report() if each.name == "b").in_use == 1
        lease.release()
        assert loader.loads["b"] == 1

    scene(act)


def test_a_lease_granted_to_one_who_has_gone_is_given_back() -> None:
    async def act(residency: Residency[Model], loader: Loader) -> None:
        waiter = asyncio.create_task(residency.lease("b"))
        # Between the load's end and the waiter's waking.
        loader.when_warm = lambda: asyncio.get_running_loop().call_soon(waiter.cancel)
        with pytest.raises(asyncio.CancelledError):
            await waiter
        assert residency.residents == ("a", "b")
        assert all(each.in_use == 0 for each in residency.report())

    scene(act)


def test_one_who_goes_with_the_end_of_the_load_gets_no_lease() -> None:
    async def act(residency: Residency[Model], loader: Loader) -> None:
        waiter = asyncio.create_task(residency.lease("b"))
        loader.when_warm = waiter.cancel
        with pytest.raises(asyncio.CancelledError):
            await waiter
        assert residency.residents == ("a", "b")
        assert all(each.in_use == 0 for each in residency.report())

    scene(act)


def test_a_load_that_nobody_wants_any_more_is_not_begun() -> None:
    async def act(residency: Residency[Model], loader: Loader) -> None:
        first = asyncio.create_task(residency.load("b"))
        second = asyncio.create_task(residency.load("c"))
        await asyncio.sleep(1)
        assert states(residency) == {"a": "resident", "b": "loading", "c": "waiting", "d": "absent"}
        second.cancel()
        await first
        await asyncio.sleep(60)
        assert loader.loads["c"] == 0

    scene(act)


def test_a_load_waits_until_room_is_given_back() -> None:
    async def act(residency: Residency[Model], _: Loader) -> None:
        lease = await residency.lease("b")
        waiting = asyncio.create_task(residency.lease("d"))
        await asyncio.sleep(100)
        assert states(residency)["d"] == "waiting"
        assert states(residency)["b"] == "resident"
        lease.release()
        (await waiting).release()
        assert residency.residents == ("a", "d")

    scene(act, ResidencyConfig(budget_gib=5))


def test_what_is_idle_is_unloaded_in_time() -> None:
    async def act(residency: Residency[Model], _: Loader) -> None:
        async with residency.use("b"):
            await asyncio.sleep(100)
        await asyncio.sleep(59.9)
        assert "b" in residency.residents
        await asyncio.sleep(0.1 + UNLOAD_S)
        assert "b" not in residency.residents
        await asyncio.sleep(1000)
        assert residency.residents == ("a",), "the default stays"

    scene(act, ResidencyConfig(idle_s=60))


def test_by_hand() -> None:
    async def act(residency: Residency[Model], loader: Loader) -> None:
        await residency.unload("b")  # it is not there: nothing to do
        async with residency.use("a"):
            with pytest.raises(Conflict, match="used by 1"):
                await residency.unload("a")
        await residency.unload("a")
        assert loader.memory == {}
        with pytest.raises(NotFound, match="no model 'x'; there are: a, b, c, d"):
            await residency.load("x")

    scene(act)


def test_those_who_wait_are_bounded() -> None:
    async def act(residency: Residency[Model], _: Loader) -> None:
        waiters = [asyncio.create_task(residency.load("b")) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(ServerFull, match="2 requests already wait"):
            await residency.lease("b")
        await asyncio.gather(*waiters)

    scene(act, ResidencyConfig(max_waiting=2))


def test_the_end_stops_what_is_on_its_way_and_waits_a_little_for_what_is_used() -> None:
    async def play() -> None:
        loader = Loader()
        residency = Residency(loader, SIZES, ResidencyConfig())
        await residency.start()
        lease = await residency.lease("a")
        waiters = [asyncio.create_task(residency.lease(name)) for name in ("b", "c")]
        await asyncio.sleep(1)
        asyncio.get_running_loop().call_later(2, lease.release)
        began_s = now_s()
        await residency.close()
        assert now_s() - began_s == 2 + UNLOAD_S
        assert loader.memory == {}
        for waiter in waiters:
            with pytest.raises(StageUnavailable):
                await waiter
        with pytest.raises(StageUnavailable, match="closed"):
            await residency.lease("a")
        await residency.close()

    run_virtual(play())


def test_what_is_not_given_back_stays_at_the_end() -> None:
    async def play() -> None:
        loader = Loader()
        residency = Residency(loader, SIZES, ResidencyConfig())
        await residency.start()
        await residency.lease("a")
        began_s = now_s()
        await residency.close()
        assert now_s() - began_s == CLOSE_WAIT_S
        assert list(loader.memory) == ["a"]

    run_virtual(play())


CALLS = st.lists(
    st.tuples(
        st.sampled_from(["lease", "release", "cancel", "load", "unload", "fail", "wait", "wait"]),
        st.sampled_from(sorted(SIZES)),
        st.floats(min_value=0, max_value=12),
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(CALLS, st.integers(1, 2), st.sampled_from([None, 20.0]))
def test_no_sequence_of_calls_breaks_a_rule(
    calls: list[tuple[str, str, float]], max_loads: int, idle_s: float | None
) -> None:
    """`Loader` asserts that nothing is loaded twice, unloaded in use or over the budget."""

    async def play() -> None:
        loader = Loader(5.0)
        config = ResidencyConfig(budget_gib=5, max_loads=max_loads, idle_s=idle_s, retry_s=10)
        residency = Residency(loader, SIZES, config)
        await residency.start()
        held: list[Lease[Model]] = []
        asking: list[asyncio.Task[None]] = []

        async def lease(name: str) -> None:
            got = await residency.lease(name)
            assert got.model.warm
            loader.leased[name] += 1
            held.append(got)

        def release(got: Lease[Model]) -> None:
            loader.leased[got.name] -= 1
            got.release()

        for call, name, seconds in calls:
            if call == "lease":
                asking.append(asyncio.create_task(lease(name)))
            elif call == "load":
                asking.append(asyncio.create_task(residency.load(name)))
            elif call == "unload":
                asking.append(asyncio.create_task(residency.unload(name)))
            elif call == "fail":
                loader.fails[name] += 1
            elif call == "cancel" and asking:
                asking[int(seconds * 7) % len(asking)].cancel()
            elif call == "release" and held:
                release(held.pop(int(seconds * 7) % len(held)))
            await asyncio.sleep(seconds if call == "wait" else 0)
        async with asyncio.timeout(1000):  # all get what they asked for, or a reason
            while not all(task.done() for task in asking):
                while held:
                    release(held.pop())
                await asyncio.sleep(1)
        while held:
            release(held.pop())
        for outcome in await asyncio.gather(*asking, return_exceptions=True):
            assert outcome is None or isinstance(outcome, ParleyError | asyncio.CancelledError), outcome
        assert all(each.in_use == 0 for each in residency.report())
        await residency.close()
        assert loader.memory == {}

    run_virtual(play())
