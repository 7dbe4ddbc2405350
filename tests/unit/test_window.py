"""A conversation cut to the model's window."""

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.llm.contract import LlmItem, LlmRequest, Message, TextPiece, Tool, ToolCall
from deployments.llm.engines import rules
from deployments.llm.server import LlmServer
from deployments.llm.window import estimated_tokens, fitted
from deployments.runtime.errors import InvalidRequest

SYSTEM = Message("system", "Be kind.")


def turn(n: int, chars: int = 300) -> tuple[Message, ...]:
    return Message("user", f"{n} " + "q" * chars), Message("assistant", f"{n} " + "a" * chars)


def conversation(turns: int) -> LlmRequest:
    last = Message("user", "And now?")
    return LlmRequest((SYSTEM, *(message for n in range(turns) for message in turn(n)), last), fit=True)


def test_what_fits_is_left_alone() -> None:
    request = conversation(3)
    assert fitted(request, 8000) is request


def test_the_oldest_turns_go_and_the_instructions_stay() -> None:
    request = conversation(20)
    messages = fitted(request, 2000).messages
    assert messages[0] == SYSTEM
    assert messages[1].role == "user"
    assert messages[1:] == request.messages[-(len(messages) - 1) :]
    assert 2 < len(messages) < len(request.messages)


def test_turns_go_several_at_a_time() -> None:
    """So the beginning stays the same for a while, and the engine's cache of prefixes with it."""
    firsts = [fitted(conversation(turns), 3400).messages[1].text for turns in range(12, 28)]
    assert len(set(firsts)) <= 5
    assert len(set(firsts)) > 1


def test_a_result_goes_with_its_call() -> None:
    call = Message("assistant", "", (ToolCall("c", "look", "{}"),))
    late = Message("tool", "sunny", tool_call_id="c")
    old = (Message("user", "x" * 3000), call)
    request = LlmRequest((SYSTEM, *old, *turn(1), late, Message("user", "And now?")), fit=True)
    assert fitted(request, 900).messages == (SYSTEM, *turn(1), Message("user", "And now?"))


def test_a_last_turn_that_is_too_long_is_refused() -> None:
    request = LlmRequest((SYSTEM, *turn(0), Message("user", "x" * 9000)), fit=True)
    with pytest.raises(InvalidRequest, match="window of 1000 tokens") as refused:
        fitted(request, 1000)
    assert refused.value.code == "context_length_exceeded"
    with pytest.raises(InvalidRequest):
        fitted(LlmRequest((Message("system", "x" * 9000),)), 1000)


def test_functions_and_the_reply_need_room_too() -> None:
    request = conversation(8)
    plain = len(fitted(request, 2600).messages)
    with_tool = replace(request, tools=(Tool("look", "x" * 1500),))
    assert len(fitted(with_tool, 2600).messages) < plain
    assert len(fitted(replace(request, max_output_tokens=1900), 2600).messages) < plain


def test_the_estimate_is_on_the_safe_side() -> None:
    assert estimated_tokens("") == 0
    assert estimated_tokens("Hello there, how are you?") >= 7
    assert estimated_tokens("今天天气怎么样") >= 7


@given(st.lists(st.integers(0, 2000), max_size=20), st.integers(700, 5000))
def test_whatever_is_cut_ends_as_it_did_and_begins_with_a_user(sizes: list[int], window: int) -> None:
    said = [message for n, size in enumerate(sizes) for message in turn(n, size)]
    request = LlmRequest((SYSTEM, *said, Message("user", "And now?")), fit=True)
    messages = fitted(request, window).messages
    assert messages[0] == SYSTEM
    assert messages[1].role == "user"
    assert messages[-1] == request.messages[-1]


class SmallWindow(rules.Engine):
    """The embedded model, which could take in more."""

    context_tokens = 600

    def __init__(self) -> None:
        super().__init__(rules.Config())
        self.given: list[LlmRequest] = []

    async def generate(self, request: LlmRequest):  # type: ignore[no-untyped-def]
        self.given.append(request)
        async with aclosing(super().generate(request)) as items:
            async for item in items:
                yield item


def test_the_stage_cuts_for_a_session_and_for_nobody_else() -> None:
    async def main() -> tuple[SmallWindow, list[LlmItem]]:
        engine = SmallWindow()
        server = LlmServer(engine)
        await server.start()
        items: list[LlmItem] = []
        for request in (conversation(20), replace(conversation(20), fit=False)):
            async with aclosing(server.generate(request)) as reply:
                items += [item async for item in reply]
        return engine, items

    engine, items = asyncio.run(main())
    assert [len(request.messages) for request in engine.given] == [6, 42]
    assert any(isinstance(item, TextPiece) for item in items)
