"""The Llm stage over the scripted engine."""

import asyncio
import itertools
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

import pytest

from deployments.llm.contract import Finished, LlmItem, LlmRequest, Message, TextPiece, Tool, ToolCall
from deployments.llm.engines.fake import Call, Config, Engine
from deployments.llm.server import UNHEALTHY_AFTER_FAILURES, LlmServer
from deployments.runtime.clock import now_s
from deployments.runtime.errors import EngineFailed, InvalidRequest, NotFound, StageTimeout, StageUnavailable
from tests.virtual_time import run_virtual

ASK = LlmRequest((Message("user", "Hello"),))
BY_WORD = replace(ASK, cut="word")
WEATHER = Tool("get_weather", "The weather in a city")


async def started(engine: Engine) -> LlmServer:
    server = LlmServer(engine)
    await server.start()
    return server


async def timed(server: LlmServer, request: LlmRequest) -> list[tuple[float, LlmItem]]:
    """Items with the milliseconds at which they came."""
    start = now_s()
    async with aclosing(server.generate(request)) as items:
        return [((now_s() - start) * 1000, item) async for item in items]


def reply(config: Config, request: LlmRequest) -> list[tuple[float, LlmItem]]:
    async def main() -> list[tuple[float, LlmItem]]:
        return await timed(await started(Engine(config)), request)

    return run_virtual(main())


def texts(items: list[tuple[float, LlmItem]]) -> list[str]:
    return [item.text for _, item in items if isinstance(item, TextPiece)]


def test_text_is_cut_by_clause() -> None:
    items = reply(Config(replies=("Yes. I can see it, over there by the house.",)), ASK)
    assert texts(items) == ["Yes. ", "I can see it, over there by the house."]
    assert isinstance(items[-1][1], Finished)


def test_a_clause_goes_out_as_soon_as_it_is_complete() -> None:
    items = reply(Config(replies=("Yes. And then more.",), first_token_ms=300, token_ms=100), ASK)
    assert items[0][0] == pytest.approx(400)
    assert items[0][1] == TextPiece("Yes. ")


def test_words_are_coalesced_after_the_first() -> None:
    text = " ".join(f"w{i}" for i in range(100))
    items = reply(Config(replies=(text,), token_ms=10), BY_WORD)
    pieces = [(ms, item) for ms, item in items if isinstance(item, TextPiece)]
    assert "".join(item.text for _, item in pieces) == text
    assert all(item.text[-1].isspace() for _, item in pieces[:-1])
    assert pieces[0][0] == pytest.approx(10)
    gaps = [later - earlier for (earlier, _), (later, _) in itertools.pairwise(pieces[:-1])]
    assert min(gaps) >= 39.9
    assert max(gaps) <= 50.1


def test_slow_words_are_not_held_back() -> None:
    items = reply(Config(replies=("one two three",), token_ms=200), BY_WORD)
    assert texts(items) == ["one ", "two ", "three"]
    assert items[1][0] == pytest.approx(400)


def test_text_before_a_tool_call_goes_first() -> None:
    config = Config(replies=("Let me see",), tool_calls=(Call(name="get_weather", arguments={"city": "Rome"}),))
    items = [item for _, item in reply(config, replace(ASK, tools=(WEATHER,)))]
    assert items[0] == TextPiece("Let me see")
    assert isinstance(items[1], ToolCall)
    assert items[1].arguments == '{"city": "Rome"}'
    assert isinstance(items[2], Finished)
    assert items[2].reason == "tool_calls"


def test_first_token_is_measured_from_arrival() -> None:
    _, finished = reply(Config(replies=("one two",), first_token_ms=250, token_ms=50), ASK)[-1]
    assert isinstance(finished, Finished)
    assert finished.first_token_ms == pytest.approx(250)
    assert finished.usage.output_tokens == 2


def test_a_reply_of_tool_calls_alone_has_a_first_token() -> None:
    config = Config(replies=(" ",), tool_calls=(Call(name="get_weather"),))
    _, finished = reply(config, replace(ASK, tools=(WEATHER,)))[-1]
    assert isinstance(finished, Finished)
    assert finished.first_token_ms is not None


def test_what_was_said_before_a_failure_is_passed_on_and_the_cause_kept() -> None:
    async def main() -> None:
        engine = Engine(Config(replies=("Yes. No. Perhaps.",), fail_after_tokens=2))
        server = await started(engine)
        items = server.generate(ASK)
        assert await anext(items) == TextPiece("Yes. ")
        with pytest.raises(EngineFailed, match="told to fail") as caught:
            await anext(items)
        assert isinstance(caught.value.__cause__, RuntimeError)
        assert engine.active == 0

    run_virtual(main())


