"""How a conversation begins, and how long a reply may be."""

from configs.session import SessionConfig
from deployments.asr.engines import fake as fake_asr
from deployments.llm.engines import fake as fake_llm
from deployments.tts.engines import fake as fake_tts
from serve_app.session import events as ev
from tests.conversations.scene import Scene

GREETING = "Hello! What can I do for you?"


def test_it_greets_first_and_without_a_model() -> None:
    log = Scene(config=SessionConfig(greeting=GREETING), microphone=False, lasts_s=6).play()
    assert log.history == [("assistant", GREETING)]
    assert log.only(ev.ResponseDone).response.status == "completed"
    assert log.times(ev.OutputAudioDelta)[0] < 0.1
    assert not log.requests


def test_the_greeting_can_be_interrupted_and_is_remembered_as_far_as_it_was_heard() -> None:
    log = Scene(
        user=[(1.0, 1.8)],
        config=SessionConfig(greeting=GREETING),
        tts=fake_tts.Config(word_ms=300),
        llm=fake_llm.Config(replies=("Fine.",)),
    ).play()
    (_, heard), *rest = log.history
    assert GREETING.startswith(heard)
    assert 3 <= len(heard.split()) <= 5
    assert rest == [("user", "hello there"), ("assistant", "Fine.")]
    assert log.requests[0].messages[-2].interrupted


def test_a_reply_that_gets_too_long_ends_with_its_clause() -> None:
    sentence = "One two three four five six seven eight nine ten. "
    log = Scene(
        user=[(0.5, 1.0)],
        asr=fake_asr.Config(script=("tell me everything",)),
        llm=fake_llm.Config(replies=(sentence * 20,)),
        tts=fake_tts.Config(word_ms=200),
        config=SessionConfig(max_reply_s=5),
        lasts_s=16,
    ).play()
    done = log.only(ev.ResponseDone).response
    assert (done.status, done.status_details) == ("incomplete", {"type": "incomplete", "reason": "max_output_tokens"})
    assert 5 <= log.sound_s() <= 9
    said = log.history[1][1]
    assert (sentence * 20).startswith(said)
    assert said.endswith(" "), "no word is cut"
    assert (log.llm.active, log.tts.active) == (0, 0)
