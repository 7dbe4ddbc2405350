import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import numpy as np
import pytest

from deployments.media.audio import VOICE_RATE_HZ, samples_of, samples_to_ms
from deployments.media.timing import PhonemeTime, WordTime
from deployments.runtime.errors import EngineFailed, InvalidRequest, StageUnavailable, TooLarge
from deployments.tts.contract import SpeechBlock, SpeechRequest, Voice
from deployments.tts.engines import fake
from deployments.tts.server import UNHEALTHY_AFTER_FAILURES, TtsServer
from tests.virtual_time import run_virtual

REQUEST = SpeechRequest("one two three four five")


class Scripted:
    """An engine that yields what it is given."""

    def __init__(self, blocks: list[SpeechBlock], rate_hz: int = VOICE_RATE_HZ) -> None:
        self._blocks = blocks
        self._rate_hz = rate_hz
        self.texts: list[str] = []

    async def start(self) -> None:
        pass

    @property
    def rate_hz(self) -> int:
        return self._rate_hz

    @property
    def voices(self) -> tuple[Voice, ...]:
        return (Voice("scripted", "en"),)

    @property
    def clones(self) -> bool:
        return False

    async def synthesize(self, request: SpeechRequest) -> AsyncGenerator[SpeechBlock, None]:
        self.texts.append(request.text)
        for block in self._blocks:
            yield block

    async def close(self) -> None:
        pass


async def started(engine: Scripted | fake.Engine) -> TtsServer:
    server = TtsServer(engine)
    await server.start()
    return server


def speak(engine: Scripted | fake.Engine, request: SpeechRequest = REQUEST) -> list[SpeechBlock]:
    async def main() -> list[SpeechBlock]:
        server = await started(engine)
        async with aclosing(server.synthesize(request)) as blocks:
            return [block async for block in blocks]

    return run_virtual(main())


def lengths_ms(blocks: list[SpeechBlock]) -> list[float]:
    return [samples_to_ms(samples_of(block.pcm), VOICE_RATE_HZ) for block in blocks]


def fake_engine(**options: float) -> fake.Engine:
    return fake.Engine(fake.Config.model_validate(options))


def test_blocks_double_from_50_to_200_ms() -> None:
    assert lengths_ms(speak(fake_engine(word_ms=200, block_ms=1000))) == [50, 100, 200, 200, 200, 200, 50]
    assert lengths_ms(speak(fake_engine(word_ms=200, block_ms=20))) == [50, 100, 200, 200, 200, 200, 50]


def test_cutting_changes_nothing_in_the_sound() -> None:
    engine = fake_engine(block_ms=33)

    async def straight() -> bytes:
        return b"".join([block.pcm async for block in engine.synthesize(REQUEST)])

    assert b"".join(block.pcm for block in speak(engine)) == run_virtual(straight())


def test_a_block_goes_out_as_soon_as_the_engine_has_made_it() -> None:
    async def main() -> list[float]:
        server = await started(fake_engine(block_ms=50, first_block_delay_ms=30, block_delay_ms=10))
        loop = asyncio.get_running_loop()
        async with aclosing(server.synthesize(REQUEST)) as blocks:
            return [round(loop.time() * 1000) async for _ in blocks]

    # 1 s of sound in 20 blocks; the last 50 ms are known to be the last when the engine ends.
    assert run_virtual(main()) == [30, 50, 90, 130, 170, 210, 220]


