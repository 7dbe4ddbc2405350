"""Functions that the server runs: once each, answered by the model, also across an interruption."""

import asyncio
import json
from dataclasses import dataclass, field

from configs.session import SessionConfig, ToolsConfig
from deployments.asr.engines import fake as fake_asr
from deployments.llm.contract import Tool
from deployments.llm.engines import fake as fake_llm
from deployments.tts.engines import fake as fake_tts
from serve_app.session import events as ev
from serve_app.session.commands import CreateItem
from serve_app.session.items import Item
from tests.conversations.scene import Log, Scene

CALLS = fake_llm.Config(replies=("Let me see.", "So."), tool_calls=(fake_llm.Call(name="get_weather"),))


@dataclass
class Weather:
    """Takes its time, on the conversation's clock."""

    takes_s: float = 1.0
    names: tuple[str, ...] = ("get_weather",)
    made: list[str] = field(default_factory=list)

    @property
    def tools(self) -> tuple[Tool, ...]:
        return tuple(Tool(name) for name in self.names)

    async def call(self, name: str, arguments: str) -> str:
        self.made.append(name)
        await asyncio.sleep(self.takes_s)
        return f"sunny at {name}"


def asked(
    weather: Weather,
    llm: fake_llm.Config = CALLS,
    user: tuple[tuple[float, float], ...] = (),
    tools: ToolsConfig | None = None,
    client_tools: tuple[str, ...] = (),
    word_ms: float = 200,
) -> Log:
    """The user asks at 0.5 s; the call is there at about 1.6 s."""
    return Scene(
        user=[(0.5, 1.0), *user],
        asr=fake_asr.Config(script=("what is the weather", "and tomorrow")),
        llm=llm,
        tts=fake_tts.Config(word_ms=word_ms),
        settings={"tools": [{"type": "function", "name": name} for name in client_tools]},
        config=SessionConfig(tools=tools or ToolsConfig()),
        tools=weather,
        lasts_s=14,
    ).play()


def kinds(log: Log) -> list[str]:
    return [kind for kind, _ in log.history]


def test_a_call_is_run_and_answered_without_the_client() -> None:
    weather = Weather()
    log = asked(weather)
    assert weather.made == ["get_weather"]
    assert kinds(log) == ["user", "assistant", "function_call", "function_call_output", "assistant"]
    assert log.requests[0].tools == weather.tools
    assert log.requests[-1].messages[-1].text == "sunny at get_weather"
    assert [done.response.status for done in log.all(ev.ResponseDone)] == ["completed"] * 2
    assert not log.errors


def test_a_result_that_comes_while_the_reply_is_spoken_is_answered_after_it() -> None:
    weather = Weather(takes_s=0.05)
    log = asked(weather, word_ms=500)
    assert kinds(log)[-1] == "assistant"
    first, second = log.all(ev.ResponseDone)
    assert (first.response.status, second.response.status) == ("completed", "completed")
    assert len(weather.made) == 1


def test_parallel_calls_are_answered_together() -> None:
    both = fake_llm.Config(
        replies=("Let me see.", "So."), tool_calls=(fake_llm.Call(name="get_weather"), fake_llm.Call(name="get_time"))
    )
    weather = Weather(names=("get_weather", "get_time"))
    log = asked(weather, both)
    assert sorted(weather.made) == ["get_time", "get_weather"]
    assert len(log.all(ev.ResponseDone)) == 2
    assert kinds(log).count("function_call_output") == 2


def test_a_call_outlives_the_interruption_of_its_reply_and_is_run_once() -> None:
    weather = Weather(takes_s=3)
    log = asked(weather, user=((1.9, 2.4),))
    made = kinds(log).count("function_call")
    assert len(weather.made) == made
    assert kinds(log).count("function_call_output") == made
    assert kinds(log)[-1] == "assistant"
    assert not log.errors


def test_one_that_is_given_up_has_one_answer() -> None:
    weather = Weather(takes_s=6)
    log = asked(weather, tools=ToolsConfig(filler_after_s=None, timeout_s=2))
    outputs = [text for kind, text in log.history if kind == "function_call_output"]
    assert len(outputs) == 1
    assert "no result within 2 s" in json.loads(outputs[0])["error"]
    assert len(log.all(ev.ResponseDone)) == 2


def test_a_tool_of_the_client_goes_before_one_of_the_server() -> None:
    weather = Weather()
    log = asked(weather, client_tools=("get_weather",))
    assert weather.made == []
    assert [tool.name for tool in log.requests[0].tools] == ["get_weather"]


def test_a_session_has_the_functions_that_it_is_configured_to() -> None:
    weather = Weather()
    log = asked(weather, tools=ToolsConfig(server=()))
    assert log.requests[0].tools == ()
    assert weather.made == []


def test_a_call_that_a_client_puts_in_is_not_run() -> None:
    weather = Weather()
    item = Item("item_old", "function_call", call_id="call_old", name="get_weather", arguments="{}")
    Scene(tools=weather, do=[(0.5, CreateItem(item))], lasts_s=3).play()
    assert weather.made == []
