"""The real vLLM with a tiny random model, on whatever this machine has."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any, TypeVar

import psutil
import pytest

from deployments.llm.contract import Finished, LlmItem, LlmRequest, Message, TextPiece, Tool, ToolCall
from deployments.llm.engines.vllm import Config, Engine
from deployments.llm.server import LlmServer
from deployments.runtime.engines import load_engine
from deployments.runtime.errors import ConfigError, InvalidRequest, NotFound, StageUnavailable
from tests.contract.engines_here import options_for
from tests.contract.kept_engine import PATIENCE, close_kept, run_kept

T = TypeVar("T")

pytestmark = [
    *PATIENCE,
    pytest.mark.skipif(os.environ.get("PARLEY_TEST_ENGINE") != "vllm", reason="PARLEY_TEST_ENGINE=vllm tests it"),
]

HELLO = LlmRequest((Message("system", "You are kind."), Message("user", "Hello, please tell me a long story.")), seed=1)
WEATHER = Tool("get_weather", "The weather", {"properties": {"city": {"type": "string"}}, "required": ["city"]})
POINT = {
    "type": "object",
    "properties": {"x": {"type": "integer", "minimum": 0, "maximum": 9}, "kind": {"enum": ["a", "b"]}},
    "required": ["x", "kind"],
    "additionalProperties": False,
}


def run(use: Callable[[Engine], Awaitable[T]]) -> T:
    return run_kept("llm", "vllm", use)


async def read(engine: Engine, request: LlmRequest) -> list[LlmItem]:
    async with aclosing(engine.generate(request)) as items:
        return [item async for item in items]


def text_of(items: list[LlmItem]) -> str:
    return "".join(item.text for item in items if isinstance(item, TextPiece))


def end_of(items: list[LlmItem]) -> Finished:
    assert isinstance(items[-1], Finished)
    return items[-1]


def test_a_seed_repeats_a_reply() -> None:
    async def use(engine: Engine) -> None:
        first, again = [text_of(await read(engine, HELLO)) for _ in range(2)]
        assert first == again
        assert first != text_of(await read(engine, replace(HELLO, seed=2)))

    run(use)


def test_many_long_prompts_with_seeds_at_once() -> None:
    async def use(engine: Engine) -> None:
        told = "tell me this and that, " * 60
        requests = [
            replace(HELLO, messages=(Message("system", f"{n} {told}"), *HELLO.messages), seed=n, max_output_tokens=5)
            for n in range(32)
        ]
        for reply in await asyncio.gather(*(read(engine, request) for request in requests)):
            assert end_of(reply).usage.output_tokens
        engine.check_health()

    run(use)


def test_the_next_turn_finds_the_first_in_the_cache() -> None:
    async def use(engine: Engine) -> None:
        told = "tell me this and that, " * 40
        first = LlmRequest((Message("system", told), Message("user", "Hi")), max_output_tokens=20)
        before = end_of(await read(engine, first)).usage
        talk = (*first.messages, Message("assistant", "Hello.", interrupted=True), Message("user", "Go on."))
        after = end_of(await read(engine, replace(first, messages=talk))).usage
        block = engine.block_tokens
        assert before.cached_tokens == 0
        assert after.input_tokens > before.input_tokens > block
        assert after.cached_tokens >= before.input_tokens // block * block - block

    run(use)


def test_json_keeps_to_its_schema() -> None:
    async def use(engine: Engine) -> None:
        for seed in range(3):
            reply = await read(engine, replace(HELLO, json_schema=POINT, seed=seed))
            assert end_of(reply).reason == "stop"
            point = json.loads(text_of(reply))
            assert set(point) == {"x", "kind"}
            assert point["x"] in range(10)
            assert point["kind"] in ("a", "b")

    run(use)


def test_any_json_object() -> None:
    async def use(engine: Engine) -> dict[str, Any] | None:
        for seed in range(5):
            reply = await read(engine, replace(HELLO, json_schema={}, seed=seed))
            if end_of(reply).reason == "stop":
                found: dict[str, Any] = json.loads(text_of(reply))
                return found
        return None

    assert isinstance(run(use), dict)


def test_a_schema_that_no_grammar_knows_is_refused() -> None:
    async def use(engine: Engine) -> None:
        with pytest.raises(InvalidRequest):
            await read(engine, replace(HELLO, json_schema={"type": "no such type"}))
        assert await read(engine, replace(HELLO, max_output_tokens=3))

    run(use)


def test_a_call_has_the_arguments_of_its_schema() -> None:
    async def use(engine: Engine) -> None:
        schema = {"properties": {"hour": {"type": "integer"}}, "required": ["hour"], "additionalProperties": False}
        request = replace(HELLO, tools=(WEATHER, Tool("set_alarm", "", schema)), tool_choice="set_alarm")
        reply = await read(engine, request)
        (call,) = [item for item in reply if isinstance(item, ToolCall)]
        assert call.name == "set_alarm"
        assert isinstance(json.loads(call.arguments)["hour"], int)
        assert "<tool_call>" not in text_of(reply)

    run(use)


def test_an_adapter_answers_under_its_name() -> None:
    async def use(engine: Engine) -> None:
        assert engine.models == ("tiny-chat", "pirate")
        base = text_of(await read(engine, HELLO))
        pirate = text_of(await read(engine, replace(HELLO, model="pirate")))
        assert base == text_of(await read(engine, replace(HELLO, model="tiny-chat")))
        assert pirate != base
        with pytest.raises(NotFound, match="tiny-chat, pirate"):
            await read(engine, replace(HELLO, model="sailor"))

    run(use)


def test_a_prompt_over_the_window_is_refused_in_words() -> None:
    async def use(engine: Engine) -> None:
        long = LlmRequest((Message("user", "0123456789 " * 20_000),))
        with pytest.raises(InvalidRequest, match="over the model's window of 32768 tokens") as refused:
            await read(engine, long)
        assert refused.value.code == "context_length_exceeded"
        assert engine.unfinished == 0

    run(use)


def test_stop_limit_and_temperature() -> None:
    async def use(engine: Engine) -> None:
        plain = text_of(await read(engine, replace(HELLO, temperature=0.0, seed=None, max_output_tokens=40)))
        assert plain == text_of(await read(engine, replace(HELLO, temperature=0.0, seed=None, max_output_tokens=40)))
        stop = plain[len(plain) // 2 :][:3]
        cut = await read(engine, replace(HELLO, temperature=0.0, seed=None, max_output_tokens=40, stop=(stop,)))
        assert text_of(cut) == plain[: plain.index(stop)]
        assert end_of(cut).reason == "stop"
        limited = end_of(await read(engine, replace(HELLO, max_output_tokens=5)))
        assert (limited.reason, limited.usage.output_tokens) == ("length", 5)

    run(use)


def test_a_reply_that_is_closed_leaves_the_engine_idle() -> None:
    async def use(engine: Engine) -> None:
        async def begin(session: str) -> AsyncGenerator[LlmItem, None]:
            items = engine.generate(replace(HELLO, session_id=session, max_output_tokens=400, stop=()))
            await anext(items)
            return items

        replies = [await begin("one session") for _ in range(4)]
        assert engine.unfinished == 4
        for reply in replies:
            await reply.aclose()
        assert engine.unfinished == 0
        before = time.monotonic()
        await read(engine, replace(HELLO, max_output_tokens=1))
        assert time.monotonic() - before < 5

    run(use)


def test_replies_of_one_session_at_once_stay_apart() -> None:
    async def use(engine: Engine) -> None:
        requests = [replace(HELLO, seed=seed, session_id="same", max_output_tokens=30) for seed in range(6)]
        alone = [text_of(await read(engine, request)) for request in requests]
        together = await asyncio.gather(*(read(engine, request) for request in requests))
        # Sums in another order may tip a choice, so not every one need be the same to the letter.
        assert sum(text_of(reply) == text for reply, text in zip(together, alone, strict=True)) >= 4
        assert len({text_of(reply) for reply in together}) == 6

    run(use)


def test_what_does_not_fit_is_said_before_anything_is_loaded() -> None:
    options = options_for("vllm")

    async def start(**changed: Any) -> None:
        await Engine(Config.model_validate({**options, **changed})).start()

    with pytest.raises(ConfigError, match="there is no folder /no/such"):
        asyncio.run(start(model="/no/such"))
    with pytest.raises(ConfigError, match=r"'parrot'.*adapter_config"):
        asyncio.run(start(adapters={"parrot": "/no/such"}))


def test_thoughts_are_not_spoken_and_a_dead_core_makes_the_replica_unhealthy() -> None:
    """One start for both: an engine that thinks aloud, then loses its core."""
    close_kept()
    options = {**options_for("vllm"), "reasoning_parser": "qwen3", "chat_template_options": {"enable_thinking": True}}

    async def main() -> None:
        server = LlmServer(load_engine("llm", "vllm", options))
        await server.start()
        try:
            server.check_health()
            await think(server)
            await lose_core(server)
        finally:
            await server.close()

    async def whole(server: LlmServer, request: LlmRequest) -> list[LlmItem]:
        async with aclosing(server.generate(request)) as items:
            return [item async for item in items]

    async def think(server: LlmServer) -> None:
        ended = 0
        for seed in range(8):
            reply = await whole(server, replace(HELLO, seed=seed, cut="word"))
            text = text_of(reply)
            assert "<think>" not in text
            assert "</think>" not in text
            # What was thought is counted, and not said.
            ended += len(text) < end_of(reply).usage.output_tokens
        assert ended

    async def lose_core(server: LlmServer) -> None:
        children = psutil.Process().children(recursive=True)
        for child in children:
            if "VLLM" in child.name() or "VLLM" in " ".join(child.cmdline()):
                os.kill(child.pid, signal.SIGKILL)
        with pytest.raises(StageUnavailable, match="died"):
            await whole(server, HELLO)
        with pytest.raises(StageUnavailable, match="has died"):
            server.check_health()

    asyncio.run(main())
