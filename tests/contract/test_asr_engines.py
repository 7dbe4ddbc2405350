"""What every recognition engine does: a new file in `engines/` is tested without an edit here."""

import asyncio
import time
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from deployments.asr.contract import AsrEngine, AsrOptions, Recognizer, Transcript
from deployments.media.audio import SPEECH_RATE_HZ, samples_of, silence
from deployments.runtime.engines import load_engine
from deployments.runtime.errors import InvalidRequest, ParleyError
from tests.contract.engines_here import engines_here, options_for

DATA = Path(__file__).parents[1] / "data"
BLOCK_BYTES = 3_200


def clip(name: str) -> bytes:
    with wave.open(str(DATA / f"{name}.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (SPEECH_RATE_HZ, 1, 2)
        pcm: bytes = file.readframes(file.getnframes())
    return pcm


def noise(seconds: float, level: float) -> bytes:
    samples = np.random.default_rng(1).normal(0, level, round(seconds * SPEECH_RATE_HZ))
    return np.clip(samples, -32768, 32767).astype("<i2").tobytes()


SPEECH = clip("thank_you")
"""1.1 s."""


class Started:
    """An engine on a loop of its own, shared by the tests of this file."""

    def __init__(self, runner: asyncio.Runner, engine: AsrEngine) -> None:
        self.run = runner.run
        self.engine = engine

    @asynccontextmanager
    async def utterance(self) -> AsyncIterator[Recognizer]:
        recognizer = self.engine.open(AsrOptions())
        try:
            yield recognizer
        finally:
            await recognizer.close()


@pytest.fixture(scope="module", params=engines_here("asr"))
def started(request: pytest.FixtureRequest) -> Iterator[Started]:
    engine = load_engine("asr", request.param, options_for(request.param))
    with asyncio.Runner() as runner:
        runner.run(engine.start())
        yield Started(runner, engine)
        runner.run(engine.close())
        runner.run(engine.close())


async def hear(recognizer: Recognizer, pcm: bytes, block_bytes: int = BLOCK_BYTES) -> list[Transcript]:
    return [await recognizer.accept(pcm[i : i + block_bytes]) for i in range(0, len(pcm), block_bytes)]


def check_words(transcript: Transcript, pcm: bytes) -> None:
    """Word times, where an engine gives them, are those of the words of the text, in order."""
    if transcript.words:
        assert [
            transcript.text[word.text_start : word.text_end] for word in transcript.words
        ] == transcript.text.split()
    end_sample = 0
    for word in transcript.words:
        assert end_sample <= word.start_sample < word.end_sample
        end_sample = word.end_sample
    if transcript.final:
        assert end_sample <= samples_of(pcm)


def test_words_come_while_speech_goes_on_and_become_final(started: Started) -> None:
    async def main() -> None:
        async with started.utterance() as recognizer:
            interim = await hear(recognizer, SPEECH)
            assert not any(transcript.final for transcript in interim)
            assert any(transcript.text for transcript in interim[:-1])
            final = await recognizer.finalize()
            assert final.final
            assert final.text == " ".join(final.text.split()) != ""
            for transcript in (*interim, final):
                check_words(transcript, SPEECH)

    started.run(main())


def test_finalize_with_nothing_new_gives_the_same_at_once(started: Started) -> None:
    async def main() -> None:
        async with started.utterance() as recognizer:
            await hear(recognizer, SPEECH)
            final = await recognizer.finalize()
            begun_s = time.thread_time()
            assert await recognizer.finalize() == final
            assert await recognizer.finalize() == final
            assert time.thread_time() - begun_s < 0.02

    started.run(main())


def test_speech_goes_on_after_finalize(started: Started) -> None:
    async def main() -> None:
        async with started.utterance() as recognizer:
            await hear(recognizer, SPEECH + silence(200, SPEECH_RATE_HZ))
            first = await recognizer.finalize()
            interim = await hear(recognizer, SPEECH + silence(200, SPEECH_RATE_HZ))
            assert not interim[-1].final
            second = await recognizer.finalize()
            assert second.final
            assert len(second.text) >= len(first.text)
            check_words(second, (SPEECH + silence(200, SPEECH_RATE_HZ)) * 2)

    started.run(main())


@pytest.mark.parametrize("samples", [0, 1, 2, 159, 160, 411, 1600])
def test_next_to_nothing_is_no_error(started: Started, samples: int) -> None:
    async def main() -> None:
        async with started.utterance() as recognizer:
            assert not (await recognizer.accept(SPEECH[: 2 * samples])).final
            assert (await recognizer.finalize()).final
            await recognizer.accept(b"")
            await recognizer.accept(SPEECH[: 2 * samples])
            assert (await recognizer.finalize()).final

    started.run(main())


def test_finalize_without_any_audio_gives_no_words(started: Started) -> None:
    async def main() -> None:
        async with started.utterance() as recognizer:
            transcript = await recognizer.finalize()
            assert (transcript.text, transcript.final, transcript.words) == ("", True, ())

    started.run(main())


@pytest.mark.parametrize(
    "pcm",
    [silence(1000, SPEECH_RATE_HZ), noise(1, 20), noise(1, 60_000), b"\xff\x7f" * 8_000 + b"\x00\x80" * 8_000],
    ids=["silence", "faint noise", "clipped noise", "full-scale square"],
)
def test_what_is_no_speech_is_no_error(started: Started, pcm: bytes) -> None:
    async def main() -> None:
        async with started.utterance() as recognizer:
            await hear(recognizer, pcm)
            final = await recognizer.finalize()
            assert final.final
            check_words(final, pcm)

    started.run(main())


@pytest.mark.parametrize("block_bytes", [34, 642, 5_002, len(SPEECH)])
def test_blocks_of_any_size(started: Started, block_bytes: int) -> None:
    async def main() -> None:
        async with started.utterance() as recognizer:
            await hear(recognizer, SPEECH, block_bytes)
            final = await recognizer.finalize()
            assert final.text != ""
            check_words(final, SPEECH)

    started.run(main())


def test_utterances_at_the_same_time_do_not_mix(started: Started) -> None:
    async def one(pcm: bytes) -> Transcript:
        async with started.utterance() as recognizer:
            await hear(recognizer, pcm)
            return await recognizer.finalize()

    async def main() -> None:
        clips = [SPEECH, clip("yes"), SPEECH]
        together = await asyncio.gather(*map(one, clips))
        for pcm, transcript in zip(clips, together, strict=True):
            check_words(transcript, pcm)
        if len(set(together)) > 1:
            assert together[0].text == together[2].text != together[1].text

    started.run(main())


def test_a_cancelled_call_returns_within_50_ms_and_leaves_the_utterance_usable(started: Started) -> None:
    async def main() -> float:
        async with started.utterance() as recognizer:
            task = asyncio.create_task(recognizer.accept(SPEECH * 2))
            await asyncio.sleep(0.02)
            cancelled_s = time.perf_counter()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            took_s = time.perf_counter() - cancelled_s
            await recognizer.accept(SPEECH[:BLOCK_BYTES])
        return took_s

    # The least of three: other processes may hold the cores.
    assert min(started.run(main()) for _ in range(3)) < 0.05


def test_closing_stops_the_work_and_frees_the_place(started: Started) -> None:
    async def main() -> float:
        recognizer = started.engine.open(AsrOptions())
        task = asyncio.create_task(recognizer.accept(SPEECH * 50))
        await asyncio.sleep(0.02)
        closed_s = time.perf_counter()
        await recognizer.close()
        took_s = time.perf_counter() - closed_s
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with started.utterance() as another:
            await hear(another, SPEECH)
            assert (await another.finalize()).text != ""
        return took_s

    assert min(started.run(main()) for _ in range(3)) < 0.05


def test_closed_is_closed(started: Started) -> None:
    async def main() -> None:
        recognizer = started.engine.open(AsrOptions())
        await recognizer.accept(SPEECH[:BLOCK_BYTES])
        await recognizer.close()
        await recognizer.close()
        with pytest.raises(ParleyError):
            await recognizer.accept(SPEECH)
        with pytest.raises(ParleyError):
            await recognizer.finalize()

    started.run(main())


def test_many_utterances_one_after_the_other_and_a_hundred_that_never_hear_anything(started: Started) -> None:
    async def main() -> None:
        for _ in range(100):
            await started.engine.open(AsrOptions()).close()
        async with started.utterance() as recognizer:
            await hear(recognizer, SPEECH)
            assert (await recognizer.finalize()).text != ""

    started.run(main())


def test_a_language_it_does_not_speak_is_refused(started: Started) -> None:
    if not started.engine.languages:
        return

    async def main() -> None:
        with pytest.raises(InvalidRequest) as raised:
            started.engine.open(AsrOptions(language="xx"))
        assert "xx" in raised.value.message
        await started.engine.open(AsrOptions(language=started.engine.languages[0])).close()

    started.run(main())
