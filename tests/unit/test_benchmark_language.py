"""The language benchmark's own arithmetic, over the scripted engine."""

from collections.abc import Sequence
from typing import Any, cast

import pytest

from benchmarks.language import (
    AT_ONCE,
    Compared,
    Round,
    compare,
    cost_table,
    measured,
    request,
    rest_table,
    second_turns,
)
from benchmarks.language_graph import Graph
from deployments.llm.contract import LlmRequest
from deployments.llm.engines.fake import Config, Engine
from deployments.llm.server import LlmServer
from tests.virtual_time import run_virtual

SCRIPT = Config(replies=("one two three four",), first_token_ms=20, token_ms=10)


class InProcess:
    """A graph that adds nothing."""

    replicas = 2
    block_tokens = 16

    def __init__(self, server: LlmServer) -> None:
        self._server = server

    async def rounds(self, rounds: Sequence[Sequence[LlmRequest]]) -> list[Round]:
        return [await measured(self._server.generate, requests) for requests in rounds]


class Remembering(InProcess):
    """Prompts of 40 tokens; of second turns, the first conversation's was not cached."""

    async def rounds(self, rounds: Sequence[Sequence[LlmRequest]]) -> list[Round]:
        firsts, seconds = rounds
        assert [each.session_id for each in firsts] == [each.session_id for each in seconds]
        assert all(new.messages[:2] == old.messages for new, old in zip(seconds, firsts, strict=True))
        before = Round((), 0, 1.0, tuple((40, 0) for _ in firsts))
        after = Round((), 0, 1.0, tuple((60, 32 if n else 0) for n, _ in enumerate(seconds)))
        return [before, after]


async def _server() -> LlmServer:
    server = LlmServer(Engine(SCRIPT))
    await server.start()
    return server


def test_both_are_asked_the_same_and_compared() -> None:
    async def main() -> list[Compared]:
        engine = Engine(SCRIPT)
        return await compare(engine.generate, cast("Graph", InProcess(await _server())), 2)

    compared = run_virtual(main())
    assert [each.at_once for each in compared] == list(AT_ONCE)
    for each in compared:
        assert len(each.bare) == len(each.graph) == 2
        assert all(kept.tokens == 4 * each.at_once for kept in (*each.bare, *each.graph))
        assert len(each.graph[0].first_words_ms) == each.at_once
        assert each.row[0] == each.at_once


def test_no_two_conversations_share_a_beginning() -> None:
    texts = {request(f"{n} {m}", 0).messages[0].text[:12] for n in range(3) for m in range(3)}
    assert len(texts) == 9


def test_hits_are_second_turns_that_found_all_whole_blocks() -> None:
    turns = run_virtual(_turns())
    assert turns == {"conversations": 8, "replicas": 2, "hits": 7 / 8, "tokens_found": pytest.approx(7 / 8)}


async def _turns() -> dict[str, float]:
    return await second_turns(cast("Graph", Remembering(await _server())), 8)


def test_the_tables_say_what_was_measured() -> None:
    rounds = (Round((10.0, 20.0), 100, 2.0, ((40, 0),)),)
    slower = (Round((12.0, 24.0), 100, 2.5, ((40, 0),)),)
    turns: dict[str, Any] = {"replicas": 2, "hits": 0.95, "tokens_found": 0.9}
    cost, rest = cost_table([Compared(2, rounds, slower)]), rest_table([5.0, 30.0], turns)
    assert cost.rows == [(2, 15.0, 18.0, 3.0, 50.0, 40.0, 0.8)]
    assert rest.rows[0][1] == 30.0
    assert "0.95" in rest.text()
