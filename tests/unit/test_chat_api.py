"""POST /v1/chat/completions, by OpenAI's own client, over the embedded engines in process."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, cast

import httpx2
import pytest
from openai import APIError, AsyncOpenAI, BadRequestError, InternalServerError, NotFoundError, RateLimitError
from starlette.applications import Starlette

from deployments.llm.client import LlmClient
from deployments.llm.contract import LlmEngine, LlmItem, LlmRequest, Message, ToolCall
from deployments.llm.engines import fake, rules
from deployments.llm.server import LlmServer
from deployments.runtime.local import LocalStream
from serve_app.gateway.chat.routes import chat_routes
from serve_app.gateway.http_errors import exception_handlers
from serve_app.gateway.places import Places
from tests.files_scene import SlowClient, until

ASK: dict[str, Any] = {"model": "parley", "messages": [{"role": "user", "content": "What is two plus three?"}]}
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tells the weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
TALK = (
    {"role": "developer", "content": "Be brief."},
    {
        "role": "user",
        "content": [{"type": "text", "text": "What is the weather"}, {"type": "text", "text": " in Paris?"}],
    },
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "rain"},
)


class Rig:
    """The endpoint, what it asked the stage, and a stock client."""

    def __init__(self, engine: LlmEngine, at_most: int) -> None:
        self._server = LlmServer(engine)
        self.requests: list[LlmRequest] = []
        self.places = Places(at_most)
        routes = chat_routes(LlmClient(LocalStream(self._generate), 5.0), self.places)
        self.app = Starlette(routes=routes, exception_handlers=exception_handlers())
        transport = httpx2.ASGITransport(self.app, raise_app_exceptions=False)
        self.http = httpx2.AsyncClient(transport=transport, base_url="http://parley/v1")
        self.openai = AsyncOpenAI(api_key="none", base_url="http://parley/v1", http_client=self.http, max_retries=0)

    async def start(self) -> None:
        await self._server.start()

    async def _generate(self, request: LlmRequest) -> AsyncGenerator[LlmItem, None]:
        self.requests.append(request)
        async with aclosing(self._server.generate(request)) as items:
            async for item in items:
                yield item

    async def whole(self, **fields: Any) -> Any:
        return await self.openai.chat.completions.create(**{**ASK, **fields})

    async def chunks(self, **fields: Any) -> list[Any]:
        stream = cast("Any", await self.openai.chat.completions.create(**{**ASK, **fields}, stream=True))
        return [chunk async for chunk in stream]


def run(body: Callable[[Rig], Awaitable[None]], engine: LlmEngine | None = None, at_most: int = 4) -> None:
    async def main() -> None:
        rig = Rig(engine or rules.Engine(rules.Config()), at_most)
        await rig.start()
        async with rig.http:
            await body(rig)
        assert rig.places.taken == 0

    asyncio.run(main())


def scripted(**script: Any) -> fake.Engine:
    return fake.Engine(fake.Config.model_validate(script))


def test_a_whole_reply() -> None:
    async def body(rig: Rig) -> None:
        answer = await rig.whole()
        assert answer.object == "chat.completion"
        assert answer.model == "parley"
        (choice,) = answer.choices
        assert "5" in choice.message.content or "five" in choice.message.content
        assert (choice.message.role, choice.finish_reason) == ("assistant", "stop")
        assert answer.usage.prompt_tokens > 0
        assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
        assert answer.usage.prompt_tokens_details.cached_tokens == 0

    run(body)


def test_a_stream_says_the_same() -> None:
    async def body(rig: Rig) -> None:
        whole = await rig.whole()
        chunks = await rig.chunks(stream_options={"include_usage": True})
        *said, usage = chunks
        assert said[0].choices[0].delta.role == "assistant"
        assert "".join(chunk.choices[0].delta.content or "" for chunk in said) == whole.choices[0].message.content
        assert [chunk.choices[0].finish_reason for chunk in said][-2:] == [None, "stop"]
        assert usage.choices == []
        assert usage.usage == whole.usage
        assert {chunk.id for chunk in chunks} == {chunks[0].id}
        assert all(chunk.usage is None for chunk in await rig.chunks())

    run(body)


def test_tools_are_called_and_their_results_answered() -> None:
    async def body(rig: Rig) -> None:
        asked = [{"role": "user", "content": "What is the weather in Paris?"}]
        answer = await rig.whole(messages=asked, tools=[WEATHER])
        (choice,) = answer.choices
        assert choice.finish_reason == "tool_calls"
        (call,) = choice.message.tool_calls
        assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Paris"})
        result = {"role": "tool", "tool_call_id": call.id, "content": '{"temperature": 21}'}
        told = await rig.whole(messages=[*asked, choice.message.model_dump(), result], tools=[WEATHER])
        assert "21" in told.choices[0].message.content
        assert told.choices[0].finish_reason == "stop"

    run(body)


PAIR = ({"name": "f", "arguments": {"x": 1}}, {"name": "g"})
TWO = [{"type": "function", "function": {"name": name}} for name in ("f", "g")]


def test_parallel_calls_have_indices_of_their_own() -> None:
    async def body(rig: Rig) -> None:
        deltas = [chunk.choices[0].delta for chunk in await rig.chunks(tools=TWO)]
        calls = [call for delta in deltas for call in delta.tool_calls or ()]
        assert [(call.index, call.function.name, call.function.arguments) for call in calls] == [
            (0, "f", '{"x": 1}'),
            (1, "g", "{}"),
        ]
        assert len({call.id for call in calls}) == 2
        one = await rig.whole(tools=TWO, parallel_tool_calls=False)
        assert [call.function.name for call in one.choices[0].message.tool_calls] == ["f"]

    run(body, scripted(tool_calls=PAIR))


@pytest.mark.parametrize(
    ("choice", "called"),
    [("none", None), ("required", "f"), ({"type": "function", "function": {"name": "g"}}, "g")],
)
def test_the_choice_of_tools(choice: Any, called: str | None) -> None:
    async def body(rig: Rig) -> None:
        message = (await rig.whole(tools=TWO, tool_choice=choice)).choices[0].message
        assert [call.function.name for call in message.tool_calls or ()] == ([called] if called else [])

    run(body, scripted())


def test_every_field_reaches_the_model() -> None:
    async def body(rig: Rig) -> None:
        await rig.whole(
            messages=TALK,
            tools=[WEATHER],
            max_tokens=9,
            max_completion_tokens=7,
            temperature=0.5,
            top_p=0.9,
            stop=["x", "y"],
            seed=3,
        )
        (request,) = rig.requests
        assert request.messages == (
            Message("system", "Be brief."),
            Message("user", "What is the weather in Paris?"),
            Message("assistant", "", (ToolCall("c1", "get_weather", "{}"),)),
            Message("tool", "rain", tool_call_id="c1"),
        )
        assert (request.max_output_tokens, request.temperature, request.top_p) == (7, 0.5, 0.9)
        assert (request.stop, request.seed, request.model, request.cut) == (("x", "y"), 3, "", "word")
        assert request.tools[0].parameters == WEATHER["function"]["parameters"]

    run(body, scripted())


def test_limit_and_stop() -> None:
    async def body(rig: Rig) -> None:
        assert (await rig.whole(max_tokens=2)).choices[0].finish_reason == "length"
        stopped = (await rig.whole(stop=" three")).choices[0]
        assert (stopped.message.content, stopped.finish_reason) == ("one two", "stop")
        chunks = await rig.chunks(stop=[" three"])
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "one two"

    run(body, scripted(replies=["one two three four"]))


def test_a_conversation_goes_where_its_beginning_is() -> None:
    async def body(rig: Rig) -> None:
        longer = [*ASK["messages"], {"role": "assistant", "content": "5"}, {"role": "user", "content": "And four?"}]
        await rig.whole()
        await rig.whole(messages=longer)
        await rig.whole(messages=[{"role": "user", "content": "Something else."}])
        await rig.whole(prompt_cache_key="mine")
        await rig.whole(messages=longer[-1:], prompt_cache_key="mine")
        first, second, other, mine, mine_too = [request.session_id for request in rig.requests]
        assert first == second
        assert mine == mine_too
        assert len({first, other, mine}) == 3

    run(body)


class Guided(fake.Engine):
    """Says what it was asked to be bound to."""

    guides_json = True

    async def generate(self, request: LlmRequest) -> AsyncGenerator[LlmItem, None]:
        engine = scripted(replies=[json.dumps({"schema": request.json_schema})])
        async with aclosing(engine.generate(request)) as items:
            async for item in items:
                yield item


JSON_SCHEMA = {"type": "json_schema", "json_schema": {"name": "point", "schema": {"type": "object"}, "strict": True}}


@pytest.mark.parametrize(
    ("wanted", "schema"), [({"type": "json_object"}, {}), (JSON_SCHEMA, {"type": "object"}), ({"type": "text"}, None)]
)
def test_json_by_a_schema(wanted: dict[str, Any], schema: Any) -> None:
    async def body(rig: Rig) -> None:
        answer = await rig.whole(response_format=wanted)
        assert json.loads(answer.choices[0].message.content) == {"schema": schema}

    run(body, Guided(fake.Config()))


def test_json_of_a_model_that_cannot_be_held_to_it() -> None:
    async def body(rig: Rig) -> None:
        with pytest.raises(BadRequestError, match="'rules' cannot be held to JSON") as refused:
            await rig.whole(response_format=JSON_SCHEMA)
        assert refused.value.param == "response_format"

    run(body)


def test_models() -> None:
    async def body(rig: Rig) -> None:
        assert (await rig.whole(model="rules")).model == "rules"
        with pytest.raises(NotFoundError, match="no model 'gpt-9'; there are: rules") as refused:
            await rig.whole(model="gpt-9")
        assert refused.value.code == "model_not_found"

    run(body)


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}


@pytest.mark.parametrize(
    ("fields", "param", "says"),
    [
        ({"messages": []}, "messages", "at least 1"),
        ({"messages": [{"role": "user", "content": [IMAGE]}]}, "messages[0].content", "takes text alone"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role", "'user'"),
        ({"messages": [{"role": "user"}]}, "messages[0]", "needs 'content'"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0]", "'tool_call_id'"),
        ({"temperature": 3}, "temperature", "less than or equal to 2"),
        ({"n": 2}, "n", "1"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop", "at most 4"),
        ({"tool_choice": "required"}, "tool_choice", "needs 'tools'"),
        ({"stream_options": {"include_usage": True}}, "stream_options", "set 'stream'"),
        ({"logit_bias": {"1": 5}}, "logit_bias", "Unknown parameter"),
        ({"functions": []}, "functions", "Unknown parameter"),
        ({"tools": TWO, "tool_choice": {"type": "function", "function": {"name": "h"}}}, "tool_choice", "'h'"),
        ({"response_format": {"type": "json_schema"}}, "response_format", "'json_schema'"),
    ],
)
def test_wrong_fields_are_named(fields: dict[str, Any], param: str, says: str) -> None:
    async def body(rig: Rig) -> None:
        answer = await rig.http.post("/chat/completions", json={**ASK, **fields})
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert error["type"] == "invalid_request_error"
        assert error["param"] == param
        assert says in error["message"]
        assert rig.requests == [] or param == "tool_choice"

    run(body)


def test_an_engine_that_fails_before_and_in_the_middle() -> None:
    async def at_once(rig: Rig) -> None:
        with pytest.raises(InternalServerError, match="RuntimeError"):
            await rig.chunks()

    async def later(rig: Rig) -> None:
        answer = await rig.http.post("/chat/completions", json={**ASK, "stream": True})
        events = [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line]
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert "choices" in events[0]
        assert events[-1]["error"]["code"] == "engine_failed"
        with pytest.raises(APIError, match="the language model failed"):
            await rig.chunks()

    run(at_once, scripted(fail_after_tokens=0))
    run(later, scripted(fail_after_tokens=2))


def test_one_too_many() -> None:
    async def body(rig: Rig) -> None:
        with rig.places.one(), pytest.raises(RateLimitError, match="try again later"):
            await rig.whole()

    run(body, at_most=1)


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_stops_the_model(stream: bool) -> None:
    engine = scripted(replies=["one two three four five"], hang_after_tokens=3)

    async def body(rig: Rig) -> None:
        client = SlowClient(rig.app, "/v1/chat/completions", json.dumps({**ASK, "stream": stream}).encode())
        async with asyncio.timeout(5):
            await until(lambda: engine.active > 0)
            if stream:
                assert b"assistant" in await client.read()
            client.leave()
            await client.serving
        assert engine.active == 0

    run(body, engine)
