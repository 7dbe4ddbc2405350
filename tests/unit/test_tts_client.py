import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import numpy as np
import pytest

from deployments.media.audio import VOICE_RATE_HZ, from_float, to_float
from deployments.runtime.errors import InvalidRequest, NotFound, StageTimeout, StageUnavailable, StateLost
from deployments.runtime.local import LocalStream
from deployments.tts.client import TtsClient
from deployments.tts.contract import SpeechBlock, SpeechRequest, VoiceSample
from deployments.tts.engines import fake
from deployments.tts.server import TtsServer
from tests.virtual_time import run_virtual

REQUEST = SpeechRequest("hello")
BLOCKS = [SpeechBlock(b"\x01\x00"), SpeechBlock(b"\x02\x00")]


class Replicas:
    """A stage that fails as told: for each call, what it yields and then raises."""

    def __init__(self, *calls: tuple[list[SpeechBlock], Exception | None]) -> None:
        self._calls = list(calls)
        self.begun = 0
        self.open = 0

    async def synthesize(self, request: SpeechRequest) -> AsyncGenerator[SpeechBlock, None]:
        blocks, error = self._calls[self.begun]
        self.begun += 1
        self.open += 1
        try:
            for block in blocks:
                yield block
            if error:
                raise error
        finally:
            self.open -= 1


async def speak(replicas: Replicas) -> list[SpeechBlock]:
    client = TtsClient(LocalStream(replicas.synthesize), deadline_s=5)
    async with aclosing(client.speak(REQUEST)) as blocks:
        return [block async for block in blocks]


def test_passes_the_blocks_on() -> None:
    assert run_virtual(speak(Replicas((BLOCKS, None)))) == BLOCKS


def test_text_without_anything_to_say_yields_nothing() -> None:
    assert run_virtual(speak(Replicas(([SpeechBlock(b"")], None)))) == []


def test_a_replica_that_dies_before_the_first_block_costs_one_retry() -> None:
    replicas = Replicas(([], StageUnavailable("died")), (BLOCKS, None))
    assert run_virtual(speak(replicas)) == BLOCKS
    assert replicas.begun == 2


def test_there_is_no_second_retry() -> None:
    replicas = Replicas(([], StageUnavailable("died")), ([], StageUnavailable("died again")), (BLOCKS, None))
    with pytest.raises(StageUnavailable, match="again"):
        run_virtual(speak(replicas))
    assert replicas.begun == 2


def test_after_the_first_block_it_does_not_begin_again() -> None:
    replicas = Replicas((BLOCKS[:1], StageUnavailable("died")), (BLOCKS, None))
    with pytest.raises(StageUnavailable):
        run_virtual(speak(replicas))
    assert replicas.begun == 1


def test_other_errors_are_not_retried() -> None:
    replicas = Replicas(([], InvalidRequest("no such voice")), (BLOCKS, None))
    with pytest.raises(InvalidRequest):
        run_virtual(speak(replicas))
    assert replicas.begun == 1


def test_the_deadline_bounds_the_wait_for_each_block() -> None:
    async def silent(request: SpeechRequest) -> AsyncGenerator[SpeechBlock, None]:
        yield BLOCKS[0]
        await asyncio.sleep(10)
        yield BLOCKS[1]

    async def main() -> None:
        async with aclosing(TtsClient(LocalStream(silent), deadline_s=5).speak(REQUEST)) as blocks:
            await anext(blocks)
            with pytest.raises(StageTimeout):
                await anext(blocks)

    run_virtual(main())


def test_closing_stops_the_stage() -> None:
    async def main() -> None:
        replicas = Replicas((BLOCKS, None))
        async with aclosing(TtsClient(LocalStream(replicas.synthesize), deadline_s=5).speak(REQUEST)) as blocks:
            await anext(blocks)
            assert replicas.open == 1
        assert replicas.open == 0

    run_virtual(main())


def test_cancelling_before_the_first_block_stops_the_stage() -> None:
    async def main() -> None:
        stopped = asyncio.Event()

        async def hanging(request: SpeechRequest) -> AsyncGenerator[SpeechBlock, None]:
            try:
                await asyncio.Event().wait()
                yield BLOCKS[0]
            finally:
                stopped.set()

        client = TtsClient(LocalStream(hanging), deadline_s=5)
        reader = asyncio.create_task(anext(client.speak(REQUEST)))
        await asyncio.sleep(1)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        assert stopped.is_set()

    run_virtual(main())


class Shelf:
    """Recordings of voices."""

    def __init__(self, **kept: bytes) -> None:
        self.kept = kept
        self.sent = 0

    async def check(self, voice: str) -> None:
        if voice not in self.kept:
            raise NotFound(f"There is no voice '{voice}'.", "voice_not_found", "voice")

    async def sample(self, voice: str) -> VoiceSample:
        await self.check(voice)
        self.sent += 1
        return VoiceSample(self.kept[voice])


def tone(hz: float) -> bytes:
    t = np.arange(VOICE_RATE_HZ) / VOICE_RATE_HZ
    return from_float(0.3 * np.sin(2 * np.pi * hz * t))


def pitch_hz(blocks: list[SpeechBlock]) -> float:
    sound = to_float(b"".join(block.pcm for block in blocks))
    return float(np.argmax(np.abs(np.fft.rfft(sound, VOICE_RATE_HZ))))


def test_a_replica_that_does_not_know_a_cloned_voice_is_sent_its_recording() -> None:
    async def main() -> None:
        server = TtsServer(fake.Engine(fake.Config()))
        await server.start()
        shelf = Shelf(voice_ann=tone(200), voice_bob=tone(120))
        client = TtsClient(LocalStream(server.synthesize), 5, shelf)
        for voice, hz in (("voice_ann", 200), ("voice_bob", 120), ("voice_ann", 200)):
            async with aclosing(client.speak(SpeechRequest("one two three", voice))) as blocks:
                assert pitch_hz([block async for block in blocks]) == pytest.approx(hz, abs=3)
        assert shelf.sent == 2, "once each"
        del shelf.kept["voice_ann"]
        with pytest.raises(NotFound, match="no voice 'voice_ann'"):
            await anext(client.speak(SpeechRequest("one", "voice_ann")))
        await server.close()

    run_virtual(main())


def test_a_replica_that_keeps_losing_a_voice_is_not_asked_for_ever() -> None:
    async def main() -> None:
        replicas = Replicas(([], StateLost("unknown")), ([], StateLost("unknown")), (BLOCKS, None))
        client = TtsClient(LocalStream(replicas.synthesize), 5, Shelf(voice_ann=tone(200)))
        with pytest.raises(StateLost):
            await anext(client.speak(SpeechRequest("one", "voice_ann")))
        assert replicas.begun == 2

    run_virtual(main())
