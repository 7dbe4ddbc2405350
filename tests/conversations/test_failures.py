"""Slow, failing and hanging stages at every step, and a client that vanishes in every state."""

from typing import Any

import pytest

from deployments.asr.engines import fake as fake_asr
from deployments.llm.engines import fake as fake_llm
from deployments.tts.engines import fake as fake_tts
from serve_app.session import events as ev
from serve_app.session.closing import CLIENT_LEFT
from serve_app.session.commands import CreateItem, CreateResponse
from serve_app.session.items import Item, Part
from serve_app.session.machine import State
from tests.conversations.scene import Log, Scene

TRANSCRIBED = {"audio": {"input": {"transcription": {"model": "any"}}}}
ASK = [(0.5, 1.0)]


def tries_again(log: Log) -> None:
    """After whatever failed, the session listens on and is whole."""
    assert log.states[-2:] == ["listening", "closed"]
    assert log.session.closing == CLIENT_LEFT
    assert (log.llm.active, log.tts.active) == (0, 0)


@pytest.mark.parametrize("step", ["open", "accept", "finalize"])
def test_recognition_fails(step: Any) -> None:
    log = Scene(user=ASK, asr=fake_asr.Config(fail_at=step), settings=TRANSCRIBED).play()
    tries_again(log)
    assert log.only(ev.TranscriptionFailed).error["code"] == "engine_failed"
    assert [error["code"] for error in log.errors] == ["engine_failed"]
    assert not log.all(ev.ResponseCreated)


@pytest.mark.parametrize("step", ["accept", "finalize"])
def test_recognition_hangs(step: Any) -> None:
    log = Scene(user=ASK, asr=fake_asr.Config(hang_at=step), settings=TRANSCRIBED, lasts_s=20).play()
    tries_again(log)
    assert [error["code"] for error in log.errors] == ["stage_timeout"]


def test_the_next_utterance_is_heard_after_recognition_failed_once() -> None:
    """`good_calls` counts within an utterance: a long one fails, a short one does not."""
    log = Scene(
        user=[(0.5, 2.0), (4.0, 4.3)],
        asr=fake_asr.Config(fail_at="accept", good_calls=9),
        settings=TRANSCRIBED,
    ).play()
    tries_again(log)
    assert log.only(ev.TranscriptionCompleted).transcript == "hello there"
    assert log.only(ev.ResponseDone).response.status == "completed"


@pytest.mark.parametrize("tokens", [0, 3])
def test_the_model_fails(tokens: int) -> None:
    log = Scene(user=ASK, llm=fake_llm.Config(fail_after_tokens=tokens)).play()
    tries_again(log)
    done = log.only(ev.ResponseDone).response
    assert done.status == "failed"
    assert done.status_details is not None
    assert done.status_details["error"]["code"] == "engine_failed"


@pytest.mark.parametrize("tokens", [0, 3])
def test_the_model_hangs(tokens: int) -> None:
    log = Scene(user=ASK, llm=fake_llm.Config(hang_after_tokens=tokens), lasts_s=15).play()
    tries_again(log)
    details = log.only(ev.ResponseDone).response.status_details
    assert details is not None
    assert details["error"]["code"] == "stage_timeout"


@pytest.mark.parametrize("block", [0, 2])
def test_speech_fails(block: int) -> None:
    log = Scene(user=ASK, tts=fake_tts.Config(fail_at_block=block)).play()
    tries_again(log)
    assert log.only(ev.ResponseDone).response.status == "failed"
    role, text = log.history[-1]
    assert (role, text) == (("user", "hello there") if block == 0 else ("assistant", "Hello"))


@pytest.mark.parametrize("block", [0, 2])
def test_speech_hangs(block: int) -> None:
    log = Scene(user=ASK, tts=fake_tts.Config(hang_at_block=block), lasts_s=15).play()
    tries_again(log)
    assert log.only(ev.ResponseDone).response.status == "failed"


def test_a_failed_reply_does_not_spoil_the_next() -> None:
    """The second request is shorter than the point at which the model fails."""
    log = Scene(
        user=[(0.5, 1.0), (5.0, 5.5)],
        llm=fake_llm.Config(replies=("one two three four.", "Fine."), fail_after_tokens=3),
    ).play()
    assert [each.response.status for each in log.all(ev.ResponseDone)] == ["failed", "completed"]
    tries_again(log)


