"""The user speaks while the assistant does, cancels it, or asks again too early."""

import pytest

from configs.interruption import InterruptionConfig
from deployments.asr.engines import fake as fake_asr
from deployments.llm.engines import fake as fake_llm
from deployments.tts.engines import fake as fake_tts
from serve_app.session import events as ev
from serve_app.session.commands import CancelResponse, CreateResponse, ResponseOptions, TruncateItem
from serve_app.session.interruption import policy
from tests.conversations.scene import Scene
from tests.conversations.test_turns import typed

NUMBERS = " ".join(f"word{n}" for n in range(40)) + "."
LONG = fake_llm.Config(replies=(NUMBERS, "Fine."))
SLOW = fake_tts.Config(word_ms=250)
TWICE = fake_asr.Config(script=("tell me", "stop it"))


def interrupted(**more: object) -> Scene:
    return Scene(user=[(0.5, 1.0), (4.0, 4.6)], asr=TWICE, llm=LONG, tts=SLOW, **more)  # type: ignore[arg-type]


def test_speech_stops_the_reply_and_the_history_keeps_what_was_heard() -> None:
    log = interrupted().play()
    first = log.all(ev.ResponseDone)[0].response
    assert first.status == "cancelled"
    assert first.status_details == {"type": "cancelled", "reason": "turn_detected"}
    begun_s = log.times(ev.OutputAudioDelta)[0]
    stopped_s = log.times(ev.SpeechStarted)[1]
    words_heard = int((stopped_s - begun_s) / 0.25 + 0.5)
    heard = " ".join(f"word{n}" for n in range(words_heard))
    assert log.history[1] == ("assistant", heard)
    assert log.only(ev.ItemTruncated).audio_end_ms == pytest.approx(1000 * (stopped_s - begun_s), abs=1)
    assert log.history[2:] == [("user", "stop it"), ("assistant", "Fine.")]
    shown = log.requests[1].messages
    assert [(m.role, m.text, m.interrupted) for m in shown[-2:]] == [
        ("assistant", heard, True),
        ("user", "stop it", False),
    ]


def test_it_is_quick_and_sends_nothing_more() -> None:
    log = interrupted().play()
    stopped_s = log.times(ev.SpeechStarted)[1]
    assert stopped_s - 4.0 <= 0.1, "from the first sample of speech"
    first = log.all(ev.ResponseDone)[0].response.id
    sent_s = [
        at_s for at_s, event in log.entries if isinstance(event, ev.OutputAudioDelta) and event.response_id == first
    ]
    assert max(sent_s) <= stopped_s
    order = [name for name in log.types if name in ("input_audio_buffer.speech_started", "response.done")]
    assert order[1:3] == ["input_audio_buffer.speech_started", "response.done"]


def test_a_text_reply_that_is_interrupted_as_a_piece_comes_says_nothing_more() -> None:
    """The decision falls on the moment of a piece, which is already on its way."""
    ask = CreateResponse(ResponseOptions(output_modalities=("text",)))
    reply = "one two three four, five six. Seven eight nine ten eleven."
    model = fake_llm.Config(replies=(reply, "Fine."), first_token_ms=150, token_ms=20)
    log = Scene(
        user=[(0.95, 1.45)], asr=TWICE, llm=model, do=[(0.75, ask)], interruption=policy(InterruptionConfig())
    ).play()
    assert log.all(ev.ResponseDone)[0].response.status == "cancelled"
    done = log.types.index("response.done")
    assert "response.output_text.delta" in log.types[:done]
    assert "response.output_text.delta" not in log.types[done:]
    assert log.history[0] == ("assistant", "one two three four, five six. ")


def test_the_stages_stop_working_for_it() -> None:
    log = interrupted(lasts_s=5.0).play()
    assert (log.llm.active, log.tts.active) == (0, 0)


def test_speech_while_it_thinks_takes_the_reply_back() -> None:
    log = Scene(
        user=[(0.5, 1.0), (2.0, 2.5)], asr=TWICE, llm=fake_llm.Config(first_token_ms=1500, replies=("A.", "B."))
    ).play()
    assert [each.response.status for each in log.all(ev.ResponseDone)] == ["cancelled", "completed"]
    assert log.history == [("user", "tell me"), ("user", "stop it"), ("assistant", "B.")]


