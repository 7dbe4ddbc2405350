"""Stop strings, wherever the deltas cut them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.llm.stopping import StopFilter


def shown(deltas: list[str], stops: tuple[str, ...]) -> tuple[str, bool]:
    stopping = StopFilter(stops)
    text = "".join(stopping.feed(delta) for delta in deltas)
    return text + ("" if stopping.met else stopping.flush()), stopping.met


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_text_ends_before_the_first_stop(size: int) -> None:
    text = "one two END three STOP"
    deltas = [text[at : at + size] for at in range(0, len(text), size)]
    assert shown(deltas, ("STOP", "END")) == ("one two ", True)


def test_what_only_began_like_a_stop_is_shown() -> None:
    assert shown(["a EN", "C b E"], ("END",)) == ("a ENC b E", False)


def test_without_stops_nothing_is_held_back() -> None:
    stopping = StopFilter(("",))
    assert stopping.feed("abc") == "abc"
    assert not stopping.met


@given(st.lists(st.text("ab", max_size=4), max_size=8), st.lists(st.text("ab", min_size=1, max_size=3), max_size=3))
def test_it_is_the_same_as_a_search_in_the_whole(deltas: list[str], stops: list[str]) -> None:
    whole = "".join(deltas)
    places = [whole.find(stop) for stop in stops if stop in whole]
    text, met = shown(deltas, tuple(stops))
    assert met == bool(places)
    if not met:
        assert text == whole
        return
    assert whole.startswith(text)
    # The first stop in the order of the deltas ends the text: a longer one that began before it may still be open.
    assert any(whole.startswith(stop, len(text)) for stop in stops)