def test_slow_stages_make_a_slow_reply_and_no_other_harm() -> None:
    log = Scene(
        user=ASK,
        asr=fake_asr.Config(accept_ms=120, finalize_ms=900),
        llm=fake_llm.Config(first_token_ms=800, token_ms=150),
        tts=fake_tts.Config(first_block_delay_ms=700, block_delay_ms=150),
        lasts_s=20,
    ).play()
    tries_again(log)
    assert log.only(ev.ResponseDone).response.status == "completed"
    assert log.history[-1] == ("assistant", "Hello there, I am listening. Please go on.")


CALLING = {"tools": [{"type": "function", "name": "lookup", "parameters": {"type": "object"}}]}


def test_a_tool_call_goes_out_and_its_result_is_answered() -> None:
    llm = fake_llm.Config(replies=("Let me look.", "It is red."), tool_calls=(fake_llm.Call(name="lookup"),))
    output = Item("item_out", "function_call_output", call_id="call_2_0", output='{"colour": "red"}')
    log = Scene(user=ASK, llm=llm, settings=CALLING, do=[(4.0, CreateItem(output)), (4.1, CreateResponse())]).play()
    call = log.only(ev.ArgumentsDone)
    assert (call.name, call.call_id, call.arguments) == ("lookup", "call_2_0", "{}")
    assert [item.type for item in log.all(ev.ResponseDone)[0].response.output] == ["message", "function_call"]
    assert [m.role for m in log.requests[1].messages] == ["system", "user", "assistant", "assistant", "tool"]
    assert len(log.all(ev.ResponseDone)) == 2
    tries_again(log)


def test_a_tool_may_be_answered_while_the_assistant_still_speaks() -> None:
    llm = fake_llm.Config(replies=("one two three four five six seven.",), tool_calls=(fake_llm.Call(name="lookup"),))
    output = Item("item_out", "function_call_output", call_id="call_2_0", output="{}")
    log = Scene(user=ASK, llm=llm, settings=CALLING, do=[(1.8, CreateItem(output)), (1.81, CreateResponse())]).play()
    assert log.times(ev.ArgumentsDone)[0] < 1.6, "the call does not wait for the speech"
    assert not log.errors
    assert len(log.all(ev.ResponseDone)) == 2


@pytest.mark.parametrize("call_id", ["call_2_0", "call_nowhere"])
def test_a_call_is_answered_once_and_only_if_it_was_made(call_id: str) -> None:
    llm = fake_llm.Config(replies=("Look.",), tool_calls=(fake_llm.Call(name="lookup"),))
    outputs = [
        (
            4.0 + n / 10,
            CreateItem(Item(f"out_{n}", "function_call_output", call_id=call_id, output="1"), event_id=f"e{n}"),
        )
        for n in range(2)
    ]
    log = Scene(user=ASK, llm=llm, settings=CALLING, do=outputs).play()
    refused = ["e1"] if call_id == "call_2_0" else ["e0", "e1"]
    assert [error["event_id"] for error in log.errors] == refused


LEAVE_IN = {
    State.IDLE: 0.01,
    State.LISTENING: 0.3,
    State.USER_SPEAKING: 0.8,
    State.THINKING: 1.6,
    State.SPEAKING: 2.6,
}


@pytest.mark.parametrize("state", LEAVE_IN)
def test_a_client_that_vanishes_leaves_nothing_running(state: State) -> None:
    log = Scene(user=ASK, leaves_s=LEAVE_IN[state], llm=fake_llm.Config(first_token_ms=500)).play()
    expected = [] if state is State.IDLE else [state.value]
    assert log.states[:-1][-1:] == expected
    assert log.states[-1] == "closed"
    assert (log.llm.active, log.tts.active) == (0, 0)
    for response in log.all(ev.ResponseDone):
        assert response.response.status == "cancelled"


def test_who_leaves_in_mid_reply_has_heard_what_the_history_says() -> None:
    log = Scene(user=ASK, leaves_s=2.35).play()
    assert log.history[-1] == ("assistant", "Hello there, I am")


def test_a_message_typed_in_vain_does_no_harm() -> None:
    bad = CreateItem(
        Item("item_1", "message", "completed", "user", (Part("input_text", "x" * 50_001),)), event_id="big"
    )
    log = Scene(user=ASK, do=[(0.2, bad), (0.2, bad)]).play()
    assert [(error["code"], error["event_id"]) for error in log.errors] == [("too_large", "big")] * 2
    assert log.only(ev.ResponseDone).response.status == "completed"
