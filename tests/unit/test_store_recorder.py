"""What a conversation's recorder gathers between two writes."""

from typing import Any

import pytest

from serve_app.session.recording import NullRecorder, Recorder
from serve_app.store.recorder import ConversationRecorder


def message(item_id: str, text: str = "hello", **fields: Any) -> dict[str, Any]:
    part = {"type": "input_audio", "transcript": text, "audio": "UklGRg=="}
    return {"id": item_id, "type": "message", "role": "user", "status": "completed", "content": [part], **fields}


class Dirty:
    """Counts how often a recorder says that it changed."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, _recorder: ConversationRecorder) -> None:
        self.count += 1


def new_recorder() -> tuple[ConversationRecorder, Dirty]:
    dirty = Dirty()
    return ConversationRecorder("conv_1", dirty, "owner_1"), dirty


def positions(recorder: ConversationRecorder) -> list[str]:
    """Item ids in the order that the next write gives them."""
    changes = recorder.take()
    placed = {key: row["position"] for key, row in changes.items.items()} | changes.moved
    return sorted(placed, key=lambda key: placed[key])


def test_both_recorders_satisfy_the_sessions_protocol() -> None:
    # mypy checks the assignments; the calls check that the keywords exist.
    recorders: list[Recorder] = [new_recorder()[0], NullRecorder()]
    for recorder in recorders:
        recorder.conversation_started(session_id="sess_1", model="m", voice="v", metadata={"a": "b"})
        recorder.item_put(message("item_1"), None)
        recorder.heard("item_1", 100, "hel")
        recorder.usage("resp_1", input_tokens=1, output_tokens=2, input_audio_ms=3, output_audio_ms=4)
        recorder.item_deleted("item_1")
        recorder.conversation_ended("client closed")
    assert isinstance(recorders[0], ConversationRecorder)
    assert recorders[0].ended


def test_the_latest_state_of_an_item_wins_and_one_wake_up_is_enough() -> None:
    recorder, dirty = new_recorder()
    for words in range(1000):
        recorder.item_put(message("item_1", "word " * words))
        recorder.heard("item_1", words, "word")
    assert recorder.pending == 3
    assert dirty.count == 1
    changes = recorder.take()
    assert changes.items["item_1"]["body"] == {"content": [{"type": "input_audio", "transcript": "word " * 999}]}
    assert changes.heard == {"item_1": {"heard_ms": 999, "heard_text": "word"}}
    assert recorder.pending == 0
    recorder.heard("item_1", 1000, "word")
    assert dirty.count == 2


def test_what_is_recorded_is_a_copy() -> None:
    recorder, _ = new_recorder()
    item = message("item_1", "before")
    recorder.item_put(item)
    item["content"][0]["transcript"] = "after"
    assert recorder.take().items["item_1"]["body"]["content"][0]["transcript"] == "before"


def test_sound_and_pictures_are_not_kept() -> None:
    recorder, _ = new_recorder()
    recorder.item_put(
        message("item_1", content=[{"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"}])
    )
    assert recorder.take().items["item_1"]["body"] == {"content": [{"type": "input_image"}]}


def test_calls_keep_their_fields() -> None:
    recorder, _ = new_recorder()
    recorder.item_put({"id": "a", "type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"})
    recorder.item_put({"id": "b", "type": "function_call_output", "call_id": "c", "output": "42"})
    items = recorder.take().items
    assert items["a"]["body"] == {"call_id": "c", "name": "f", "arguments": "{}"}
    assert items["b"]["body"] == {"call_id": "c", "output": "42"}


@pytest.mark.parametrize(
    ("previous", "expected"),
    [
        (None, ["new", "a", "b", "c"]),
        ("a", ["a", "new", "b", "c"]),
        ("b", ["a", "b", "new", "c"]),
        ("c", ["a", "b", "c", "new"]),
        ("", ["a", "b", "c", "new"]),
        ("unknown", ["a", "b", "c", "new"]),
    ],
)
def test_an_item_goes_where_it_is_put(previous: str | None, expected: list[str]) -> None:
    recorder, _ = new_recorder()
    for item_id in "abc":
        recorder.item_put(message(item_id))
    recorder.item_put(message("new"), previous)
    assert positions(recorder) == expected


def test_an_insertion_moves_followers_only_up_to_a_gap() -> None:
    recorder, _ = new_recorder()
    for item_id in "abcde":
        recorder.item_put(message(item_id))
    recorder.item_deleted("c")
    recorder.take()
    recorder.item_put(message("new"), "a")
    changes = recorder.take()
    assert changes.items["new"]["position"] == 1
    assert changes.moved == {"b": 2}


def test_a_replaced_item_stays_in_its_place() -> None:
    recorder, _ = new_recorder()
    for item_id in "abc":
        recorder.item_put(message(item_id))
    recorder.item_put(message("a"), "c")
    assert positions(recorder) == ["a", "b", "c"]


def test_what_was_put_back_yields_to_what_changed_since() -> None:
    recorder, dirty = new_recorder()
    for item_id in "abc":
        recorder.item_put(message(item_id, "old"))
        recorder.heard(item_id, 1, "old")
    recorder.usage("resp_1", input_tokens=1, output_tokens=1)
    failed = recorder.take()
    recorder.item_put(message("b", "new"))
    recorder.item_deleted("c")
    recorder.item_put(message("between"), "a")
    recorder.usage("resp_1", input_tokens=2, output_tokens=2)
    recorder.put_back(failed)
    changes = recorder.take()
    texts = {key: row["body"]["content"][0]["transcript"] for key, row in changes.items.items()}
    assert texts == {"a": "old", "b": "new", "between": "hello"}
    assert changes.deleted == {"c"}
    assert set(changes.heard) == {"a", "b"}
    assert changes.usage["resp_1"]["input_tokens"] == 2
    assert [changes.items[key]["position"] for key in ("a", "between", "b")] == [0, 1, 2]
    assert dirty.count == 3


def test_an_item_that_comes_back_is_deleted_first() -> None:
    recorder, _ = new_recorder()
    recorder.item_put(message("a"))
    recorder.heard("a", 500, "hello")
    recorder.item_deleted("a")
    recorder.item_put(message("a", "again"))
    changes = recorder.take()
    assert changes.deleted == {"a"}
    assert list(changes.items) == ["a"]
    assert changes.heard == {}


def test_nothing_is_heard_of_an_item_that_is_not_there() -> None:
    recorder, dirty = new_recorder()
    recorder.heard("nothing", 100, "words")
    assert (recorder.pending, dirty.count) == (0, 0)


def test_a_forgotten_conversation_holds_nothing_and_wakes_nobody() -> None:
    recorder, dirty = new_recorder()
    recorder.item_put(message("a"))
    taken = recorder.take()
    recorder.forget()
    recorder.put_back(taken)
    recorder.item_put(message("b"))
    recorder.item_deleted("a")
    recorder.heard("a", 1, "x")
    recorder.usage("r", input_tokens=1, output_tokens=1)
    recorder.conversation_ended("client closed")
    assert (recorder.pending, dirty.count) == (0, 1)


def test_the_first_reason_for_the_end_stays() -> None:
    recorder, _ = new_recorder()
    recorder.conversation_ended("idle")
    recorder.conversation_ended("server stopping")
    assert recorder.take().conversation["end_reason"] == "idle"
