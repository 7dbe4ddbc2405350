"""The real Piper package with small graphs for networks: see `piper_models.py`."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from deployments.media.audio import samples_of, to_float
from deployments.runtime.errors import ConfigError, Conflict, InvalidRequest
from deployments.tts.contract import SpeechRequest
from deployments.tts.engines.piper import Config, Engine
from tests.contract.test_tts_engines import Speech, speak
from tests.engines.piper_models import HOP, make_voice, options
from tests.engines.running import with_running

pytest.importorskip("piper")

T = TypeVar("T")

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return options(tmp_path_factory.mktemp("voices"))


def with_engine(config: dict[str, Any], use: Callable[[Engine], Awaitable[T]]) -> T:
    return with_running(Engine(Config.model_validate(config)), use)


def words_of(text: str, speech: Speech) -> list[str]:
    return [text[word.text_start : word.text_end] for word in speech.words]


def test_tells_the_times_of_words_that_espeak_joins_and_splits(configured: dict[str, Any]) -> None:
    text = "In the 3rd of the month, Mr. Smith paid $12.50. Then he left. " * 4
    speech = with_engine(configured, lambda engine: speak(engine, SpeechRequest(text)))
    assert words_of(text, speech) == [word.strip(".,") for word in text.split()]
    assert speech.words[-1].end_sample <= samples_of(speech.pcm)
    assert all(word.start_sample < word.end_sample for word in speech.words)


def test_a_phoneme_sounds_where_its_time_says(configured: dict[str, Any]) -> None:
    speech = with_engine(configured, lambda engine: speak(engine, SpeechRequest("sosos sosos")))
    sound = to_float(speech.pcm)
    rises: dict[str, list[int]] = {}
    for phoneme in speech.phonemes:
        # Its first frame is its own tone; padding, with a tone of its own, is behind it, a stress before it.
        own = sound[phoneme.start_sample : phoneme.start_sample + HOP]
        rises.setdefault(phoneme.symbol, []).append(int(np.count_nonzero(np.diff(np.signbit(own)))))
    assert len(rises["s"]) >= 4
    assert max(rises["s"]) - min(rises["s"]) <= 1, "each of them has the tone of an s"
    assert all(phoneme.start_sample % HOP == 0 for phoneme in speech.phonemes)
    assert all(before.end_sample <= after.start_sample for before, after in pairwise(speech.phonemes))


def test_the_sound_is_as_loud_as_the_network_made_it(configured: dict[str, Any]) -> None:
    speech = with_engine(configured, lambda engine: speak(engine, SpeechRequest("A loud word.")))
    louder = with_engine({**configured, "volume": 2.0}, lambda engine: speak(engine, SpeechRequest("A loud word.")))
    assert np.abs(to_float(speech.pcm)).max() == pytest.approx(0.25, abs=0.01)
    assert np.abs(to_float(louder.pcm)).max() == pytest.approx(0.5, abs=0.02)


def test_speakers_of_one_voice_differ_and_are_named(configured: dict[str, Any]) -> None:
    async def use(engine: Engine) -> None:
        sounds = {
            name: (await speak(engine, SpeechRequest("Guten Tag", voice=f"de_DE-tiny{name}"))).pcm
            for name in ("", "#eins", "#zwei", "#1")
        }
        assert sounds[""] == sounds["#eins"] != sounds["#zwei"] == sounds["#1"]
        with pytest.raises(InvalidRequest, match="eins, zwei"):
            await speak(engine, SpeechRequest("Guten Tag", voice="de_DE-tiny#drei"))

    with_engine(configured, use)


def test_a_voice_of_another_rate_keeps_its_pace(configured: dict[str, Any]) -> None:
    async def use(engine: Engine) -> tuple[Speech, int]:
        return await speak(engine, SpeechRequest("Guten Tag", voice="de_DE-tiny")), engine.rate_hz

    speech, rate_hz = with_engine(configured, use)
    alone, own_hz = with_engine({**configured, "voice": "de_DE-tiny"}, use)
    assert (rate_hz, own_hz) == (22_050, 16_000)
    assert samples_of(speech.pcm) / rate_hz == pytest.approx(samples_of(alone.pcm) / own_hz, rel=0.01)
    for one, other in zip(speech.words, alone.words, strict=True):
        assert one.start_sample / rate_hz == pytest.approx(other.start_sample / own_hz, abs=0.001)


def test_the_language_chooses_the_voice_unless_one_is_named(configured: dict[str, Any]) -> None:
    async def use(engine: Engine) -> None:
        german = await speak(engine, SpeechRequest("Guten Tag", voice="de_DE-tiny"))
        assert (await speak(engine, SpeechRequest("Guten Tag", language="de-AT"))).pcm == german.pcm
        assert (await speak(engine, SpeechRequest("Guten Tag", "alloy", "de"))).pcm == german.pcm
        assert (await speak(engine, SpeechRequest("Guten Tag", "en_US-tiny", "de"))).pcm != german.pcm

    with_engine(configured, use)


def test_a_run_that_is_cancelled_leaves_its_slot_at_once(tmp_path: Path) -> None:
    make_voice(tmp_path / "slow.onnx", "en-us", 22_050, slow_layers=60)

    async def use(engine: Engine) -> tuple[float, float]:
        async def timed(request: SpeechRequest) -> float:
            begin_s = time.perf_counter()
            await speak(engine, request)
            return time.perf_counter() - begin_s

        alone_s = await timed(SpeechRequest("Word."))
        after_s = []
        for _ in range(3):
            reader = asyncio.create_task(speak(engine, SpeechRequest("Another word.")))
            await asyncio.sleep(alone_s / 10)
            reader.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reader
            after_s.append(await timed(SpeechRequest("Word.")))
        return alone_s, min(after_s)

    alone_s, after_s = with_engine({"voices": tmp_path, "slots": 1}, use)
    assert alone_s > 0.3, "the network is not slow enough to tell"
    assert after_s < 1.5 * alone_s, "the cancelled run went on to its end"


def test_slots_bound_what_runs_at_once(configured: dict[str, Any]) -> None:
    async def use(engine: Engine) -> None:
        texts = [f"Sentence number {index} of many." for index in range(12)]
        alone = [await speak(engine, SpeechRequest(text)) for text in texts]
        together = await asyncio.gather(*(speak(engine, SpeechRequest(text)) for text in texts))
        assert [one.pcm for one in alone] == [other.pcm for other in together]

    with_engine({**configured, "slots": 3}, use)


def test_voices_beyond_the_budget_make_room(configured: dict[str, Any]) -> None:
    largest = max(file.stat().st_size for file in Path(configured["voices"]).glob("*.onnx"))
    budget_gib = 2.2 * largest / 2**30

    async def use(engine: Engine) -> None:
        assert engine.residency is not None
        first, second, *_ = engine.voices
        assert engine.residency.residents == (first.id,)
        for _ in range(2):
            for voice in (second, first):
                assert (await speak(engine, SpeechRequest("Radio", voice=voice.id))).pcm
                assert engine.residency.residents == (voice.id,)

    with_engine({**configured, "residency": {"budget_gib": budget_gib}}, use)


def test_a_voice_is_not_unloaded_while_it_speaks(configured: dict[str, Any]) -> None:
    async def use(engine: Engine) -> None:
        assert engine.residency is not None
        name = engine.voices[0].id
        async with aclosing(engine.synthesize(SpeechRequest("One. Two. Three. " * 20, voice=name))) as stream:
            await anext(stream)
            with pytest.raises(Conflict):
                await engine.residency.unload(name)
        await engine.residency.unload(name)
        assert engine.residency.residents == ()
        assert (await speak(engine, SpeechRequest("Back."))).pcm

    with_engine(configured, use)


def test_a_model_that_is_none_is_refused(tmp_path: Path) -> None:
    make_voice(tmp_path / "broken.onnx", "en-us", 22_050)
    (tmp_path / "broken.onnx").write_bytes(b"nothing of the kind")
    with pytest.raises(ConfigError, match=r"broken\.onnx"):
        with_engine({"voices": tmp_path}, lambda engine: asyncio.sleep(0))


def test_closing_between_blocks_speaks_no_further_sentence(configured: dict[str, Any]) -> None:
    async def use(engine: Engine) -> int:
        async with aclosing(engine.synthesize(SpeechRequest("One. Two. Three. Four. " * 200))) as stream:
            await anext(stream)
        return samples_of((await speak(engine, SpeechRequest("Next."))).pcm)

    assert with_engine(configured, use) > 0
