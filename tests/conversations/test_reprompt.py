"""The user says nothing after a reply."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from configs.session import RepromptConfig, SessionConfig
from deployments.asr.engines import fake as fake_asr
from deployments.llm.engines import fake as fake_llm
from deployments.tts.engines import fake as fake_tts
from serve_app.session import events as ev
from serve_app.session.commands import CancelResponse, Command, CreateItem, CreateResponse
from serve_app.session.items import Item, Part
from serve_app.session.reprompt import Reprompt
from tests.conversations.scene import Log, Scene

REPLY = "It is four."
ASKED = "Are you still there?"


def scene(*spoken: tuple[float, float], reprompt: RepromptConfig | None = None, script: Sequence[str] = ()) -> Scene:
    """The user asks at 0.5 s; the reply has been played at 2.1 s."""
    return Scene(
        user=[(0.5, 1.0), *spoken],
        asr=fake_asr.Config(script=("what is two plus two", *script)),
        llm=fake_llm.Config(replies=(REPLY, "Good.")),
        tts=fake_tts.Config(word_ms=200),
        config=SessionConfig(reprompt=reprompt or RepromptConfig(after_s=3)),
        lasts_s=20,
    )


def asked(log: Log) -> int:
    return sum(text == ASKED for _, text in log.history)


def test_it_is_off_unless_it_is_configured() -> None:
    assert scene(reprompt=RepromptConfig()).play().history == [("user", "what is two plus two"), ("assistant", REPLY)]


def test_it_asks_after_the_silence_and_a_few_times_only() -> None:
    log = scene().play()
    assert log.history == [("user", "what is two plus two"), ("assistant", REPLY), *[("assistant", ASKED)] * 2]
    first_reply, *others = log.all(ev.ResponseDone)
    assert [each.response.conversation_id for each in others] == [log.session.conversation_id] * 2
    begins = log.times(ev.ResponseCreated)
    reply_ends_s = begins[0] + log.sound_s(first_reply.response.id)
    assert 2.96 <= begins[1] - reply_ends_s < 3.1, "from the end of playback, not of sending"
    assert 2.96 <= begins[2] - begins[1] - log.sound_s(others[0].response.id) < 3.1
    assert len(log.requests) == 1, "no model is asked"


def test_what_the_user_says_begins_a_new_row() -> None:
    log = scene((6.0, 6.4), reprompt=RepromptConfig(after_s=3, at_most=1), script=("yes I am",)).play()
    assert [text for _, text in log.history] == ["what is two plus two", REPLY, ASKED, "yes I am", "Good.", ASKED]


def test_a_noise_does_not() -> None:
    log = scene((9.0, 9.4), reprompt=RepromptConfig(after_s=3, at_most=1), script=("",)).play()
    assert asked(log) == 1


def test_it_keeps_what_was_heard_of_it_when_the_user_comes_back() -> None:
    log = scene((5.5, 6.2), script=("yes I am",)).play()
    assert log.history[2][0] == "assistant"
    assert log.history[2][1] in ("Are", "Are you", "Are you still")
    assert log.history[3] == ("user", "yes I am")
    assert log.requests[-1].messages[-2].interrupted


def test_its_words_and_its_language_can_be_chosen() -> None:
    log = scene(reprompt=RepromptConfig(after_s=3, at_most=1, text="Take your time.")).play()
    assert log.history[-1] == ("assistant", "Take your time.")
    greeting = Item("item_1", "message", role="assistant", content=(Part("output_audio", "Hallo."),))
    assert Reprompt(RepromptConfig(after_s=3)).words([greeting], "de-AT") == "Sind Sie noch da?"
    assert Reprompt(RepromptConfig(after_s=3)).words([greeting], "tlh") == "", "no words are known"


@pytest.mark.parametrize(
    "settings",
    [
        {"output_modalities": ["text"]},
        {"audio": {"input": {"turn_detection": None}}},
        {"audio": {"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 15_000}}}},
    ],
    ids=["text", "no turn detection", "the client's own time"],
)
def test_it_keeps_silent_where_it_cannot_know_or_the_client_decides(settings: dict[str, object]) -> None:
    silent = replace(scene(), settings=settings, do=[(0.2, CreateResponse())], user=())
    assert asked(silent.play()) == 0


def test_it_keeps_silent_while_a_function_works() -> None:
    working = scene()
    working.llm = fake_llm.Config(replies=("One second.",), tool_calls=(fake_llm.Call(name="get_weather"),))
    working.settings = {"tools": [{"type": "function", "name": "get_weather"}]}
    log = working.play()
    assert "function_call" in [role for role, _ in log.history]
    assert asked(log) == 0


@pytest.mark.parametrize("at_s", [3.0, 5.0, 5.2, 5.3])
def test_it_does_not_speak_over_the_user(at_s: float) -> None:
    log = scene((at_s, at_s + 4.0), script=("well let me think about it",)).play()
    speaks = [at for at in log.times(ev.ResponseCreated) if at_s + 0.05 < at < at_s + 4.4]
    assert not speaks


@pytest.mark.parametrize(
    "do",
    [
        [(4.0, CreateResponse()), (4.3, CancelResponse())],
        [(4.0, CreateItem(Item("item_typed", "message", role="user", content=(Part("input_text", "wait"),))))],
    ],
    ids=["a reply was stopped", "something was typed"],
)
def test_it_keeps_silent_where_no_reply_was_heard_to_its_end(do: list[tuple[float, Command]]) -> None:
    log = replace(scene(), do=do, lasts_s=12.0).play()
    assert asked(log) == 0


def test_it_asks_after_the_greeting_too() -> None:
    greeted = replace(scene(), user=())
    greeted.config = greeted.config.model_copy(update={"greeting": "Hello."})
    assert [text for _, text in greeted.play().history] == ["Hello.", ASKED, ASKED]
