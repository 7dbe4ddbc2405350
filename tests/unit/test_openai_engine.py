"""The `openai` engine against a real server on loopback that has the manners of each test."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from typing import Any

import pytest

from deployments.llm.contract import Finished, LlmItem, LlmRequest, Message, TextPiece, Tool, ToolCall, Usage
from deployments.llm.engines.openai import Config, Engine
from deployments.runtime.engines import load_engine
from deployments.runtime.errors import (
    ConfigError,
    EngineFailed,
    InvalidRequest,
    ParleyError,
    StageTimeout,
    StageUnavailable,
)
from tests.upstreams import Behaviour, Exchange, StandIn

ASK = LlmRequest((Message("user", "Hello"),), (Tool("look", "Looks."), Tool("listen")))
QUICK: dict[str, Any] = {"backoff_s": 0.01, "first_token_s": 1, "between_tokens_s": 0.4, "connect_s": 1}
HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


async def hangs(exchange: Exchange) -> None:
    await asyncio.Event().wait()


async def hangs_after_the_head(exchange: Exchange) -> None:
    await exchange.head()
    while True:
        await exchange.send(": still here\n\n")
        await exchange.delta(role="assistant")
        await asyncio.sleep(0.02)


async def stalls(exchange: Exchange) -> None:
    await exchange.head()
    await exchange.delta(content="Well ")
    while True:
        await exchange.send(": still here\n\n")
        await asyncio.sleep(0.02)


async def hangs_up(exchange: Exchange) -> None:
    pass


async def closes(exchange: Exchange) -> None:
    await exchange.head()
    await exchange.delta(content="Well ")


async def half_a_json(exchange: Exchange) -> None:
    await exchange.head()
    await exchange.delta(content="Well ")
    await exchange.event('{"choices": [{"delta": {"content": "th')
    await exchange.event("[DONE]")


async def html(exchange: Exchange) -> None:
    await exchange.head(200, "text/html; charset=utf-8")
    await exchange.send("<html><h1>Welcome</h1></html>")


async def html_error(exchange: Exchange) -> None:
    await exchange.head(502, "text/html")
    await exchange.send("<html><h1>Bad gateway</h1></html>")


async def all_at_once(exchange: Exchange) -> None:
    await exchange.head(200, "application/json")
    await exchange.send('{"choices": [{"message": {"content": "Hello"}}]}')


async def error_inside(exchange: Exchange) -> None:
    await exchange.head()
    await exchange.event({"error": {"message": "out of memory"}})


async def busy(exchange: Exchange) -> None:
    await exchange.refuse(429, "slow down", Retry_After="0.05")


async def busy_for_long(exchange: Exchange) -> None:
    await exchange.refuse(429, "slow down", Retry_After="3600")


async def echoes_the_key(exchange: Exchange) -> None:
    await exchange.refuse(401, f"wrong key: {exchange.headers['authorization']}")


async def hello(exchange: Exchange) -> None:
    await exchange.words("Hel", "lo.")


async def read(engine: Engine, request: LlmRequest = ASK) -> list[LlmItem]:
    async with aclosing(engine.generate(request)) as items:
        return [item async for item in items]


def said(items: list[LlmItem]) -> str:
    return "".join(item.text for item in items if isinstance(item, TextPiece))


def with_servers(
    use: Callable[..., Awaitable[Any]], *behaviours: list[Behaviour], **options: Any
) -> tuple[Any, list[StandIn]]:
    """Run `use(engine, *servers)` with an engine whose servers behave so; the second is its fallback."""

    async def main() -> tuple[Any, list[StandIn]]:
        async with AsyncExitStack() as stack:
            servers = [await stack.enter_async_context(StandIn(list(each)).running()) for each in behaviours]
            first, *rest = ({**QUICK, "model": "small", "base_url": server.address} for server in servers)
            config = Config.model_validate({**first, "fallback": rest[0] if rest else None, **options})
            engine = Engine(config)
            await engine.start()
            stack.push_async_callback(engine.close)
            return await use(engine, *servers), servers

    return asyncio.run(main())


def answers(*behaviours: list[Behaviour], **options: Any) -> tuple[list[LlmItem], list[StandIn]]:
    return with_servers(lambda engine, *_: read(engine), *behaviours, **options)


@pytest.mark.parametrize(
    ("behaviour", "kind", "words", "requests"),
    [
        (hangs, StageTimeout, "no first token within 1 s", 1),
        (hangs_after_the_head, StageTimeout, "no first token within 1 s", 1),
        (stalls, StageTimeout, "no next token within 0.4 s", 1),
        (hangs_up, StageUnavailable, "does not answer", 3),
        (closes, StageUnavailable, "broke off", 1),
        (half_a_json, EngineFailed, "not JSON, or half", 1),
        (html, EngineFailed, "text/html in place of an event stream; check base_url", 1),
        (html_error, StageUnavailable, "502: a page of HTML", 3),
        (all_at_once, EngineFailed, "application/json in place of", 1),
        (error_inside, EngineFailed, "out of memory", 1),
        (busy, StageUnavailable, "429: slow down", 3),
        (busy_for_long, StageUnavailable, "429: slow down", 1),
    ],
)
def test_a_bad_server_is_a_clear_error(
    behaviour: Behaviour, kind: type[ParleyError], words: str, requests: int
) -> None:
    async def use(engine: Engine, server: StandIn) -> ParleyError:
        with pytest.raises(kind) as caught:
            await read(engine)
        server.behaviours = [hello]
        assert said(await read(engine)) == "Hello.", "the next request is served"
        return caught.value

    error, (server,) = with_servers(use, [behaviour])
    assert words in error.message
    assert "127.0.0.1" in error.message
    assert error.__cause__ is not None
    assert len(server.seen) == requests + 1


@pytest.mark.parametrize("behaviour", [hangs_up, html_error, busy])
def test_what_may_pass_is_tried_again_before_the_first_token(behaviour: Behaviour) -> None:
    items, (server,) = answers([behaviour, behaviour, hello])
    assert said(items) == "Hello."
    assert len(server.seen) == 3


def test_a_server_that_asks_for_time_gets_it() -> None:
    before = time.monotonic()
    answers([busy, hello])
    assert time.monotonic() - before >= 0.05


@pytest.mark.parametrize("behaviour", [hangs, hangs_up, html, html_error, busy_for_long, error_inside])
def test_another_server_answers_for_one_that_fails(behaviour: Behaviour) -> None:
    items, (_, fallback) = answers([behaviour], [hello])
    assert said(items) == "Hello."
    assert len(fallback.seen) == 1


def test_a_request_that_is_at_fault_is_asked_once() -> None:
    async def refuses(exchange: Exchange) -> None:
        await exchange.refuse(400, "messages: too many")

    async def use(engine: Engine, *_: StandIn) -> str:
        with pytest.raises(InvalidRequest) as caught:
            await read(engine)
        return caught.value.message

    message, (first, fallback) = with_servers(use, [refuses], [hello])
    assert "messages: too many" in message
    assert (len(first.seen), len(fallback.seen)) == (1, 0)


def test_what_was_begun_is_not_begun_again() -> None:
    async def use(engine: Engine, *_: StandIn) -> list[LlmItem]:
        async with aclosing(engine.generate(ASK)) as items:
            got = [await anext(items)]
            with pytest.raises(StageUnavailable):
                await anext(items)
        return got

    got, servers = with_servers(use, [closes, hello], [hello])
    assert said(got) == "Well "
    assert [len(server.seen) for server in servers] == [1, 0]


def test_a_dead_server_is_left_alone_and_found_again() -> None:
    async def use(engine: Engine, server: StandIn) -> None:
        for _ in range(2):
            with pytest.raises(StageUnavailable):
                await read(engine)
        asked = len(server.seen)
        with pytest.raises(StageUnavailable, match="not asked: its next try is in"):
            await read(engine)
        assert len(server.seen) == asked
        await asyncio.sleep(0.3)
        server.behaviours = [hello]
        assert said(await read(engine)) == "Hello."

    with_servers(use, [hangs_up], retries=0, breaker={"failures": 2, "rest_s": 0.3})


def test_a_server_that_is_not_there_is_unavailable() -> None:
    async def main() -> None:
        engine = Engine(Config(model="m", base_url="http://127.0.0.1:9/v1", backoff_s=0.01))
        await engine.start()
        with pytest.raises(StageUnavailable, match=r"127\.0\.0\.1:9 does not answer: ConnectError"):
            await read(engine)
        await engine.close()

    asyncio.run(main())


def test_the_whole_wait_has_an_end() -> None:
    async def use(engine: Engine, *_: StandIn) -> float:
        before = time.monotonic()
        with pytest.raises((StageTimeout, StageUnavailable)):
            await read(engine)
        return time.monotonic() - before

    took_s, _ = with_servers(use, [hangs], [hangs], begin_within_s=0.4)
    assert took_s < 2


def test_stopping_a_reply_hangs_up_on_the_server() -> None:
    async def endless(exchange: Exchange) -> None:
        await exchange.head()
        while True:
            await exchange.delta(content="on and ")
            await asyncio.sleep(0.001)

    async def use(engine: Engine, server: StandIn) -> None:
        async with aclosing(engine.generate(ASK)) as items:
            await anext(items)
            assert not server.idle.is_set()
        async with asyncio.timeout(5):
            await server.idle.wait()

    with_servers(use, [endless])


def test_parallel_calls_thoughts_and_costs_come_through() -> None:
    async def calls(exchange: Exchange) -> None:
        await exchange.head()
        await exchange.delta(reasoning_content="They greet me.")
        await exchange.delta(content="<think>Shall I?</think>Let me see.")
        for index, name in enumerate(("look", "listen")):
            await exchange.delta(
                tool_calls=[{"index": index, "id": f"c{index}", "function": {"name": name, "arguments": ""}}]
            )
        for index, part in ((1, '{"to"'), (0, "{}"), (1, ': "it"}')):
            await exchange.delta(tool_calls=[{"index": index, "function": {"arguments": part}}])
        await exchange.delta(finish="tool_calls")
        await exchange.event({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 9}})
        await exchange.event("[DONE]")

    items, _ = answers([calls])
    assert items == [
        TextPiece("Let me see."),
        ToolCall("c0", "look", "{}"),
        ToolCall("c1", "listen", '{"to": "it"}'),
        Finished("tool_calls", Usage(5, 9)),
    ]


def test_half_a_call_is_an_error_and_one_that_the_limit_cut_off_is_dropped() -> None:
    def ending(finish: str) -> Behaviour:
        async def behave(exchange: Exchange) -> None:
            await exchange.head()
            await exchange.delta(tool_calls=[{"index": 0, "id": "c", "function": {"name": "look", "arguments": "{"}}])
            await exchange.delta(finish=finish)

        return behave

    async def use(engine: Engine, *_: StandIn) -> list[LlmItem]:
        with pytest.raises(EngineFailed, match="call of look whose arguments are not JSON"):
            await read(engine)
        return await read(engine)

    items, _ = with_servers(use, [ending("stop"), ending("length")])
    assert items == [Finished("length")]


def test_a_key_is_sent_and_never_shown(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("PARLEY_TEST_KEY", "sk-very-secret")

    async def use(engine: Engine, *_: StandIn) -> ParleyError:
        with pytest.raises(EngineFailed, match="check its key") as caught:
            await read(engine)
        return caught.value

    with caplog.at_level(logging.DEBUG, logger="deployments"):
        error, (server,) = with_servers(use, [echoes_the_key], api_key_env="PARLEY_TEST_KEY")
    assert server.seen[0].headers["authorization"] == "Bearer sk-very-secret"
    assert "answered 401" in caplog.text
    assert "sk-very-secret" not in f"{caplog.text} {error!r} {error.__cause__!r}"


def test_a_model_that_is_not_there_is_refused() -> None:
    async def use(engine: Engine, *_: StandIn) -> None:
        with pytest.raises(InvalidRequest, match="'huge'; there are: small"):
            await read(engine, LlmRequest(ASK.messages, model="huge"))

    with_servers(use, [hello])


def test_it_needs_a_model() -> None:
    with pytest.raises(ConfigError, match="model: Field required"):
        load_engine("llm", "openai", {})
