import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from deployments.asr.client import AsrClient, Utterance
from deployments.asr.contract import AsrOptions, AsrPush, AsrReply
from deployments.asr.engines.fake import Config, Engine
from deployments.asr.server import AsrServer
from deployments.runtime.clock import now_s
from deployments.runtime.errors import (
    Conflict,
    EngineFailed,
    InvalidRequest,
    ParleyError,
    StageTimeout,
    StageUnavailable,
    StateLost,
    TooLarge,
)
from deployments.runtime.local import LocalPush
from tests.virtual_time import run_virtual

BLOCK = bytes(range(1, 161)) * 20
TEN_WORDS = "one two three four five six seven eight nine ten"


@dataclass
class Replicas:
    """A server that can be replaced by a fresh one, and a wire that can break before or after it."""

    config: Config = field(default_factory=lambda: Config(script=(TEN_WORDS,), words_per_s=10))
    servers: list[AsrServer] = field(default_factory=list)
    pushes: list[AsrPush] = field(default_factory=list)
    broken: list[ParleyError] = field(default_factory=list)
    """Raised by the next pushes, before they reach the server."""

    async def replace(self) -> None:
        self.servers.append(AsrServer(Engine(self.config)))
        await self.servers[-1].start()

    async def push(self, session_id: str, request: AsrPush) -> AsrReply:
        self.pushes.append(request)
        if self.broken:
            raise self.broken.pop(0)
        return await self.servers[-1].push(session_id, request)


def with_utterance(
    test: Callable[[Utterance, Replicas], Awaitable[None]], replicas: Replicas | None = None, **limits: float
) -> None:
    async def main(replicas: Replicas) -> None:
        await replicas.replace()
        try:
            client = AsrClient(LocalPush(replicas.push), **{"deadline_s": 1.0, **limits})
            utterance = client.open("session", AsrOptions(language="en"))
            await test(utterance, replicas)
            await utterance.close()
        finally:
            for server in replicas.servers:
                await server.close()

    run_virtual(main(replicas or Replicas()))


def test_blocks_are_numbered_and_words_come_back() -> None:
    async def test(utterance: Utterance, replicas: Replicas) -> None:
        assert (await utterance.push(BLOCK)).text == "one"
        assert (await utterance.push(BLOCK)).text == "one two"
        final = await utterance.finalize()
        assert (final.text, final.final) == (TEN_WORDS, True)
        assert not (await utterance.push(BLOCK)).final
        assert [push.n for push in replicas.pushes] == [0, 1, 2, 3]
        assert len({push.utterance_id for push in replicas.pushes}) == 1
        assert replicas.pushes[0].options == AsrOptions(language="en")
        await utterance.close()
        assert replicas.pushes[-1].close
        assert replicas.servers[-1].open_utterances == 0

    with_utterance(test)


def test_one_push_is_in_flight() -> None:
    async def test(utterance: Utterance, replicas: Replicas) -> None:
        texts = await asyncio.gather(*(utterance.push(BLOCK) for _ in range(5)), utterance.finalize())
        assert [text.text.count(" ") + 1 for text in texts] == [1, 2, 3, 4, 5, 10]
        assert [push.n for push in replicas.pushes] == [0, 1, 2, 3, 4, 5]
        assert now_s() == pytest.approx(0.5)

    with_utterance(test, Replicas(Config(script=(TEN_WORDS,), words_per_s=10, accept_ms=100)))


def test_a_lost_replica_is_rebuilt_from_the_whole_audio() -> None:
    async def test(utterance: Utterance, replicas: Replicas) -> None:
        for _ in range(3):
            await utterance.push(BLOCK)
        await replicas.replace()
        assert (await utterance.push(BLOCK)).text == "one two three four"
        lost, rebuilt = replicas.pushes[-2:]
        assert (lost.n, rebuilt.n, rebuilt.pcm) == (3, 0, BLOCK * 4)
        assert rebuilt.utterance_id != lost.utterance_id
        assert rebuilt.options == AsrOptions(language="en")
        assert (await utterance.push(BLOCK)).text == "one two three four five"
        assert replicas.pushes[-1].n == 1

    with_utterance(test)


def test_a_replica_lost_at_finalize_still_gives_final_words() -> None:
    async def test(utterance: Utterance, replicas: Replicas) -> None:
        await utterance.push(BLOCK)
        await replicas.replace()
        final = await utterance.finalize()
        assert (final.text, final.final) == (TEN_WORDS, True)

    with_utterance(test)