class Broken(Engine):
    """Ends early, or raises an error of ours."""

    def __init__(self, error: StageTimeout | None = None) -> None:
        super().__init__(Config())
        self._error = error

    async def generate(self, request: LlmRequest) -> AsyncGenerator[LlmItem, None]:
        yield TextPiece("Well")
        if self._error:
            raise self._error


def test_a_stream_without_an_end_is_a_failure() -> None:
    async def main() -> None:
        with pytest.raises(EngineFailed, match="without finishing"):
            await timed(await started(Broken()), ASK)

    run_virtual(main())


def test_our_own_errors_pass_unchanged() -> None:
    async def main() -> None:
        error = StageTimeout("slow")
        with pytest.raises(StageTimeout) as caught:
            await timed(await started(Broken(error)), ASK)
        assert caught.value is error

    run_virtual(main())


def test_closing_the_reply_stops_the_engine_at_once() -> None:
    async def main() -> None:
        engine = Engine(Config(replies=("Yes. And so on. And on.",), token_ms=100))
        server = await started(engine)
        items = server.generate(ASK)
        await anext(items)
        assert engine.active == 1
        await items.aclose()
        assert engine.active == 0

    run_virtual(main())


def test_cancelling_the_reader_stops_a_hanging_engine() -> None:
    async def main() -> None:
        engine = Engine(Config(hang_after_tokens=1))
        server = await started(engine)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await timed(server, ASK)
        assert engine.active == 0

    run_virtual(main())


def test_replies_run_side_by_side() -> None:
    async def main() -> None:
        server = await started(Engine(Config(replies=("one two three four",), token_ms=100)))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(timed(server, ASK)) for _ in range(20)]
        assert now_s() == pytest.approx(0.3)
        assert {"".join(texts(task.result())) for task in tasks} == {"one two three four"}

    run_virtual(main())


def test_a_tool_choice_that_cannot_be_met_is_refused() -> None:
    for choice in ("required", "get_wether"):
        tools = () if choice == "required" else (WEATHER,)
        with pytest.raises(InvalidRequest) as caught:
            reply(Config(), replace(ASK, tools=tools, tool_choice=choice))
        assert caught.value.param == "tool_choice"


def test_health_follows_the_engine() -> None:
    async def main() -> None:
        server = LlmServer(Engine(Config(replies=("Good. Bad.",), fail_after_tokens=1)))
        with pytest.raises(StageUnavailable, match="not running"):
            server.check_health()
        with pytest.raises(StageUnavailable, match="not running"):
            await timed(server, ASK)
        await server.start()
        assert server.models() == ("fake",)
        for _ in range(UNHEALTHY_AFTER_FAILURES):
            server.check_health()
            with pytest.raises(EngineFailed):
                await timed(server, ASK)
        with pytest.raises(StageUnavailable, match="in a row"):
            server.check_health()
        await server.close()
        with pytest.raises(StageUnavailable, match="not running"):
            server.check_health()

    run_virtual(main())


def test_the_scripted_engine_takes_turns() -> None:
    config = Config(replies=("First.", "Second."))
    talk = [Message("user", "a"), Message("assistant", "First."), Message("user", "b")]
    for count, expected in ((1, "First."), (3, "Second.")):
        assert texts(reply(config, LlmRequest(tuple(talk[:count])))) == [expected]


def test_an_engine_that_says_it_is_dead_makes_the_replica_unhealthy() -> None:
    class Watched(Engine):
        dead = False

        def check_health(self) -> None:
            if self.dead:
                raise StageUnavailable("its process is gone")

    async def main() -> None:
        engine = Watched(Config())
        server = await started(engine)
        server.check_health()
        engine.dead = True
        with pytest.raises(StageUnavailable, match="its process is gone"):
            server.check_health()

    run_virtual(main())


def test_a_stop_string_ends_the_reply_of_any_engine_and_its_tokens_are_counted() -> None:
    items = reply(
        Config(replies=("Yes. Here it is. And more.",), tool_calls=(Call(name="f"),)), replace(ASK, stop=("it",))
    )
    assert "".join(texts(items)) == "Yes. Here "
    finished = items[-1][1]
    assert isinstance(finished, Finished)
    assert (finished.reason, finished.usage.output_tokens) == ("stop", 6)


def test_an_unknown_model_is_not_found() -> None:
    with pytest.raises(NotFound, match="there are: fake"):
        reply(Config(), replace(ASK, model="other"))
    assert texts(reply(Config(), replace(ASK, model="fake")))


def test_json_is_for_engines_that_keep_to_it() -> None:
    with pytest.raises(InvalidRequest, match="cannot be held to JSON"):
        reply(Config(), replace(ASK, json_schema={}))
