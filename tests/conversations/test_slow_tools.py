"""Functions that take long, or for ever, and calls that outlive the reply that made them."""

from configs.session import SessionConfig, ToolsConfig
from deployments.asr.engines import fake as fake_asr
from deployments.llm.engines import fake as fake_llm
from deployments.tts.engines import fake as fake_tts
from serve_app.session import events as ev
from serve_app.session.commands import Command, CreateItem, CreateResponse
from serve_app.session.items import Item
from tests.conversations.scene import Log, Scene

WEATHER = {"type": "function", "name": "get_weather"}
CALLS = fake_llm.Config(replies=("Let me see.", "So."), tool_calls=(fake_llm.Call(name="get_weather"),))


def asked(
    *do: tuple[float, Command], tools: ToolsConfig | None = None, user: tuple[tuple[float, float], ...] = ()
) -> Log:
    """The user asks at 0.5 s for something that takes a function; its call is there at about 1.6 s."""
    return Scene(
        user=[(0.5, 1.0), *user],
        asr=fake_asr.Config(script=("what is the weather", "stop it")),
        llm=CALLS,
        tts=fake_tts.Config(word_ms=200),
        settings={"tools": [WEATHER]},
        config=SessionConfig(tools=tools or ToolsConfig()),
        do=do,
        lasts_s=14,
    ).play()


def call_id(log: Log) -> str:
    (call,) = [item for item in log.session.conversation.history.items if item.type == "function_call"]
    return call.call_id


def result(log: Log) -> CreateItem:
    return CreateItem(Item("item_result", "function_call_output", call_id=call_id(log), output="sunny"))


def test_a_slow_function_is_covered_by_words_that_are_no_part_of_the_conversation() -> None:
    plain = asked()
    log = asked((7.0, result(plain)), (7.0, CreateResponse()))
    kinds = [role for role, _ in log.history]
    assert kinds == ["user", "assistant", "function_call", "function_call_output", "assistant"]
    first, filler, answer = log.all(ev.ResponseDone)
    assert filler.response.conversation_id is None
    assert filler.response.output[0].text == "One moment, please."
    assert 4.5 < log.times(ev.ResponseCreated)[1] < 4.8
    assert (first.response.status, filler.response.status, answer.response.status) == ("completed",) * 3


def test_a_result_that_comes_while_the_cover_is_spoken_is_answered_after_it() -> None:
    plain = asked()
    log = asked((4.8, result(plain)), (4.8, CreateResponse()))
    assert not log.errors
    assert [each.response.status for each in log.all(ev.ResponseDone)] == ["completed"] * 3
    assert log.history[-1][0] == "assistant"


def test_a_quick_function_is_not_covered() -> None:
    plain = asked()
    log = asked((3.0, result(plain)), (3.0, CreateResponse()))
    assert len(log.all(ev.ResponseDone)) == 2


def test_a_function_that_never_answers_is_given_up_and_the_model_told() -> None:
    plain = asked()
    tools = ToolsConfig(filler_after_s=None, timeout_s=4)
    log = asked((8.0, result(plain)), tools=tools)
    kinds = [role for role, _ in log.history]
    assert kinds == ["user", "assistant", "function_call", "function_call_output", "assistant"]
    assert "no result within 4 s" in log.history[3][1]
    assert [error["message"] for error in log.errors] == [f"function call '{call_id(plain)}' is answered already"]
    assert log.requests[-1].messages[-1].role == "tool"


def test_a_call_outlives_the_interruption_of_its_reply_and_is_answered_once() -> None:
    plain = asked()
    log = asked((6.0, result(plain)), (6.0, result(plain)), user=((1.9, 2.4),))
    kinds = [role for role, _ in log.history]
    assert kinds.count("function_call") >= 1
    assert kinds.count("function_call_output") == 1
    assert len(log.errors) == 1
    assert log.all(ev.ResponseDone)[0].response.status in ("cancelled", "completed")
