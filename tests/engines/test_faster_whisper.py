"""faster_whisper's real code on the processor, with tiny random models: shapes, batches and refusals, never quality."""

import asyncio
import importlib.util
import shutil
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.asr.contract import AsrOptions, Transcript
from deployments.asr.engines.faster_whisper import Config, Engine, download
from deployments.asr.whisper.awaited import AwaitedRecognizer
from deployments.asr.whisper.device import Device
from deployments.asr.whisper.heard import Answer, Question, text_of, tokens_of
from deployments.asr.whisper.model import Effort, WhisperModel
from deployments.media.audio import SPEECH_RATE_HZ, silence
from deployments.runtime.errors import ConfigError, Conflict, InvalidRequest, ServerFull, StageUnavailable
from tests.engines.faster_whisper_models import SMALLEST, Shape, make_model, options

if importlib.util.find_spec("ctranslate2") is None:
    pytest.skip("ctranslate2 is not installed here", allow_module_level=True)

DATA = Path(__file__).parents[1] / "data"
ENGLISH = Shape(layers=1, width=32, heads=2, multilingual=False)
LARGE_V3 = Shape(layers=1, width=32, heads=2, mels=128, languages=100)

pytestmark = pytest.mark.timeout(300)


def clip(name: str) -> bytes:
    with wave.open(str(DATA / f"{name}.wav")) as file:
        pcm: bytes = file.readframes(file.getnframes())
    return pcm


def chord(seconds: float) -> bytes:
    """Music, of a kind."""
    at_s = np.arange(round(seconds * SPEECH_RATE_HZ)) / SPEECH_RATE_HZ
    tones = sum(np.sin(2 * np.pi * hz * at_s) for hz in (220.0, 277.2, 329.6, 440.0))
    return (np.asarray(tones) * 6_000).astype("<i2").tobytes()


JFK = clip("jfk")
YES = clip("yes")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("whisper"), SMALLEST)


@pytest.fixture(scope="module")
def model(folder: Path) -> WhisperModel:
    return WhisperModel(folder, Device("cpu", "int8"), 1, Effort(max_new_tokens=24))


@pytest.fixture(scope="module")
def settings(folder: Path) -> dict[str, Any]:
    return {"model": str(folder), "max_new_tokens": 24, "threads": 1, "interim_step_ms": 100}


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def ask(model: WhisperModel, *questions: Question) -> list[Answer]:
    answers = model.answer(questions, lambda: False)
    assert answers is not None
    return [answer for answer in answers if isinstance(answer, Answer)]


async def said(engine: Engine, pcm: bytes, asr_options: AsrOptions | None = None) -> Transcript:
    recognizer = engine.open(asr_options or AsrOptions(language="en"))
    for start in range(0, len(pcm), 3_200):
        await recognizer.accept(pcm[start : start + 3_200])
    final = await recognizer.finalize()
    await recognizer.close()
    return final


def with_engine(runner: asyncio.Runner, config: dict[str, Any], main: "Any", *arguments: Any) -> Any:
    async def whole() -> Any:
        engine = Engine(Config(**config))
        await engine.start()
        try:
            return await main(engine, *arguments)
        finally:
            await engine.close()

    return runner.run(whole())


@pytest.mark.parametrize("final", [False, True])
def test_several_utterances_in_one_step_are_each_heard_as_if_alone(model: WhisperModel, final: bool) -> None:
    questions = [Question(pcm, final, language="en") for pcm in (JFK, YES, chord(3), clip("thank_you"))]
    together = ask(model, *questions)
    # Alone in a window of the same size.
    alone = [ask(model, Question(JFK, final, language="en"), question)[1] for question in questions]
    assert [tokens_of(answer.words) for answer in together] == [tokens_of(answer.words) for answer in alone]
    assert len({text_of(answer.words) for answer in together}) > 1


def test_final_words_have_times_in_order_within_the_sound(model: WhisperModel) -> None:
    for answer, pcm in zip(
        ask(model, Question(JFK, True, language="en"), Question(YES, True, language="de")), (JFK, YES), strict=True
    ):
        assert answer.words
        end_s = 0.0
        for word in answer.words:
            assert end_s <= word.start_s < word.end_s <= len(pcm) / 2 / SPEECH_RATE_HZ + 1e-9
            end_s = word.end_s
        assert answer.mean_logprob < 0
        assert 0 <= answer.no_speech_probability <= 1


