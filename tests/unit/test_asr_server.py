import asyncio
from collections.abc import Awaitable, Callable

import pytest

from deployments.asr.contract import AsrOptions, AsrPush, AsrReply
from deployments.asr.engines.fake import Config, Engine, FakeRecognizer
from deployments.asr.server import UNHEALTHY_AFTER_FAILURES, AsrServer
from deployments.runtime.clock import now_s
from deployments.runtime.errors import (
    ConfigError,
    EngineFailed,
    InvalidRequest,
    ParleyError,
    ServerFull,
    StageUnavailable,
    StateLost,
    TooLarge,
)
from tests.virtual_time import run_virtual

SECOND = bytes(32_000)
BLOCK = bytes(3_200)


class CountingEngine(Engine):
    """The fake, which also knows its recognisers that are open."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.open_now: list[FakeRecognizer] = []
        self.most_open = 0
        self.closed = False

    def open(self, options: AsrOptions) -> FakeRecognizer:
        recognizer = CountedRecognizer(self, super().open(options))
        self.open_now.append(recognizer)
        self.most_open = max(self.most_open, len(self.open_now))
        return recognizer

    async def close(self) -> None:
        self.closed = True


class CountedRecognizer(FakeRecognizer):
    def __init__(self, engine: CountingEngine, fake: FakeRecognizer) -> None:
        self.__dict__.update(fake.__dict__)
        self._engine = engine

    async def close(self) -> None:
        await super().close()
        if self in self._engine.open_now:
            self._engine.open_now.remove(self)


def with_server(
    test: Callable[[AsrServer, CountingEngine], Awaitable[None]], config: Config | None = None, **limits: float
) -> None:
    async def main() -> None:
        engine = CountingEngine(config or Config(script=("one two three", "four five")))
        server = AsrServer(engine, **limits)  # type: ignore[arg-type]  # a dictionary has one value type
        await server.start()
        try:
            await test(server, engine)
        finally:
            await server.close()
        assert engine.open_now == []
        assert engine.closed

    run_virtual(main())


def test_words_grow_while_speech_comes_and_are_final_when_asked() -> None:
    async def test(server: AsrServer, engine: CountingEngine) -> None:
        first = await server.push("s", AsrPush("u", 0, BLOCK))
        assert (first.n, first.transcript.text, first.transcript.final) == (0, "one", False)
        second = await server.push("s", AsrPush("u", 1, bytes(6_400)))
        assert second.transcript.text == "one two"
        last = await server.push("s", AsrPush("u", 2, finalize=True))
        assert (last.n, last.transcript.text, last.transcript.final) == (2, "one two three", True)
        more = await server.push("s", AsrPush("u", 3, BLOCK))
        assert not more.transcript.final

    with_server(test)


def test_one_push_may_open_hear_finalise_and_close() -> None:
    async def test(server: AsrServer, engine: CountingEngine) -> None:
        reply = await server.push("s", AsrPush("u", 0, SECOND, finalize=True, close=True))
        assert (reply.transcript.text, reply.transcript.final) == ("one two three", True)
        await asyncio.sleep(0.001)
        assert (server.open_utterances, engine.open_now) == (0, [])

    with_server(test)


def test_a_repeated_number_gets_the_same_reply_and_hears_nothing_twice() -> None:
    async def test(server: AsrServer, engine: CountingEngine) -> None:
        first = await server.push("s", AsrPush("u", 0, BLOCK))
        assert await server.push("s", AsrPush("u", 0, BLOCK)) is first
        second = await server.push("s", AsrPush("u", 1, BLOCK))
        assert second.transcript.text == "one"
        assert await server.push("s", AsrPush("u", 1, SECOND)) is second

    with_server(test)


def test_what_is_not_known_or_misses_a_block_is_lost() -> None:
    async def test(server: AsrServer, engine: CountingEngine) -> None:
        with pytest.raises(StateLost, match="utterance u is not open here"):
            await server.push("s", AsrPush("u", 1, BLOCK))
        await server.push("s", AsrPush("u", 0, BLOCK))
        with pytest.raises(StateLost, match="push 2 came after push 0"):
            await server.push("s", AsrPush("u", 2, BLOCK))
        with pytest.raises(StateLost, match="utterance u is not open here"):
            await server.push("s", AsrPush("u", 1, BLOCK))
        with pytest.raises(StateLost):
            await server.push("s", AsrPush("u", -1, BLOCK))
        with pytest.raises(StateLost):
            await server.push("other session", AsrPush("u", 1, BLOCK))

    with_server(test)


def test_a_new_utterance_ends_the_sessions_old_one_before_it_takes_its_place() -> None:
    async def test(server: AsrServer, engine: CountingEngine) -> None:
        await server.push("s", AsrPush("old", 0, BLOCK))
        reply = await server.push("s", AsrPush("new", 0, BLOCK))
        assert reply.transcript.text == "four"
        assert (len(engine.open_now), engine.most_open) == (1, 1)
        with pytest.raises(StateLost):
            await server.push("s", AsrPush("old", 1, BLOCK))

    with_server(test)


def test_sessions_do_not_disturb_each_other() -> None:
    async def test(server: AsrServer, engine: CountingEngine) -> None:
        async def utterance(session: int) -> str:
            for n in range(10):
                await server.push(f"s{session}", AsrPush("same id", n, BLOCK))
            reply = await server.push(f"s{session}", AsrPush("same id", 10, finalize=True))
            return reply.transcript.text

        texts = await asyncio.gather(*(utterance(session) for session in range(20)))
        assert sorted(texts) == sorted(f"text {index}" for index in range(20))
        assert server.open_utterances == 20

    with_server(test, Config(script=tuple(f"text {index}" for index in range(20)), accept_ms=30))


def test_a_full_server_says_so_and_the_utterances_inside_go_on() -> None:
    async def test(server: AsrServer, engine: CountingEngine) -> None:
        await server.push("a", AsrPush("u", 0, BLOCK))
        await server.push("b", AsrPush("u", 0, BLOCK))
        with pytest.raises(ServerFull, match="2 utterances are being recognised"):
            await server.push("c", AsrPush("u", 0, BLOCK))
        await server.push("a", AsrPush("u", 1, BLOCK, close=True))
        await server.push("c", AsrPush("u", 0, BLOCK))
        await server.push("b", AsrPush("u", 1, BLOCK))

    with_server(test, max_utterances=2)


def test_an_idle_utterance_is_closed_by_the_next_health_check() -> None:
    async def test(server: AsrServer, engine: CountingEngine) -> None:
        await server.push("idle", AsrPush("u", 0, BLOCK))
        await asyncio.sleep(6)
        await server.push("busy", AsrPush("u", 0, BLOCK))
        await asyncio.sleep(6)
        server.check_health()
        await asyncio.sleep(0)
        assert (server.open_utterances, len(engine.open_now)) == (1, 1)
        with pytest.raises(StateLost):
            await server.push("idle", AsrPush("u", 1, BLOCK))
        await server.push("busy", AsrPush("u", 1, BLOCK))

    with_server(test, idle_s=10)


def test_an_utterance_longer_than_the_limit_is_refused_and_closed() -> None:
    async def test(server: AsrServer, engine: CountingEngine) -> None:
        await server.push("s", AsrPush("u", 0, SECOND * 2))
        with pytest.raises(TooLarge, match="at most 2 s long; finalise it"):
            await server.push("s", AsrPush("u", 1, bytes(2)))
        with pytest.raises(TooLarge):
            await server.push("s", AsrPush("huge", 0, SECOND * 1000))
        assert server.open_utterances == 0

    with_server(test, max_audio_s=2)


def test_half_a_sample_is_refused() -> None:
    async def test(server: AsrServer, engine: CountingEngine) -> None:
        with pytest.raises(InvalidRequest, match="3 bytes are not whole 16-bit samples"):
            await server.push("s", AsrPush("u", 0, b"abc"))

    with_server(test)


def test_a_language_the_engine_does_not_speak_is_refused() -> None:
    async def test(server: AsrServer, engine: CountingEngine) -> None:
        with pytest.raises(InvalidRequest, match="'xx'"):
            await server.push("s", AsrPush("u", 0, BLOCK, options=AsrOptions(language="xx")))
        assert server.open_utterances == 0

    with_server(test)


@pytest.mark.parametrize("call", ["open", "accept", "finalize"])
def test_an_engines_own_error_becomes_engine_failed_with_its_cause(call: str) -> None:
    async def test(server: AsrServer, engine: CountingEngine) -> None:
        with pytest.raises(EngineFailed, match=f"RuntimeError: scripted failure of {call}") as raised:
            await server.push("s", AsrPush("u", 0, BLOCK, finalize=True))
        assert isinstance(raised.value.__cause__, RuntimeError)
        with pytest.raises(StateLost):
            await server.push("s", AsrPush("u", 1, BLOCK))

    with_server(test, Config.model_validate({"fail_at": call}))


def test_failures_in_a_row_make_it_unhealthy_and_a_success_healthy_again() -> None:
    async def test(server: AsrServer, engine: CountingEngine) -> None:
        for attempt in range(UNHEALTHY_AFTER_FAILURES):
            server.check_health()
            with pytest.raises(EngineFailed):
                await server.push("s", AsrPush(f"u{attempt}", 0, BLOCK, finalize=True))
        with pytest.raises(StageUnavailable, match="failed 5 times in a row"):
            server.check_health()
        await server.push("s", AsrPush("well", 0, BLOCK))
        server.check_health()

    with_server(test, Config(fail_at="finalize"))


def test_not_running_before_start_and_after_close() -> None:
    async def main() -> None:
        server = AsrServer(Engine(Config()))
        for _ in range(2):
            with pytest.raises(StageUnavailable):
                server.check_health()
            with pytest.raises(StageUnavailable):
                await server.push("s", AsrPush("u", 0, BLOCK))
            await server.start()
            server.check_health()
            await server.close()
            await server.close()

    run_virtual(main())


def test_an_engine_that_cannot_start_lets_its_error_through() -> None:
    class Unconfigured(Engine):
        async def start(self) -> None:
            raise ConfigError("no model")

    with pytest.raises(ConfigError, match="no model"):
        run_virtual(AsrServer(Unconfigured(Config())).start())


async def cancelled_after(seconds: float, push: Awaitable[AsrReply]) -> None:
    task = asyncio.ensure_future(push)
    await asyncio.sleep(seconds)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_push_whose_caller_goes_is_worked_on_and_its_number_gets_the_reply() -> None:
    async def test(server: AsrServer, engine: CountingEngine) -> None:
        await cancelled_after(0.3, server.push("s", AsrPush("u", 0, BLOCK)))
        reply = await server.push("s", AsrPush("u", 0, BLOCK))
        assert (reply.n, reply.transcript.text, now_s()) == (0, "one", 1.0)

    with_server(test, Config(script=("one two",), accept_ms=1000))


def test_the_next_number_waits_for_the_one_whose_caller_went() -> None:
    async def test(server: AsrServer, engine: CountingEngine) -> None:
        await cancelled_after(0.3, server.push("s", AsrPush("u", 0, BLOCK)))
        reply = await server.push("s", AsrPush("u", 1, SECOND))
        assert (reply.transcript.text, now_s()) == ("one two", 2.0)

    with_server(test, Config(script=("one two",), accept_ms=1000))


def test_a_failure_nobody_waits_for_loses_the_utterance() -> None:
    async def test(server: AsrServer, engine: CountingEngine) -> None:
        await cancelled_after(0.3, server.push("s", AsrPush("u", 0, BLOCK)))
        await asyncio.sleep(1)
        with pytest.raises(StateLost):
            await server.push("s", AsrPush("u", 1, BLOCK))

    with_server(test, Config(accept_ms=1000, fail_at="accept"))


@pytest.mark.parametrize("ending", ["another utterance", "close"])
def test_a_hung_push_ends_with_its_utterance(ending: str) -> None:
    async def test(server: AsrServer, engine: CountingEngine) -> None:
        hung = asyncio.create_task(server.push("s", AsrPush("u", 0, BLOCK)))
        behind = asyncio.create_task(server.push("s", AsrPush("u", 1, BLOCK)))
        await asyncio.sleep(1)
        if ending == "close":
            await server.close()
        else:
            other = asyncio.create_task(server.push("s", AsrPush("v", 0, BLOCK)))
            await asyncio.sleep(1)
            other.cancel()
        for task in (hung, behind):
            with pytest.raises(ParleyError) as raised:
                await task
            assert isinstance(raised.value, StateLost)

    with_server(test, Config(hang_at="accept"))


def test_closing_stops_what_is_being_heard_when_its_caller_has_gone() -> None:
    async def test(server: AsrServer, engine: CountingEngine) -> None:
        pushing = asyncio.create_task(server.push("s", AsrPush("u", 0, BLOCK, finalize=True)))
        await asyncio.sleep(1)
        pushing.cancel()
        begun_s = asyncio.get_running_loop().time()
        assert (await server.push("s", AsrPush("u", 1, close=True))).n == 1
        assert server.open_utterances == 0
        assert asyncio.get_running_loop().time() == begun_s

    with_server(test, config=Config(hang_at="finalize"))
