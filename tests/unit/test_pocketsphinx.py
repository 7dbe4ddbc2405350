"""What the embedded recogniser makes of recorded speech. It is modest: these are the phrases that it gets right."""

import asyncio
import threading
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from deployments.asr.contract import AsrOptions, Transcript
from deployments.asr.engines.pocketsphinx import Config, Engine
from deployments.asr.sphinx_hearing import Hearing
from deployments.asr.sphinx_library import SphinxDecoder, package_path
from deployments.media.audio import SPEECH_RATE_HZ
from deployments.runtime.errors import ConfigError, InvalidRequest, ServerFull, StageUnavailable

DATA = Path(__file__).parents[1] / "data"
PAD_SAMPLES = 4_800


def clip(name: str, *, gain: float = 1.0, noise_level: float = 3.0, pad_samples: int = PAD_SAMPLES) -> bytes:
    """A recording in a room: with faint noise in it, 300 ms of it before and 200 ms after."""
    with wave.open(str(DATA / f"{name}.wav")) as file:
        speech = gain * np.frombuffer(file.readframes(file.getnframes()), "<i2")
    speech = np.concatenate([np.zeros(pad_samples), speech, np.zeros(3_200)])
    noise = np.random.default_rng(0).normal(0, noise_level, len(speech))
    return np.clip(speech + noise, -32768, 32767).astype("<i2").tobytes()


class Started:
    def __init__(self, runner: asyncio.Runner, engine: Engine) -> None:
        self.runner = runner
        self.engine = engine

    async def recognise(self, *clips: bytes) -> Transcript:
        """The final words of an utterance that is made final after each clip."""
        recognizer = self.engine.open(AsrOptions())
        try:
            for pcm in clips:
                for start in range(0, len(pcm), 3_200):
                    await recognizer.accept(pcm[start : start + 3_200])
                transcript = await recognizer.finalize()
        finally:
            await recognizer.close()
        return transcript

    def words_of(self, *clips: bytes) -> Transcript:
        return self.runner.run(self.recognise(*clips))


@pytest.fixture(scope="module")
def started() -> Iterator[Started]:
    with asyncio.Runner() as runner:
        engine = Engine(Config(max_utterances=2))
        runner.run(engine.start())
        yield Started(runner, engine)
        runner.run(engine.close())


@pytest.mark.parametrize(("gain", "noise_level"), [(1.0, 3.0), (1.0, 8.0), (0.4, 3.0), (0.7, 30.0)])
def test_thank_you_very_much(started: Started, gain: float, noise_level: float) -> None:
    assert started.words_of(clip("thank_you", gain=gain, noise_level=noise_level)).text == "thank you very much"


def test_yes(started: Started) -> None:
    assert started.words_of(clip("yes")).text == "yes"


def test_a_long_sentence_is_understood_in_part(started: Started) -> None:
    assert started.words_of(clip("jfk", noise_level=0)).text.endswith("can do for your country")


def test_a_ringing_telephone_says_nothing(started: Started) -> None:
    assert started.words_of(clip("noise_ringing_phone", noise_level=8)).text == ""


def test_word_times_follow_the_sound(started: Started) -> None:
    early = started.words_of(clip("thank_you"))
    late = started.words_of(clip("thank_you", pad_samples=2 * PAD_SAMPLES))
    assert late.text == early.text == "thank you very much"
    for before, after in zip(early.words, late.words, strict=True):
        assert after.start_sample - before.start_sample == pytest.approx(PAD_SAMPLES, abs=800)
    # The recording's speech lies between 0.1 and 1.05 s.
    assert early.words[0].start_sample - PAD_SAMPLES == pytest.approx(0.1 * SPEECH_RATE_HZ, abs=1_600)
    assert early.words[-1].end_sample - PAD_SAMPLES == pytest.approx(1.05 * SPEECH_RATE_HZ, abs=1_600)