@pytest.mark.parametrize("final", [False, True])
def test_an_answer_begins_with_its_prefix(model: WhisperModel, final: bool) -> None:
    free = ask(model, Question(YES, False, language="en"))[0]
    prefix = tokens_of(free.words[:2])
    forced, other = ask(model, Question(JFK, final, language="en", prefix=prefix), Question(YES, final, language="en"))
    assert tokens_of(forced.words)[: len(prefix)] == prefix
    assert len(tokens_of(forced.words)) > len(prefix)
    assert text_of(forced.words).startswith(text_of(free.words[:2]))
    assert tokens_of(other.words)[: len(prefix)] != prefix or not final


def test_whispers_own_marks_in_a_prompt_are_left_out(model: WhisperModel) -> None:
    bad = "<|startoftranscript|><|en|><|translate|> Hello <|endoftext|><|0.00|> \x00 \ud7ff 𝄞"
    hints = model.tokens.hints(bad, ("<|startofprev|>", "Parley"))
    end = 50_257
    assert hints
    assert all(token < end for token in hints)
    assert ask(model, Question(JFK, True, language="en", hints=hints))[0].words
    long = model.tokens.hints("word " * 2_000, ())
    assert len(long) == 223
    assert ask(model, Question(JFK, True, language="en", hints=long))[0].words
    # A question may bring more; the newest are told.
    assert ask(model, Question(JFK, True, language="en", hints=long + long))[0].words


def test_hints_change_what_is_heard(model: WhisperModel) -> None:
    plain = ask(model, Question(JFK, False, language="en"))[0]
    told = ask(model, Question(JFK, False, language="en", hints=model.tokens.hints("Kennedy", ("fellow", "Americans"))))
    assert tokens_of(plain.words) != tokens_of(told[0].words)


def test_languages_and_tasks_share_a_step(model: WhisperModel) -> None:
    answers = ask(
        model,
        Question(JFK, True, language="en"),
        Question(JFK, True, language="zh"),
        Question(JFK, True),
        Question(JFK, True, language="de", task="translate"),
    )
    assert [answer.language for answer in answers[:2]] == ["en", "zh"]
    assert 0 < answers[2].language_probability < 1
    assert all(word.end_s > word.start_s for answer in answers for word in answer.words)


def test_only_what_may_be_detected_is(folder: Path) -> None:
    model = WhisperModel(folder, Device("cpu", "int8"), 1, Effort(max_new_tokens=8, languages=("nl", "mt")))
    assert ask(model, Question(JFK, False))[0].language in {"nl", "mt"}


@pytest.mark.parametrize("shape", [ENGLISH, LARGE_V3], ids=["English only", "128 bands, 100 languages"])
def test_other_models(shape: Shape, tmp_path: Path, runner: asyncio.Runner) -> None:
    async def main(engine: Engine) -> None:
        assert engine.languages == ("en",) if shape is ENGLISH else "yue" in engine.languages
        final = await said(engine, JFK, AsrOptions(task="translate"))
        assert final.text
        assert final.language in engine.languages
        if shape is ENGLISH:
            with pytest.raises(InvalidRequest, match="'de'"):
                engine.open(AsrOptions(language="de"))

    config = {"model": str(make_model(tmp_path, shape)), "max_new_tokens": 16, "threads": 1}
    with_engine(runner, config, main)


def test_speakers_who_stop_together_share_a_step(settings: dict[str, Any], runner: asyncio.Runner) -> None:
    async def main(engine: Engine) -> None:
        finals = await asyncio.gather(*(said(engine, clip("thank_you")) for _ in range(8)))
        assert len({final.text for final in finals}) >= 1
        assert all(final.text and final.confidence and 0 < final.confidence < 1 for final in finals)
        assert max(engine.scheduler.steps) > 1

    with_engine(runner, settings, main)


def test_nothing_stable_is_taken_back_by_words_on_the_way_or_final_ones(
    settings: dict[str, Any], runner: asyncio.Runner
) -> None:
    async def main(engine: Engine) -> None:
        recognizer, stable, grew = engine.open(AsrOptions(language="en")), "", 0
        for start in range(0, len(JFK), 6_400):
            interim = await recognizer.accept(JFK[start : start + 6_400])
            await asyncio.sleep(0.02)
            assert interim.text.startswith(stable)
            grew += interim.stable_chars > len(stable)
            stable = interim.text[: interim.stable_chars]
        final = await recognizer.finalize()
        assert final.text.startswith(stable)
        assert final.words
        assert grew
        await recognizer.close()

    with_engine(runner, settings, main)


