"""What else a client may ask for: manual commits, items, settings, and the limits that hold."""

import pytest

from configs.session import SessionConfig
from deployments.llm.engines import fake as fake_llm
from serve_app.session import events as ev
from serve_app.session.closing import IDLE
from serve_app.session.commands import (
    Append,
    Clear,
    Command,
    Commit,
    CreateItem,
    CreateResponse,
    DeleteItem,
    RetrieveItem,
    TruncateItem,
    Update,
)
from tests.conversations.scene import Scene, vowel
from tests.conversations.test_turns import TRANSCRIBED, typed

MANUAL = {"audio": {"input": {"turn_detection": None, "transcription": {"model": "any"}}}}


def detection(**fields: object) -> dict[str, object]:
    return {"audio": {"input": {"turn_detection": {"type": "server_vad", **fields}}}}


def test_with_detection_off_a_commit_makes_the_item_and_a_request_the_reply() -> None:
    log = Scene(user=[(0.5, 1.5)], settings=MANUAL, do=[(2.0, Commit()), (2.5, CreateResponse())], lasts_s=6).play()
    assert not log.all(ev.SpeechStarted)
    assert log.times(ev.BufferCommitted) == [2.0]
    assert log.only(ev.TranscriptionCompleted).usage["seconds"] == pytest.approx(2.0, abs=0.03)
    assert log.times(ev.ResponseCreated) == [2.5]
    assert log.history == [("user", "hello there"), ("assistant", "Hello there, I am listening. Please go on.")]


@pytest.mark.parametrize("settings", [MANUAL, {}])
def test_there_is_nothing_to_commit(settings: dict[str, object]) -> None:
    log = Scene(microphone=False, settings=settings, do=[(0.5, Commit("evt_c"))], lasts_s=1).play()
    assert [(e["code"], e["event_id"]) for e in log.errors] == [("input_audio_buffer_commit_empty", "evt_c")]


def test_a_commit_takes_at_least_100_ms() -> None:
    do: list[tuple[float, Command]] = [
        (0.1, Append(vowel(0.08))),
        (0.2, Commit()),
        (0.3, Append(vowel(0.04))),
        (0.4, Commit()),
    ]
    log = Scene(microphone=False, settings=MANUAL, do=do, lasts_s=1).play()
    assert [e["code"] for e in log.errors] == ["input_audio_buffer_commit_empty"]
    assert log.times(ev.BufferCommitted) == [0.4], "what was refused is not lost"


def test_a_cleared_buffer_is_forgotten() -> None:
    log = Scene(user=[(0.5, 1.5)], settings=MANUAL, do=[(1.7, Clear()), (2.0, Commit())], lasts_s=4).play()
    assert log.times(ev.BufferCleared) == [1.7]
    assert log.only(ev.TranscriptionCompleted).usage["seconds"] == pytest.approx(0.3, abs=0.03)


def test_a_clear_while_the_user_speaks_drops_the_utterance() -> None:
    log = Scene(user=[(0.5, 1.5)], do=[(1.0, Clear())], lasts_s=4).play()
    assert log.times(ev.BufferCleared) == [1.0]
    assert log.states[:4] == ["listening", "user_speaking", "listening", "user_speaking"]


def test_a_client_may_end_the_utterance_that_detection_follows() -> None:
    log = Scene(user=[(0.5, 3.0)], settings=TRANSCRIBED, do=[(1.5, Commit())], lasts_s=2).play()
    assert log.times(ev.BufferCommitted) == [1.5]
    assert not log.all(ev.ResponseCreated), "a commit asks for no response"


def test_switching_detection_off_commits_what_was_being_said() -> None:
    off = Update({"audio": {"input": {"turn_detection": None}}})
    log = Scene(user=[(0.5, 3.0)], do=[(1.5, off)], lasts_s=4).play()
    assert log.times(ev.BufferCommitted) == [1.5]
    assert log.all(ev.SessionUpdated)[0].session.audio.input.turn_detection is None


def test_switching_detection_on_clears_what_was_buffered() -> None:
    log = Scene(user=[(0.5, 1.0), (3.0, 3.5)], settings=MANUAL, do=[(2.0, Update(detection()))], lasts_s=6).play()
    assert log.times(ev.BufferCleared) == [2.0]
    assert log.only(ev.SpeechStarted).audio_start_ms == pytest.approx(2700, abs=20), "time goes on"


def test_a_wrong_setting_is_refused_and_nothing_changes() -> None:
    log = Scene(
        microphone=False, do=[(0.1, Update({"output_modalities": ["text", "audio"]}, "evt_u"))], lasts_s=1
    ).play()
    assert [(e["param"], e["event_id"]) for e in log.errors] == [("session.output_modalities", "evt_u")]
    assert not log.all(ev.SessionUpdated)
    assert log.session.settings.output_modalities == ("audio",)


