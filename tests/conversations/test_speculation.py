"""The reply is begun in the pause, and used or thrown away when it is certain what was said."""

from configs.session import SessionConfig
from deployments.asr.engines import fake as fake_asr
from deployments.llm.engines import fake as fake_llm
from serve_app.session import events as ev
from tests.conversations.scene import Log, Scene

SLOW = fake_llm.Config(first_token_ms=250, replies=("It is sunny in Rome.",))


def first_sound_s(speculate: bool) -> float:
    log = Scene(user=[(0.5, 1.0)], llm=SLOW, config=SessionConfig(speculate=speculate)).play()
    assert log.history == [("user", "hello there"), ("assistant", "It is sunny in Rome.")]
    assert len(log.requests) == 1
    return log.times(ev.OutputAudioDelta)[0]


def test_it_saves_the_models_time() -> None:
    assert 0.2 < first_sound_s(False) - first_sound_s(True) < 0.3


def test_nothing_is_said_before_the_turn_is_over() -> None:
    log = Scene(user=[(0.5, 1.0)], llm=fake_llm.Config(replies=("Yes.",))).play()
    committed = log.times(ev.BufferCommitted)[0]
    assert log.times(ev.ResponseCreated)[0] >= committed
    assert log.times(ev.OutputAudioDelta)[0] >= committed


def hesitating(**more: object) -> Log:
    """A pause of 400 ms in the middle of a sentence."""
    heard = fake_asr.Config(script=("what is the weather like in Rome today",), words_per_s=5, final="heard")
    return Scene(user=[(0.5, 1.1), (1.5, 2.2)], asr=heard, **more).play()  # type: ignore[arg-type]


def test_one_who_goes_on_is_answered_once_to_all_of_it() -> None:
    log = hesitating(llm=SLOW)
    assert [role for role, _ in log.history] == ["user", "assistant"]
    assert len(log.all(ev.ResponseCreated)) == 1
    guesses = [request.messages[-1].text for request in log.requests]
    assert guesses[-1] == log.history[0][1]
    assert len(guesses) == 2, "the first guess was half of it"
    assert log.history[0][1].startswith(guesses[0])
    assert log.llm.active == 0


def test_a_tool_is_called_once_and_never_on_a_guess() -> None:
    weather = fake_llm.Config(replies=("Let me see.",), tool_calls=(fake_llm.Call(name="get_weather"),))
    log = hesitating(llm=weather, settings={"tools": [{"type": "function", "name": "get_weather"}]})
    assert [role for role, _ in log.history] == ["user", "assistant", "function_call"]
    assert len(log.requests) == 2
    assert log.times(ev.OutputItemAdded)[0] >= log.times(ev.BufferCommitted)[0]


def test_a_guess_that_fails_is_a_reply_that_fails() -> None:
    log = Scene(user=[(0.5, 1.0)], llm=fake_llm.Config(fail_after_tokens=0)).play()
    assert log.only(ev.ResponseDone).response.status == "failed"
    assert len(log.requests) == 1


def test_one_who_leaves_in_the_pause_leaves_no_model_running() -> None:
    log = Scene(user=[(0.5, 1.0)], llm=fake_llm.Config(first_token_ms=5000), leaves_s=1.4).play()
    assert len(log.requests) == 1
    assert log.llm.active == 0
