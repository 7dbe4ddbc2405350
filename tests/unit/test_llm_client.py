"""How a session reaches the Llm stage, over ports that fail in scripted ways."""

import pickle
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from deployments.llm.client import LlmClient
from deployments.llm.contract import Finished, LlmItem, LlmRequest, Message, TextPiece, Tool, ToolCall
from deployments.runtime.errors import EngineFailed, ParleyError, StageUnavailable
from tests.virtual_time import run_virtual

ASK = LlmRequest((Message("user", "Hello"),))
HI, BYE, END = TextPiece("Hi."), TextPiece("Bye."), Finished("stop")


class ScriptedPort:
    """Each call yields the next script: items, and errors raised in their place."""

    def __init__(self, *scripts: list[LlmItem | ParleyError]) -> None:
        self.scripts = list(scripts)
        self.deadlines_s: list[float] = []
        self.open = 0

    async def stream(self, request: LlmRequest, *, deadline_s: float) -> AsyncGenerator[LlmItem, None]:
        self.deadlines_s.append(deadline_s)
        self.open += 1
        try:
            for item in self.scripts.pop(0):
                if isinstance(item, ParleyError):
                    raise item
                yield item
        finally:
            self.open -= 1


async def read(port: ScriptedPort, into: list[LlmItem]) -> None:
    async with aclosing(LlmClient(port, deadline_s=7).reply(ASK)) as items:
        async for item in items:
            into.append(item)  # noqa: PERF401  what came before an error is looked at


def test_items_pass_in_order_and_the_deadline_is_given() -> None:
    port, heard = ScriptedPort([HI, BYE, END]), list[LlmItem]()
    run_virtual(read(port, heard))
    assert heard == [HI, BYE, END]
    assert port.deadlines_s == [7]
    assert port.open == 0


@pytest.mark.parametrize("first", [[StageUnavailable("died")], []])
def test_a_replica_that_dies_before_the_first_item_costs_one_retry(first: list[LlmItem | ParleyError]) -> None:
    port, heard = ScriptedPort(first, [HI, END]), list[LlmItem]()
    run_virtual(read(port, heard))
    assert heard == [HI, END]
    assert port.open == 0


@pytest.mark.parametrize(
    ("scripts", "error", "heard"),
    [
        ([[StageUnavailable("1")], [StageUnavailable("2")]], StageUnavailable, []),
        ([[HI, StageUnavailable("died")]], StageUnavailable, [HI]),
        ([[HI]], StageUnavailable, [HI]),
        ([[EngineFailed("no")]], EngineFailed, []),
    ],
)
def test_no_retry_where_it_cannot_help(scripts: Any, error: type[ParleyError], heard: list[LlmItem]) -> None:
    port, got = ScriptedPort(*scripts), list[LlmItem]()
    with pytest.raises(error):
        run_virtual(read(port, got))
    assert got == heard
    assert port.scripts == []
    assert port.open == 0


def test_closing_the_reply_closes_the_stream() -> None:
    async def main() -> None:
        port = ScriptedPort([HI, BYE, END])
        items = LlmClient(port, deadline_s=7).reply(ASK)
        assert await anext(items) == HI
        assert port.open == 1
        await items.aclose()
        assert port.open == 0

    run_virtual(main())


def test_values_cross_between_replicas() -> None:
    call = ToolCall("call_1", "get", "{}")
    request = LlmRequest(
        (Message("assistant", "Hm", (call,), interrupted=True),), (Tool("get", "", {"type": "object"}),)
    )
    for value in (request, HI, call, END):
        assert pickle.loads(pickle.dumps(value)) == value