def test_the_last_words_can_be_interrupted_after_they_were_sent() -> None:
    """The client plays 240 ms longer than the server sends."""
    log = Scene(
        user=[(0.5, 1.0), (2.5, 3.1)],
        asr=TWICE,
        llm=fake_llm.Config(replies=("one two three four five six.", "Fine.")),
    ).play()
    first = log.all(ev.ResponseDone)[0].response
    assert first.status == "completed"
    assert log.times(ev.ResponseDone)[0] < log.times(ev.SpeechStarted)[1]
    assert log.history[1] == ("assistant", "one two three four five")
    assert log.only(ev.ItemTruncated).item_id == first.output[0].id


def test_speech_that_may_not_interrupt_is_answered_afterwards() -> None:
    settings = {"audio": {"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}}}
    log = interrupted(settings=settings, lasts_s=16).play()
    assert [each.response.status for each in log.all(ev.ResponseDone)] == ["completed", "completed"]
    assert [text for _, text in log.history] == ["tell me", NUMBERS, "stop it", "Fine."]
    assert log.times(ev.ResponseCreated)[1] >= log.times(ev.ResponseDone)[0]
    assert not log.errors


def test_a_turn_that_asks_for_no_response_gets_none() -> None:
    settings = {"audio": {"input": {"turn_detection": {"type": "server_vad", "create_response": False}}}}
    log = Scene(user=[(0.5, 1.0)], settings=settings, do=[(3.0, CreateResponse())]).play()
    assert log.times(ev.BufferCommitted)[0] < 2
    assert log.times(ev.ResponseCreated) == [3.0]


def test_cancel_stops_the_reply() -> None:
    log = Scene(user=[(0.5, 1.0)], llm=LONG, tts=SLOW, do=[(3.0, CancelResponse())]).play()
    done = log.only(ev.ResponseDone).response
    assert done.status_details == {"type": "cancelled", "reason": "client_cancelled"}
    assert log.times(ev.ResponseDone) == [3.0]
    assert log.states[-2:] == ["listening", "closed"]


def test_cancel_by_id_reaches_only_that_response() -> None:
    log = Scene(user=[(0.5, 1.0)], llm=LONG, tts=SLOW, do=[(3.0, CancelResponse("resp_other", "evt_7"))]).play()
    assert [(error["code"], error["event_id"]) for error in log.errors] == [("response_cancel_not_active", "evt_7")]
    assert log.only(ev.ResponseDone).response.status == "cancelled", "by the end of the session only"
    assert log.times(ev.ResponseDone)[0] > 9


def test_cancel_without_a_response_is_an_error_that_names_the_event() -> None:
    for microphone in (True, False):
        log = Scene(microphone=microphone, do=[(1.0, CancelResponse(event_id="evt_1"))], lasts_s=2).play()
        assert [(error["code"], error["event_id"]) for error in log.errors] == [("response_cancel_not_active", "evt_1")]


def test_a_second_response_is_refused_while_one_is_made() -> None:
    log = Scene(
        microphone=False,
        llm=fake_llm.Config(first_token_ms=1000),
        do=[(0.1, typed("item_1", "hi")), (0.2, CreateResponse()), (0.3, CreateResponse(event_id="evt_2"))],
    ).play()
    assert [(error["code"], error["event_id"]) for error in log.errors] == [
        ("conversation_already_has_active_response", "evt_2")
    ]
    assert len(log.all(ev.ResponseCreated)) == 1


def test_a_response_asked_for_while_the_last_is_only_played_follows_it() -> None:
    """A stock client takes a response for done sooner than a server that paces its sound."""
    log = Scene(
        microphone=False,
        llm=fake_llm.Config(replies=("one two three four five.",)),
        do=[(0.1, typed("item_1", "hi")), (0.2, CreateResponse()), (0.5, CreateResponse())],
    ).play()
    assert not log.errors
    assert len(log.all(ev.ResponseDone)) == 2
    assert log.times(ev.ResponseCreated)[1] == pytest.approx(0.2 + 1.0, abs=0.001)


def test_the_client_knows_best_what_was_played() -> None:
    log = Scene(user=[(0.5, 1.0)], asr=TWICE, llm=LONG, tts=SLOW, do=[(3.0, CancelResponse())], lasts_s=4).play()
    item = log.only(ev.ItemTruncated).item_id
    desk = log.session.desk
    desk.truncate(TruncateItem(item, 0, 500))
    assert log.history[1] == ("assistant", "word0 word1")
