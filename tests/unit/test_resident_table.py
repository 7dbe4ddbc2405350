"""Which model is loaded and unloaded when: the rules, and that no sequence of events breaks them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.runtime.errors import ConfigError, Conflict, NotFound
from deployments.runtime.resident_table import ResidentTable, Step

SIZES = {"a": 1.0, "b": 2.0, "c": 2.5, "d": 4.0}
BUDGET = 5.0


def loaded(table: ResidentTable, *names: str, at_s: float = 0.0) -> None:
    """Each of them resident, last used at `at_s` plus its place."""
    for n, name in enumerate(names):
        table.want(name)
        assert table.step(at_s + n) == Step(load=(name,))
        table.loaded(name, at_s + n)


def test_room_is_made_by_unloading_what_was_used_longest_ago() -> None:
    table = ResidentTable(SIZES, budget_gib=BUDGET)
    loaded(table, "a", "b")
    table.take("a")
    table.give_back("a", 9.0)
    table.want("c")
    assert table.step(10.0) == Step(unload=("b",))
    assert table.step(10.0) == Step(), "its memory is not free yet"
    table.unloaded("b")
    assert table.step(10.0) == Step(load=("c",))


def test_what_is_kept_goes_last() -> None:
    table = ResidentTable(SIZES, kept=("a",), budget_gib=BUDGET, idle_s=60)
    loaded(table, "a", "b")
    table.want("c")
    assert table.step(2.0).unload == ("b",)
    table.unloaded("b")
    table.step(2.0)
    table.loaded("c", 2.0)
    table.want("d")
    assert table.step(3.0).unload == ("c",), "without the kept one there is room enough"
    table.unloaded("c")
    assert table.step(3.0) == Step(load=("d",))


def test_nothing_in_use_is_unloaded_and_smaller_models_pass() -> None:
    table = ResidentTable(SIZES, budget_gib=BUDGET)
    loaded(table, "b")
    assert table.take("b")
    for name in ("d", "a"):
        table.want(name)
    assert table.step(1.0) == Step(load=("a",))
    with pytest.raises(Conflict, match="used by 1"):
        table.evict("b")
    with pytest.raises(Conflict, match="being loaded"):
        table.evict("a")
    table.loaded("a", 1.0)
    table.give_back("b", 2.0)
    assert set(table.step(2.0).unload) == {"a", "b"}


def test_room_that_is_being_made_is_not_taken_by_those_behind() -> None:
    table = ResidentTable({**SIZES, "e": 2.0}, budget_gib=BUDGET, max_loads=3)
    loaded(table, "b", "c")
    table.want("d")
    table.want("e")
    assert set(table.step(5.0).unload) == {"b", "c"}
    table.unloaded("b")
    assert table.step(5.0) == Step(), "2.5 GiB are free, but promised to d"
    table.unloaded("c")
    assert table.step(5.0) == Step(load=("d",))


def test_what_is_idle_goes_after_a_while_but_not_what_is_kept() -> None:
    table = ResidentTable(SIZES, kept=("a",), idle_s=60)
    loaded(table, "a", "b", "c")
    table.take("c")
    assert table.next_expiry_s() == 61.0
    assert table.step(60.9) == Step()
    assert table.step(61.0) == Step(unload=("b",))
    assert table.step(1e6) == Step()


def test_loads_are_bounded_in_number() -> None:
    table = ResidentTable(SIZES, max_loads=2)
    for name in SIZES:
        table.want(name)
    assert table.step(0.0) == Step(load=("a", "b"))
    table.load_failed("a", "no file", 1.0)
    assert table.step(1.0) == Step(load=("c",))


def test_a_failure_is_told_for_a_while() -> None:
    table = ResidentTable(SIZES, retry_s=30)
    table.want("a")
    table.step(0.0)
    table.load_failed("a", "no file", 10.0)
    assert table.refusal("a", 39.9) == "no file"
    assert table.refusal("a", 40.0) == ""
    table.want("a")
    assert table.step(20.0).load == ("a",)
    table.loaded("a", 20.0)
    assert table.refusal("a", 21.0) == ""


def test_what_can_never_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="'d' takes 4 GiB, the budget is 3 GiB"):
        ResidentTable(SIZES, budget_gib=3)
    with pytest.raises(ConfigError, match=r"\(b 2 \+ d 4 GiB\) exceed the budget of 5 GiB"):
        ResidentTable(SIZES, kept=("b", "d"), budget_gib=5)
    with pytest.raises(ConfigError, match="no model 'x' to be loaded; there are: a, b, c, d"):
        ResidentTable(SIZES, kept=("x",))
    with pytest.raises(NotFound, match="no model 'x'"):
        ResidentTable(SIZES).want("x")


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["want", "give_up", "take", "give_back", "evict", "loaded", "failed", "unloaded", "wait"]),
        st.sampled_from(sorted(SIZES)),
        st.floats(min_value=0, max_value=40),
    ),
    max_size=80,
)


@settings(max_examples=120, deadline=None)
@given(EVENTS, st.integers(1, 3), st.sampled_from([None, 20.0]), st.sampled_from([(), ("a",), ("a", "d")]))
def test_no_sequence_of_events_breaks_a_rule(
    events: list[tuple[str, str, float]], max_loads: int, idle_s: float | None, kept: tuple[str, ...]
) -> None:
    table = ResidentTable(SIZES, kept=kept, budget_gib=BUDGET, idle_s=idle_s, max_loads=max_loads, retry_s=15)
    now_s = 0.0
    in_memory: dict[str, str] = {}
    leases = dict.fromkeys(SIZES, 0)
    for event, name, seconds in events:
        if event == "wait":
            now_s += seconds
        elif event == "want":
            table.want(name)
        elif event == "give_up":
            table.give_up(name)
        elif event == "take":
            taken = table.take(name)
            assert taken == (in_memory.get(name) == "resident")
            leases[name] += taken
        elif event == "give_back" and leases[name]:
            table.give_back(name, now_s)
            leases[name] -= 1
        elif event == "evict" and not leases[name] and in_memory.get(name) == "resident":
            assert table.evict(name)
            in_memory[name] = "unloading"
        elif event == "loaded" and in_memory.get(name) == "loading":
            table.loaded(name, now_s)
            in_memory[name] = "resident"
        elif event == "failed" and in_memory.get(name) == "loading":
            table.load_failed(name, "scripted", now_s)
            del in_memory[name]
        elif event == "unloaded" and in_memory.get(name) == "unloading":
            table.unloaded(name)
            del in_memory[name]
        step = table.step(now_s)
        for gone in step.unload:
            assert in_memory[gone] == "resident"
            assert not leases[gone], "unloaded in use"
            in_memory[gone] = "unloading"
        for begun in step.load:
            assert begun not in in_memory, "loaded twice"
            in_memory[begun] = "loading"
        assert sum(SIZES[each] for each in in_memory) <= BUDGET
        assert sum(state == "loading" for state in in_memory.values()) <= max_loads
        assert set(table.residents) == {each for each, state in in_memory.items() if state == "resident"}
        # Whoever is wanted and can be given room is on its way once nothing is in use or under way.
        if not any(leases.values()) and "loading" not in in_memory.values() and "unloading" not in in_memory.values():
            assert not any(table.waits(each) for each in SIZES)
