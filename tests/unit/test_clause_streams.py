"""Several clauses of a reply asked for at once."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.media.audio import VOICE_RATE_HZ, samples_of, silence
from deployments.runtime import clock
from deployments.runtime.errors import EngineFailed, InvalidRequest, StageUnavailable
from deployments.runtime.local import LocalStream
from deployments.tts.client import TtsClient
from deployments.tts.contract import SpeechBlock, SpeechRequest
from deployments.tts.engines import fake
from serve_app.session.clause_streams import ClauseStreams
from serve_app.session.playout import Playout
from tests.virtual_time import run_virtual

BLOCK_MS = 100
LEAD_MS = 240
LEAD = VOICE_RATE_HZ * LEAD_MS // 1000
BLOCK = VOICE_RATE_HZ * BLOCK_MS // 1000


class Voice:
    """Speaks a clause `name:blocks:delay_ms` as blocks that carry its name, each after the delay."""

    def __init__(self) -> None:
        self.open: list[str] = []
        self.most_open = 0
        self.asked: list[tuple[float, str]] = []
        self.given: list[tuple[str, int]] = []
        self.breaks: dict[str, Exception] = {}

    async def synthesize(self, request: SpeechRequest) -> AsyncGenerator[SpeechBlock, None]:
        name, blocks, delay_ms = request.text.split(":")
        self.asked.append((clock.now_s(), name))
        self.open.append(name)
        self.most_open = max(self.most_open, len(self.open))
        try:
            for index in range(int(blocks)):
                await asyncio.sleep(int(delay_ms) / 1000)
                if index and name in self.breaks:
                    raise self.breaks.pop(name)
                self.given.append((name, index))
                yield SpeechBlock(_marked(int(name), index))
        finally:
            self.open.remove(name)


class Reply:
    """Clauses played as a turn plays them."""

    def __init__(self, voice: Voice, width: int) -> None:
        self.voice = voice
        self.sent = bytearray()
        self.taken = 0
        """Clauses whose reading has begun."""
        self.waiting_at_ask: list[int] = []
        """Samples that were made and not sent, each time a clause was asked for."""
        self._width = width
        self._playout = Playout(lambda pcm, _: self.sent.extend(pcm), lead_ms=LEAD_MS, block_ms=80)

    async def play(self, clauses: list[str]) -> None:
        texts: asyncio.Queue[str | None] = asyncio.Queue()
        for clause in (*clauses, None):
            texts.put_nowait(clause)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._playout.run())
            await self._speak(texts)

    async def _speak(self, texts: "asyncio.Queue[str | None]") -> None:
        tts = TtsClient(LocalStream(self.voice.synthesize), deadline_s=60)
        streams = ClauseStreams(tts, SpeechRequest, self._width)

        async def room() -> bool:
            await self._playout.room(lambda: streams.held_samples)
            self.waiting_at_ask.append(BLOCK * len(self.voice.given) - self._playout.sent_samples)
            return True

        async with streams.reading(texts, room) as opened:
            async for clause in opened:
                self.taken += 1
                async with aclosing(clause.blocks()) as blocks:
                    async for block in blocks:
                        await self._playout.put(block.pcm)
        self._playout.finish()


def _marked(name: int, index: int) -> bytes:
    """A block whose samples tell which it is."""
    return (100 * name + index + 1).to_bytes(2, "little") * BLOCK


def _clauses(shape: list[tuple[int, int]]) -> list[str]:
    return [f"{index}:{blocks}:{delay_ms}" for index, (blocks, delay_ms) in enumerate(shape)]


SHAPES = st.lists(st.tuples(st.integers(0, 12), st.sampled_from([0, 1, 40, 150, 600])), max_size=6)


@given(shape=SHAPES, width=st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_all_sound_once_in_order_within_the_width_and_the_lead(shape: list[tuple[int, int]], width: int) -> None:
    voice = Voice()
    reply = Reply(voice, width)
    run_virtual(reply.play(_clauses(shape)))
    expected = b"".join(_marked(name, index) for name, (blocks, _) in enumerate(shape) for index in range(blocks))
    assert bytes(reply.sent) == expected
    assert voice.most_open <= width
    assert voice.open == []
    assert all(waiting < LEAD + width * BLOCK for waiting in reply.waiting_at_ask), "a block each may be on its way"


@given(shape=SHAPES, width=st.integers(1, 4), after_ms=st.integers(0, 2000))
@settings(max_examples=60, deadline=None)
def test_nothing_is_asked_for_or_made_after_a_cancel(shape: list[tuple[int, int]], width: int, after_ms: int) -> None:
    voice = Voice()
    reply = Reply(voice, width)

    async def main() -> None:
        playing = asyncio.create_task(reply.play(_clauses(shape)))
        await asyncio.sleep(after_ms / 1000)
        playing.cancel()
        await asyncio.wait([playing])
        before = (len(voice.asked), len(voice.given), len(reply.sent))
        assert voice.open == []
        await asyncio.sleep(60)
        assert (len(voice.asked), len(voice.given), len(reply.sent)) == before

    run_virtual(main())


def test_one_at_a_time_asks_when_the_last_one_is_queued_to_its_end() -> None:
    voice = Voice()
    run_virtual(Reply(voice, 1).play(["0:10:0", "1:1:0"]))
    # A second of sound, of which all but the lead is played when there is room again; sent in blocks of 80 ms.
    assert voice.asked[1][0] == pytest.approx(1.0 - LEAD_MS / 1000, abs=0.24)
    assert voice.most_open == 1


@pytest.mark.parametrize(("width", "seconds"), [(1, 4.0), (2, 2.0)])
def test_two_at_once_are_twice_as_fast_where_the_engine_takes_its_time(width: int, seconds: float) -> None:
    voice = Voice()
    run_virtual(Reply(voice, width).play(["0:1:1000", "1:1:1000", "2:1:1000", "3:1:1000"]))
    assert voice.asked[-1][0] + 1.0 == pytest.approx(seconds, abs=0.3)


def test_what_breaks_ahead_is_raised_behind_the_sound_before_it() -> None:
    voice = Voice()
    voice.breaks["1"] = EngineFailed("it broke")
    reply = Reply(voice, 2)
    with pytest.raises(ExceptionGroup) as caught:
        run_virtual(reply.play(["0:8:100", "1:3:1", "2:1:1"]))
    assert caught.group_contains(EngineFailed)
    assert reply.taken == 2
    assert voice.open == []


def test_a_replica_that_dies_in_the_middle_costs_no_sound() -> None:
    voice = Voice()
    voice.breaks["1"] = StageUnavailable("it died")
    reply = Reply(voice, 2)
    run_virtual(reply.play(["0:3:10", "1:3:10"]))
    assert bytes(reply.sent) == b"".join(_marked(name, index) for name in (0, 1) for index in range(3))


@pytest.mark.parametrize(("voice", "speaks"), [("", True), ("no such voice", False)])
def test_a_language_that_no_voice_speaks_leaves_the_voice_its_own(voice: str, speaks: bool) -> None:
    engine = fake.Engine(fake.Config())

    async def main() -> int:
        texts: asyncio.Queue[str | None] = asyncio.Queue()
        for clause in ("One two.", None):
            texts.put_nowait(clause)
        read = 0

        async def room() -> bool:
            return True

        def request(text: str) -> SpeechRequest:
            return SpeechRequest(text, voice=voice, language="xx")

        await engine.start()
        streams = ClauseStreams(TtsClient(LocalStream(engine.synthesize), 5), request, 1)
        async with streams.reading(texts, room) as opened:
            async for stream in opened:
                async for block in stream.blocks():
                    read += samples_of(block.pcm)
        return read

    if speaks:
        assert run_virtual(main()) > 0
    else:
        with pytest.raises(ExceptionGroup) as caught:
            run_virtual(main())
        assert caught.group_contains(InvalidRequest, match="no voice 'no such voice'")


def test_no_more_is_asked_for_once_it_is_long_enough() -> None:
    voice = Voice()

    async def main() -> int:
        texts: asyncio.Queue[str | None] = asyncio.Queue()
        for clause in ("0:1:1", "1:1:1", None):
            texts.put_nowait(clause)

        async def room() -> bool:
            return not voice.asked

        streams = ClauseStreams(TtsClient(LocalStream(voice.synthesize), 5), SpeechRequest, 1)
        read = 0
        async with streams.reading(texts, room) as opened:
            async for stream in opened:
                async for block in stream.blocks():
                    read += samples_of(block.pcm)
        return read

    assert run_virtual(main()) == samples_of(silence(BLOCK_MS, VOICE_RATE_HZ))
    assert len(voice.asked) == 1
