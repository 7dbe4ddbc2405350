"""The engine `rules`: streaming, limits, usage, and that nothing brings it down."""

import time
from contextlib import aclosing
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.llm.contract import Finished, LlmItem, LlmRequest, Message, TextPiece, Tool, ToolCall
from deployments.llm.engines.rules import Config, Engine
from deployments.runtime.clock import now_s
from deployments.runtime.errors import ConfigError
from tests.unit.test_rules_tools import ALL
from tests.virtual_time import run_virtual

COUNT = LlmRequest((Message("user", "count from one to ten"),))


async def read(engine: Engine, request: LlmRequest) -> list[LlmItem]:
    async with aclosing(engine.generate(request)) as items:
        return [item async for item in items]


def replied(request: LlmRequest) -> list[LlmItem]:
    return run_virtual(read(Engine(Config()), request))


def test_it_streams_word_by_word() -> None:
    items = replied(COUNT)
    assert [item.text for item in items if isinstance(item, TextPiece)][:2] == ["One,", " two,"]
    assert isinstance(items[-1], Finished)
    assert (items[-1].reason, items[-1].usage.input_tokens, items[-1].usage.output_tokens) == ("stop", 5, 10)


def test_words_take_their_time() -> None:
    async def main() -> float:
        await read(Engine(Config(word_delay_ms=30)), COUNT)
        return now_s()

    assert run_virtual(main()) == pytest.approx(0.3)


def test_it_stops_at_the_limit() -> None:
    items = replied(replace(COUNT, max_output_tokens=3))
    assert "".join(item.text for item in items if isinstance(item, TextPiece)) == "One, two, three,"
    assert isinstance(items[-1], Finished)
    assert items[-1].reason == "length"


def test_tool_calls_have_ids_of_their_own() -> None:
    asked = Message("user", "what is the weather in paris and in rome")
    first = [item for item in replied(LlmRequest((asked,), ALL)) if isinstance(item, ToolCall)]
    assert first == [item for item in replied(LlmRequest((asked,), ALL)) if isinstance(item, ToolCall)]
    # The same question again, after items of the conversation were deleted.
    again = LlmRequest((asked, Message("assistant", tool_calls=tuple(first))), ALL)
    second = [item for item in replied(again) if isinstance(item, ToolCall)]
    assert len({call.call_id for call in (*first, *second)}) == 4


def test_an_unknown_time_zone_is_refused_at_start() -> None:
    async def main(zone: str) -> None:
        await Engine(Config(time_zone=zone)).start()

    run_virtual(main("Europe/Berlin"))
    for zone in ("Europe/Nowhere", "../etc/passwd"):
        with pytest.raises(ConfigError, match="no time zone"):
            run_virtual(main(zone))


WORDS = (
    "my name is what the a to for two plus times ( ) of half percent count from down story about dragon "
    "weather in and or remember spell say repeat after me continue you i am like favourite colour dog "
    "called 3 4.5 1,000 % - + * / ^ ? . , : \" ' square root factorial hundred million point who when not "
    "on off timer minutes message bob tomorrow at 5 pm next friday paris hallo danke was ist drei mal"
)
TEXTS = st.one_of(st.text(max_size=200), st.lists(st.sampled_from(WORDS.split()), max_size=30).map(" ".join))
ROLES = st.sampled_from(["user", "assistant", "tool", "system"])
MESSAGES = st.lists(
    st.builds(lambda role, text, cut: Message(role, text, interrupted=cut), ROLES, TEXTS, st.booleans()), max_size=8
)
CHOICES = st.sampled_from(["auto", "none", "required", "set_timer"])


@settings(deadline=None)
@given(messages=MESSAGES, choice=CHOICES, limit=st.none() | st.integers(1, 5))
def test_anything_can_be_said(messages: list[Message], choice: str, limit: int | None) -> None:
    request = LlmRequest(tuple(messages), ALL, choice, max_output_tokens=limit)
    items = replied(request)
    assert isinstance(items[-1], Finished)
    assert len(items) > 1
    assert items == replied(request)


HOSTILE = (
    *("(" * 5000, "the half of the " * 300, "1 + " * 1000, "2^" * 2000, "9" * 50_000, "twice " * 900, "a " * 2500),
    *(
        "my " * 1500 + "is",
        "remember that my " * 300,
        "minus " * 900,
        "1/" * 2000 + "1",
        "in paris and " * 400,
        "say " * 999,
    ),
    *(
        "continue " * 500,
        "\u0301" * 5000,
        "\ud800 lone",
        "\x00" * 5000,
        "count from " + "9" * 4000 + " to 1",
        "5 " * 2000,
    ),
)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:12]))
def test_hostile_text_costs_little(text: str) -> None:
    """Measured here: at most 63 ms of CPU, for ordinary speech 2 to 8 ms; the bound leaves room for a busy machine."""
    before = time.process_time()
    assert replied(LlmRequest((Message("user", text),), (*ALL, Tool("", ""))))
    assert time.process_time() - before < 2


def test_a_long_conversation_costs_little() -> None:
    messages = tuple(Message("user", f"my name is anna{i} and i like " + "x " * 900) for i in range(300))
    before = time.process_time()
    items = replied(LlmRequest((*messages, Message("user", "what is my name"))))
    assert items[0] == TextPiece("Your")
    assert time.process_time() - before < 2