def test_speech_after_final_words_is_joined_to_them(started: Started) -> None:
    first = clip("thank_you")
    transcript = started.words_of(first, clip("yes"), clip("thank_you"))
    assert transcript.text == "thank you very much yes thank you very much"
    starts = [word.start_sample for word in transcript.words]
    assert starts == sorted(starts)
    assert starts[4] > len(first) // 2
    spoken = [transcript.text[word.text_start : word.text_end] for word in transcript.words]
    assert spoken == transcript.text.split()


def test_one_utterance_too_many_is_refused_until_another_closes(started: Started) -> None:
    async def main() -> None:
        first, second = (started.engine.open(AsrOptions()) for _ in range(2))
        with pytest.raises(ServerFull, match="2 utterances are being recognised"):
            started.engine.open(AsrOptions())
        await first.close()
        await started.engine.open(AsrOptions()).close()
        await second.close()

    started.runner.run(main())


def test_other_languages_are_refused_and_its_own_is_not(started: Started) -> None:
    with pytest.raises(InvalidRequest, match="'en' only, not 'de'") as raised:
        started.engine.open(AsrOptions(language="de"))
    assert raised.value.param == "language"
    started.runner.run(started.engine.open(AsrOptions(language="en")).close())


def test_decoders_are_used_again_and_threads_end_with_the_engine() -> None:
    def threads() -> int:
        return sum(thread.name.startswith("asr-") for thread in threading.enumerate())

    async def main() -> tuple[int, int]:
        before = threads()
        engine = Engine(Config())
        await engine.start()
        for _ in range(3):
            recognizer = engine.open(AsrOptions())
            await recognizer.accept(clip("yes")[:6_400])
            await recognizer.close()
        during = threads() - before
        open_one = engine.open(AsrOptions())
        await engine.close()
        await engine.close()
        with pytest.raises(InvalidRequest):
            await open_one.accept(b"")
        with pytest.raises(StageUnavailable):
            engine.open(AsrOptions())
        return during, threads() - before

    assert asyncio.run(main()) == (1, 0)


def test_a_model_that_is_not_there_is_refused_at_the_start(tmp_path: Path) -> None:
    engine = Engine(Config(acoustic_model=tmp_path / "none"))

    async def main() -> None:
        try:
            await engine.start()
        finally:
            await engine.close()

    with pytest.raises(ConfigError, match="cannot load its model"):
        asyncio.run(main())


def test_decoding_lets_other_threads_run() -> None:
    model = package_path() / "model" / "en-us"
    decoder = SphinxDecoder(
        {"hmm": str(model / "en-us"), "dict": str(model / "cmudict-en-us.dict"), "lm": str(model / "en-us.lm.bin")}
    )
    noise = np.random.default_rng(0).normal(0, 500, 2 * SPEECH_RATE_HZ).astype("<i2").tobytes()
    decoder.begin_measuring()
    mean = decoder.cepstra(noise).mean(axis=0)
    decoder.begin()
    decoding = threading.Thread(target=decoder.hear, args=(noise, mean))
    decoding.start()
    turns = 0
    while decoding.is_alive():
        decoding.join(timeout=0.001)
        turns += 1
    decoder.close()
    assert turns > 10


class Watched(SphinxDecoder):
    """A decoder that tells what it was given."""

    def hear(self, pcm: bytes, mean: npt.NDArray[np.floating]) -> None:
        self.__dict__.setdefault("given", []).append((pcm, mean.tolist()))
        super().hear(pcm, mean)


def test_a_whole_recording_at_once_is_heard_as_if_it_were_live() -> None:
    pcm = clip("thank_you")
    given = []
    for block_bytes in (3_200, len(pcm)):
        decoder = Watched(Engine(Config())._settings())
        hearing = Hearing(decoder, "en")
        for start in range(0, len(pcm), block_bytes):
            hearing.hear(pcm[start : start + block_bytes])
        hearing.finish()
        given.append(decoder.__dict__["given"])
        decoder.close()
    assert given[0] == given[1]