@pytest.mark.parametrize("live", [True, False])
def test_more_than_the_model_hears_at_once(settings: dict[str, Any], runner: asyncio.Runner, live: bool) -> None:
    async def main(engine: Engine) -> None:
        pcm = JFK * 4
        recognizer = engine.open(AsrOptions(language="en", live=live))
        for start in range(0, len(pcm), 64_000):
            await recognizer.accept(pcm[start : start + 64_000])
        final = await recognizer.finalize()
        assert final.final
        seconds = [word.start_sample / SPEECH_RATE_HZ for word in final.words]
        assert seconds == sorted(seconds)
        # Words of the first window and of the last.
        assert seconds[0] < 30 < 33 < seconds[-1] < 44
        assert [final.text[word.text_start : word.text_end] for word in final.words] == final.text.split()
        await recognizer.close()

    with_engine(runner, settings, main)


def test_silence_and_music_and_nothing(settings: dict[str, Any], runner: asyncio.Runner) -> None:
    async def main(engine: Engine) -> None:
        for pcm in (b"", silence(40_000, SPEECH_RATE_HZ)):
            assert (await said(engine, pcm)).text == ""
        assert (await said(engine, chord(4))).final
        assert engine.scheduler.steps

    with_engine(runner, settings, main)


def test_more_utterances_than_configured_are_refused(settings: dict[str, Any], runner: asyncio.Runner) -> None:
    async def main(engine: Engine) -> None:
        first = engine.open(AsrOptions())
        with pytest.raises(ServerFull):
            engine.open(AsrOptions())
        await first.close()
        await engine.open(AsrOptions()).close()

    with_engine(runner, {**settings, "max_utterances": 1}, main)


def refused(runner: asyncio.Runner, config: dict[str, Any]) -> str:
    async def main() -> str:
        engine = Engine(Config(**config))
        with pytest.raises(ConfigError) as raised:
            await engine.start()
        await engine.close()
        return raised.value.message

    return runner.run(main())


def test_a_device_that_is_not_here_is_refused(settings: dict[str, Any], runner: asyncio.Runner) -> None:
    import ctranslate2

    if ctranslate2.get_cuda_device_count():
        pytest.skip("there is a GPU here")
    assert "num_gpus" in refused(runner, {**settings, "device": "cuda"})
    assert "int8" in refused(runner, {**settings, "compute_type": "float16"})


def test_a_model_that_is_not_here_is_refused_with_what_to_do(
    settings: dict[str, Any], runner: asyncio.Runner, tmp_path: Path
) -> None:
    named = {**settings, "model": "base", "cache": str(tmp_path), "download": False}
    message = refused(runner, named)
    assert "make models CONFIG=" in message
    assert str(tmp_path) in message
    assert "large-v3" in refused(runner, {**named, "model": "bass"})
    assert "'xx'" in refused(runner, {**settings, "language": "xx"})


def test_a_model_by_name_is_found_in_the_cache(
    settings: dict[str, Any], folder: Path, runner: asyncio.Runner, tmp_path: Path
) -> None:
    held = tmp_path / "models--Systran--faster-whisper-tiny"
    shutil.copytree(folder, held / "snapshots" / ("0" * 40))
    (held / "refs").mkdir()
    (held / "refs" / "main").write_text("0" * 40)
    named = {**settings, "model": "tiny", "cache": str(tmp_path), "download": False}

    async def main(engine: Engine) -> None:
        assert (await said(engine, YES)).final

    with_engine(runner, named, main)
    (held / "snapshots" / ("0" * 40) / "model.bin").unlink()
    assert "make models CONFIG=" in refused(runner, named)