def test_words_and_phonemes_go_with_the_block_in_which_they_start() -> None:
    blocks = speak(fake_engine(word_ms=100, block_ms=1000))
    assert lengths_ms(blocks) == [50, 100, 200, 150]
    starts = [[samples_to_ms(word.start_sample, VOICE_RATE_HZ) for word in block.words] for block in blocks]
    assert starts == [[0], [100], [200, 300], [400]]
    assert [[p.start_sample for p in b.phonemes] for b in blocks] == [[w.start_sample for w in b.words] for b in blocks]
    assert [REQUEST.text[w.text_start : w.text_end] for b in blocks for w in b.words] == REQUEST.text.split()


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 44_100])
def test_other_rates_are_brought_to_24_khz_with_their_times(rate_hz: int) -> None:
    blocks = speak(fake_engine(rate_hz=rate_hz, word_ms=200))
    reference = speak(fake_engine(word_ms=200))
    pcm, wanted = (b"".join(block.pcm for block in some) for some in (blocks, reference))
    assert abs(len(pcm) - len(wanted)) <= 2
    for word, other in zip([w for b in blocks for w in b.words], [w for b in reference for w in b.words], strict=True):
        assert abs(word.start_sample - other.start_sample) <= 1
        assert (word.text_start, word.text_end) == (other.text_start, other.text_end)
    one, two = (np.frombuffer(some, dtype="<i2")[: len(pcm) // 2 - 2].astype(float) for some in (pcm, wanted))
    assert np.corrcoef(one, two[: one.size])[0, 1] > 0.99


def test_a_word_that_the_engine_names_late_goes_with_the_next_block() -> None:
    sound = bytes(2 * 2400)
    late = WordTime(0, 1000, 0, 3)
    blocks = speak(Scripted([SpeechBlock(sound), SpeechBlock(sound, (late,))]))
    assert [block.words for block in blocks] == [(), (late,), ()]


def test_a_word_that_comes_after_all_sound_is_not_lost() -> None:
    word, phoneme = WordTime(0, 1200, 0, 3), PhonemeTime("a", 0, 1200)
    blocks = speak(Scripted([SpeechBlock(bytes(2400)), SpeechBlock(b"", (word,), (phoneme,))]))
    assert blocks == [SpeechBlock(bytes(2400)), SpeechBlock(b"", (word,), (phoneme,))]


@pytest.mark.parametrize("text", ["", "   ", "...", "😀", "👩‍👩‍👧 🇩🇪 ❤️", "—", "***"])
def test_text_without_anything_to_say_does_not_reach_the_engine(text: str) -> None:
    engine = Scripted([SpeechBlock(bytes(100))])
    assert speak(engine, SpeechRequest(text)) == [SpeechBlock(b"")]
    assert engine.texts == []


def test_emoji_are_left_out_and_places_stay() -> None:
    engine = Scripted([])
    speak(engine, SpeechRequest("Well done 🎉👍🏽, it is 20 °C ✅ today"))
    assert engine.texts == ["Well done    , it is 20 °C   today"]


def test_too_long_a_text_is_refused_with_the_limit() -> None:
    with pytest.raises(TooLarge, match="4097 characters; send at most 4096"):
        speak(fake_engine(), SpeechRequest("x" * 4097))


@pytest.mark.parametrize("speed", [0.2, 4.1, -1.0, float("nan"), float("inf")])
def test_an_impossible_speed_is_refused(speed: float) -> None:
    with pytest.raises(InvalidRequest, match="it may be") as error:
        speak(fake_engine(), SpeechRequest("hello", speed=speed))
    assert error.value.param == "speed"


def test_an_unknown_voice_is_the_users_error() -> None:
    with pytest.raises(InvalidRequest, match="nobody"):
        speak(fake_engine(), SpeechRequest("hello", voice="nobody"))


def test_an_error_of_the_engine_is_translated_and_its_cause_kept() -> None:
    async def main() -> None:
        engine = fake_engine(fail_at_block=2)
        server = await started(engine)
        got = []
        with pytest.raises(EngineFailed, match="RuntimeError: the fake") as error:
            async with aclosing(server.synthesize(REQUEST)) as blocks:
                got += [block async for block in blocks]
        assert isinstance(error.value.__cause__, RuntimeError)
        assert engine.active == 0

    run_virtual(main())


def test_a_reader_that_leaves_stops_the_engine() -> None:
    async def main() -> None:
        engine = fake_engine()
        server = await started(engine)
        async with aclosing(server.synthesize(REQUEST)) as blocks:
            await anext(blocks)
            assert engine.active == 1
        assert engine.active == 0

    run_virtual(main())


def test_a_cancelled_reader_stops_an_engine_that_hangs() -> None:
    async def main() -> None:
        engine = fake_engine(hang_at_block=1)
        server = await started(engine)

        async def read() -> None:
            async with aclosing(server.synthesize(REQUEST)) as blocks:
                async for _ in blocks:
                    pass

        reader = asyncio.create_task(read())
        await asyncio.sleep(1)
        assert engine.active == 1
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        assert engine.active == 0

    run_virtual(main())


def test_health_follows_start_failures_and_close() -> None:
    async def main() -> None:
        failing, working = fake_engine(fail_at_block=0), fake_engine()
        server = TtsServer(failing)
        with pytest.raises(StageUnavailable, match="not running"):
            server.check_health()
        with pytest.raises(StageUnavailable, match="not running"):
            await anext(server.synthesize(REQUEST))
        await server.start()
        for _ in range(UNHEALTHY_AFTER_FAILURES):
            server.check_health()
            with pytest.raises(EngineFailed):
                await anext(server.synthesize(REQUEST))
        with pytest.raises(StageUnavailable, match="in a row"):
            server.check_health()

        server = await started(working)
        server.check_health()
        await server.close()
        with pytest.raises(StageUnavailable, match="not running"):
            server.check_health()

    run_virtual(main())


def test_voices_are_the_engines() -> None:
    assert TtsServer(Scripted([])).voices() == (Voice("scripted", "en"),)
