"""Order, bounds and what the model is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.llm.contract import ToolCall
from deployments.runtime.errors import Conflict, InvalidRequest, NotFound
from serve_app.session.history import History, messages
from serve_app.session.items import Item, Part


def said(item_id: str, role: str = "user", text: str | None = "words") -> Item:
    kind = "output_audio" if role == "assistant" else "input_text"
    return Item(item_id, "message", "completed", role, (Part(kind, text),))  # type: ignore[arg-type]  # one of the roles


def history_of(*ids: str) -> History:
    history = History(100)
    for item_id in ids:
        history.insert(said(item_id), None)
    return history


def ids(history: History) -> list[str]:
    return [item.id for item in history.items]


@pytest.mark.parametrize(
    ("previous", "order", "before"),
    [
        (None, ["a", "b", "new"], "b"),
        ("b", ["a", "b", "new"], "b"),
        ("a", ["a", "new", "b"], "a"),
        ("root", ["new", "a", "b"], None),
    ],
)
def test_an_item_goes_behind_the_one_named(previous: str | None, order: list[str], before: str | None) -> None:
    history = history_of("a", "b")
    assert history.insert(said("new"), previous) == before
    assert ids(history) == order
    assert history.before("new") == before


def test_what_cannot_be_put_or_found_is_refused() -> None:
    history = history_of("a")
    with pytest.raises(Conflict):
        history.insert(said("a"), None)
    with pytest.raises(InvalidRequest):
        history.insert(said("b"), "nowhere")
    with pytest.raises(NotFound):
        history.get("b")
    with pytest.raises(NotFound):
        history.remove("b")
    assert ids(history) == ["a"]


def test_a_deleted_item_is_not_brought_back_by_its_newer_state() -> None:
    history = history_of("a", "b")
    history.remove("a")
    history.replace(said("a", text="newer"))
    history.replace(said("b", text="newer"))
    assert [(item.id, item.text) for item in history.items] == [("b", "newer")]


def test_instructions_are_the_last_to_go() -> None:
    history = history_of()
    history.insert(said("rules", "system"), None)
    history.insert(said("a"), None)
    assert history.oldest_id() == "a"
    history.remove("a")
    assert history.oldest_id() is None


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(-1, 9)), max_size=30))
def test_order_is_that_of_a_list(steps: list[tuple[int, int]]) -> None:
    history, model = history_of(), list[str]()
    for number, after in steps:
        item_id, previous = str(number), "root" if after < 0 else str(after)
        if item_id in model or (previous != "root" and previous not in model):
            continue
        history.insert(said(item_id), previous)
        model.insert(0 if previous == "root" else model.index(previous) + 1, item_id)
    assert ids(history) == model


def test_the_model_sees_what_says_something() -> None:
    call = Item("c1", "function_call", call_id="k1", name="look", arguments="{}")
    other = Item("c2", "function_call", call_id="k2", name="find", arguments='{"x": 1}')
    output = Item("o1", "function_call_output", call_id="k1", output="red")
    cut = Item("r2", "message", "incomplete", "assistant", (Part("output_audio", "It is"),), interrupted=True)
    items = [said("u1"), said("r1", "assistant", ""), said("u2", text=None), call, other, output, cut]
    shown = messages(items, "Be kind.")
    assert [(m.role, m.text) for m in shown] == [
        ("system", "Be kind."),
        ("user", "words"),
        ("assistant", ""),
        ("tool", "red"),
        ("assistant", "It is"),
    ]
    assert shown[2].tool_calls == (ToolCall("k1", "look", "{}"), ToolCall("k2", "find", '{"x": 1}'))
    assert shown[3].tool_call_id == "k1"
    assert shown[4].interrupted
    assert messages([], "") == ()