def test_a_broken_model_is_refused(folder: Path, runner: asyncio.Runner, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    whole = (broken / "model.bin").read_bytes()
    (broken / "model.bin").write_bytes(whole[: len(whole) // 2])
    assert "does not run on cpu with int8" in refused(runner, {"model": str(broken)})
    (broken / "model.bin").unlink()
    assert "lacks model.bin" in refused(runner, {"model": str(broken)})


def test_a_missing_package_is_named(
    settings: dict[str, Any], runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    message = refused(runner, settings)
    assert "'ctranslate2'" in message
    assert "make env ENGINE=faster-whisper" in message


def test_a_folder_needs_no_download(folder: Path, runner: asyncio.Runner, tmp_path: Path) -> None:
    told: list[str] = []
    runner.run(download(Config(model=str(folder)), lambda what, done, total: told.append(what)))
    assert told == []
    with pytest.raises(ConfigError, match="there is no folder"):
        runner.run(download(Config(model=str(tmp_path / "none")), lambda what, done, total: None))


@pytest.fixture(scope="module")
def three(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The default and two others, of which one fits beside it."""
    others = {
        name: str(make_model(tmp_path_factory.mktemp(name), SMALLEST, seed)) for seed, name in ((1, "a"), (2, "b"))
    }
    size_gib = 2 * (folder / "model.bin").stat().st_size / 2**30
    residency = {"budget_gib": 2.5 * size_gib}
    return {"model": str(folder), "max_new_tokens": 24, "threads": 1, "models": others, "residency": residency}


def named(model: str) -> AsrOptions:
    return AsrOptions(language="en", model=model)


def resident(engine: Engine) -> set[str]:
    assert engine.residency is not None
    return set(engine.residency.residents)


def test_an_utterance_is_heard_by_the_model_that_it_names(three: dict[str, Any], runner: asyncio.Runner) -> None:
    async def main(engine: Engine) -> None:
        default = engine.residency.default if engine.residency else ""
        assert resident(engine) == {default}
        first, a, again, b, unknown = [
            (await said(engine, YES, named(name))).text for name in ("", "a", "a", "b", "whisper-1")
        ]
        assert a == again
        assert len({first, a, b}) == 3
        assert unknown == first, "a name that is not there is the default's"
        assert resident(engine) == {default, "b"}, "one had to go"

    with_engine(runner, three, main)


def test_what_comes_while_a_model_loads_is_heard(three: dict[str, Any], runner: asyncio.Runner) -> None:
    async def main(engine: Engine) -> None:
        waiting = engine.open(named("a"))
        assert isinstance(waiting, AwaitedRecognizer)
        assert await waiting.accept(YES[:3_200]) == Transcript()
        await waiting.accept(YES[3_200:])
        with pytest.raises(InvalidRequest):
            await waiting.accept(b"x")
        final = await waiting.finalize()
        assert final.text == (await said(engine, YES, named("a"))).text
        assert engine.residency is not None
        with pytest.raises(Conflict):
            await engine.residency.unload("a")
        await waiting.close()
        await waiting.close()
        with pytest.raises(InvalidRequest):
            await waiting.accept(YES)
        await engine.residency.unload("a")
        assert "a" not in resident(engine)

    with_engine(runner, three, main)


def test_who_does_not_wait_for_a_model_holds_nothing(three: dict[str, Any], runner: asyncio.Runner) -> None:
    async def main(engine: Engine) -> None:
        left = engine.open(named("a"))
        await left.accept(YES)
        await left.close()
        finalizing = engine.open(named("b"))
        waiter = asyncio.create_task(finalizing.finalize())
        await asyncio.sleep(0)
        waiter.cancel()
        await asyncio.wait([waiter])
        await finalizing.close()
        assert engine.residency is not None
        for name in ("a", "b"):
            await engine.residency.load(name)
            await engine.residency.unload(name)

    with_engine(runner, three, main)


def test_a_model_that_does_not_load_is_said_and_the_others_go_on(
    three: dict[str, Any], runner: asyncio.Runner, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(three["models"]["a"], broken)
    whole = (broken / "model.bin").read_bytes()
    (broken / "model.bin").write_bytes(whole[: len(whole) // 2])

    async def main(engine: Engine) -> None:
        for _ in range(2):
            recognizer = engine.open(named("broken"))
            with pytest.raises(StageUnavailable, match="could not be loaded"):
                await recognizer.finalize()
            await recognizer.close()
        assert (await said(engine, YES)).final

    with_engine(runner, {**three, "models": {"broken": str(broken)}}, main)


def test_a_language_that_the_named_model_lacks_is_refused(
    three: dict[str, Any], runner: asyncio.Runner, tmp_path: Path
) -> None:
    english = make_model(tmp_path, ENGLISH)

    async def main(engine: Engine) -> None:
        recognizer = engine.open(AsrOptions(language="de", model="english"))
        with pytest.raises(InvalidRequest, match="'de'"):
            await recognizer.finalize()
        await recognizer.close()
        assert engine.residency is not None
        await engine.residency.unload("english")

    with_engine(runner, {**three, "models": {"english": str(english)}}, main)


def test_the_options_of_the_tests_are_an_engines(tmp_path: Path) -> None:
    assert Config(**options(tmp_path)).model == str(tmp_path)