def test_semantic_detection_answers() -> None:
    log = Scene(user=[(0.5, 1.5)], settings={"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}}).play()
    assert log.only(ev.ResponseDone).response.status == "completed"


def test_long_silence_after_a_reply_prompts_again() -> None:
    log = Scene(user=[(0.5, 1.0)], settings=detection(idle_timeout_ms=5000), lasts_s=9).play()
    timeout = log.only(ev.TimeoutTriggered)
    assert timeout.audio_end_ms - timeout.audio_start_ms == pytest.approx(5000, abs=20)
    assert len(log.all(ev.ResponseCreated)) == 2
    assert log.history[2] == ("user", "")


def test_items_are_put_shown_and_taken_out() -> None:
    do: list[tuple[float, Command]] = [
        (0.1, typed("item_b", "second")),
        (0.2, CreateItem(typed("item_a", "first").item, previous_item_id="root")),
        (0.3, CreateItem(typed("item_c", "between").item, previous_item_id="item_a")),
        (0.4, RetrieveItem("item_c")),
        (0.5, DeleteItem("item_b")),
    ]
    log = Scene(microphone=False, do=do, lasts_s=1).play()
    assert not log.errors
    assert [each.previous_item_id for each in log.all(ev.ItemAdded)] == [None, None, "item_a"]
    assert log.only(ev.ItemRetrieved).item.text == "between"
    assert log.only(ev.ItemDeleted).item_id == "item_b"
    assert log.history == [("user", "first"), ("user", "between")]


def test_what_is_not_there_cannot_be_shown_deleted_or_followed() -> None:
    do: list[tuple[float, Command]] = [
        (0.1, RetrieveItem("item_x", "e1")),
        (0.1, DeleteItem("item_x", "e2")),
        (0.1, TruncateItem("item_x", 0, 0, "e3")),
        (0.1, CreateItem(typed("item_a", "hi").item, previous_item_id="item_x", event_id="e4")),
        (0.1, typed("item_a", "hi")),
        (0.2, CreateItem(typed("item_a", "again").item, event_id="e5")),
        (0.3, TruncateItem("item_a", 0, 0, "e6")),
    ]
    log = Scene(microphone=False, do=do, lasts_s=1).play()
    assert [error["event_id"] for error in log.errors] == ["e1", "e2", "e3", "e4", "e5", "e6"]
    assert log.history == [("user", "hi")]


def test_a_full_conversation_lets_the_oldest_go_and_keeps_its_instructions() -> None:
    do: list[tuple[float, Command]] = [(0.1 + n / 100, typed(f"item_{n}", str(n))) for n in range(14)]
    log = Scene(microphone=False, config=SessionConfig(max_items=10), do=do, lasts_s=1).play()
    assert [text for _, text in log.history] == [str(n) for n in range(4, 14)]
    assert [each.item_id for each in log.all(ev.ItemDeleted)] == [f"item_{n}" for n in range(4)]


def test_unanswered_sound_is_bounded_and_what_came_before_is_kept() -> None:
    config = SessionConfig(max_unanswered_s=2)
    log = Scene(user=[(0.5, 1.0)], settings=MANUAL, config=config, do=[(4.0, Commit())], lasts_s=6).play()
    assert [error["code"] for error in log.errors] == ["input_audio_buffer_full"]
    assert log.only(ev.TranscriptionCompleted).usage["seconds"] == pytest.approx(2.0, abs=0.02)


def test_an_endless_utterance_is_cut_at_the_bound_and_answered() -> None:
    config = SessionConfig(max_unanswered_s=3)
    log = Scene(user=[(0.5, 9.0)], config=config, llm=fake_llm.Config(first_token_ms=10_000), lasts_s=5).play()
    assert not log.errors
    assert log.times(ev.SpeechStopped)[0] == pytest.approx(0.5 - 0.3 + 3, abs=0.15)


def test_an_idle_session_is_closed_with_a_reason() -> None:
    log = Scene(config=SessionConfig(idle_s=3), lasts_s=20).play()
    assert log.session.closing == IDLE
    assert log.entries[-1][0] == pytest.approx(3.0, abs=0.1)


def test_who_has_just_talked_is_not_idle() -> None:
    """At 7 s, when it looks first, nobody speaks."""
    log = Scene(user=[(2.0, 2.5)], config=SessionConfig(idle_s=7), lasts_s=30).play()
    silent_s = max(log.times(ev.ResponseDone))
    assert log.session.closing == IDLE
    assert 3 < silent_s < 6
    assert log.entries[-1][0] == pytest.approx(silent_s + 7, abs=0.5)


def test_who_talks_is_not_idle() -> None:
    log = Scene(user=[(2.0, 2.5), (6.0, 6.5)], config=SessionConfig(idle_s=4), lasts_s=30).play()
    assert log.session.closing == IDLE
    assert len(log.all(ev.ResponseDone)) == 2
    assert 10 < log.entries[-1][0] < 14


def test_a_client_that_does_not_read_is_let_go() -> None:
    replies = (" ".join(f"word{n}" for n in range(3000)),)
    settings = {"output_modalities": ["text"]}
    scene = Scene(
        microphone=False,
        settings=settings,
        llm=fake_llm.Config(replies=replies, token_ms=45),
        do=[(0.1, typed("item_1", "hi")), (0.2, CreateResponse())],
        reads=False,
        lasts_s=200,
    )
    log = scene.play()
    assert log.session.closing is not None
    assert log.session.closing.code == 1008
    assert log.llm.active == 0