@pytest.mark.parametrize("error", [StateLost("gone"), StageUnavailable("dead")])
def test_a_second_loss_is_raised_and_the_next_call_tries_again(error: ParleyError) -> None:
    async def test(utterance: Utterance, replicas: Replicas) -> None:
        await utterance.push(BLOCK)
        replicas.broken += [error, error]
        with pytest.raises(type(error)):
            await utterance.push(BLOCK)
        assert (await utterance.push(BLOCK)).text == "one two three"

    with_utterance(test)


def test_other_errors_are_raised_at_once() -> None:
    async def test(utterance: Utterance, replicas: Replicas) -> None:
        with pytest.raises(EngineFailed):
            await utterance.push(BLOCK)
        assert len(replicas.pushes) == 1

    with_utterance(test, Replicas(Config(fail_at="accept")))


def test_after_a_timeout_the_number_is_asked_again_and_no_audio_is_lost() -> None:
    async def test(utterance: Utterance, replicas: Replicas) -> None:
        with pytest.raises(StageTimeout):
            await utterance.push(BLOCK)
        assert now_s() == pytest.approx(1.1)
        await asyncio.sleep(2)
        final = await utterance.finalize()
        assert final.text == "one"
        assert [(push.n, push.finalize) for push in replicas.pushes] == [(0, False), (0, False), (1, True)]

    with_utterance(test, Replicas(Config(script=(TEN_WORDS,), words_per_s=10, accept_ms=2000, final="heard")))


def test_cancelled_calls_lose_no_audio() -> None:
    async def test(utterance: Utterance, replicas: Replicas) -> None:
        in_flight = asyncio.create_task(utterance.push(BLOCK))
        waiting = asyncio.create_task(utterance.push(BLOCK))
        await asyncio.sleep(0.05)
        in_flight.cancel()
        await asyncio.sleep(0.01)
        # By now the second has its turn and asks for the first one's reply.
        waiting.cancel()
        for task in (in_flight, waiting):
            with pytest.raises(asyncio.CancelledError):
                await task
        assert (await utterance.push(BLOCK)).text == "one two three"
        assert utterance.audio_s == pytest.approx(0.3)
        assert replicas.pushes[-1].pcm == BLOCK * 2

    with_utterance(test, Replicas(Config(script=(TEN_WORDS,), words_per_s=10, accept_ms=100)))


def test_a_rebuild_has_as_much_more_time_as_the_audio_lasts() -> None:
    async def test(utterance: Utterance, replicas: Replicas) -> None:
        for _ in range(30):
            await utterance.push(BLOCK)
        await replicas.replace()
        replicas.servers[-1] = AsrServer(Engine(Config(accept_ms=3500)))
        await replicas.servers[-1].start()
        before_s = now_s()
        assert (await utterance.push(BLOCK)).text == "hello there"
        assert now_s() - before_s == pytest.approx(3.5)

    with_utterance(test)


def test_an_utterance_over_the_limit_is_refused_and_stays_usable() -> None:
    async def test(utterance: Utterance, replicas: Replicas) -> None:
        for _ in range(5):
            await utterance.push(BLOCK)
        with pytest.raises(TooLarge, match=r"at most 0\.5 s long"):
            await utterance.push(bytes(2))
        assert (await utterance.finalize()).text == TEN_WORDS

    with_utterance(test, max_audio_s=0.5)


def test_half_a_sample_is_refused_and_not_sent() -> None:
    async def test(utterance: Utterance, replicas: Replicas) -> None:
        with pytest.raises(InvalidRequest):
            await utterance.push(b"abc")
        assert replicas.pushes == []

    with_utterance(test)


def test_closing_sends_nothing_for_an_utterance_that_was_never_begun_and_may_be_repeated() -> None:
    async def test(utterance: Utterance, replicas: Replicas) -> None:
        await utterance.close()
        await utterance.close()
        assert replicas.pushes == []
        with pytest.raises(Conflict):
            await utterance.push(BLOCK)
        with pytest.raises(Conflict):
            await utterance.finalize()

    with_utterance(test)


def test_closing_what_the_stage_has_lost_is_no_error() -> None:
    async def test(utterance: Utterance, replicas: Replicas) -> None:
        await utterance.push(BLOCK)
        await replicas.replace()
        await utterance.close()
        assert replicas.pushes[-1].close

    with_utterance(test)


def test_a_push_that_waits_for_its_turn_when_the_utterance_closes_is_refused() -> None:
    async def test(utterance: Utterance, replicas: Replicas) -> None:
        first = asyncio.create_task(utterance.push(BLOCK))
        second = asyncio.create_task(utterance.push(BLOCK))
        await asyncio.sleep(0.05)
        await utterance.close()
        assert (await first).text == "one"
        with pytest.raises(Conflict):
            await second

    with_utterance(test, Replicas(Config(script=(TEN_WORDS,), words_per_s=10, accept_ms=100)))
