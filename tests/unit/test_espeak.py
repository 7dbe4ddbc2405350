"""What is espeak's own; what it shares with every engine is in tests/contract/test_tts_engines.py."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import espeakng_loader  # noqa: TID253 - the test is about it
import numpy as np
import pytest

from deployments.media.audio import level_db, ms_to_samples, samples_of, samples_to_ms
from deployments.media.timing import PhonemeTime, WordTime
from deployments.runtime.errors import ConfigError, InvalidRequest, ServerFull, StageUnavailable
from deployments.tts.contract import SpeechRequest, Voice
from deployments.tts.engines.espeak import RATE_HZ, Config, Engine
from deployments.tts.espeak_library import SpokenChunk, espeak_library
from deployments.tts.espeak_voices import LANGUAGES, VOICES, espeak_name
from deployments.tts.voices import OPENAI_VOICES, voice_named
from tests.engines.running import with_running

T = TypeVar("T")


def with_engine(use: Callable[[Engine], Awaitable[T]], config: Config | None = None) -> T:
    return with_running(Engine(config or Config()), use)


async def read(engine: Engine, request: SpeechRequest) -> tuple[bytes, list[WordTime], list[PhonemeTime]]:
    async with aclosing(engine.synthesize(request)) as stream:
        blocks = [block async for block in stream]
    words = [word for block in blocks for word in block.words]
    return b"".join(b.pcm for b in blocks), words, [phoneme for block in blocks for phoneme in block.phonemes]


def speak(text: str, config: Config | None = None, **fields: object) -> tuple[bytes, list[WordTime], list[PhonemeTime]]:
    request = SpeechRequest(text, **fields)  # type: ignore[arg-type]  # fields of the request
    return with_engine(lambda engine: read(engine, request), config)


def length_ms(pcm: bytes) -> float:
    return samples_to_ms(samples_of(pcm), RATE_HZ)


def silent_end_ms(pcm: bytes) -> float:
    loud = np.flatnonzero(np.abs(np.frombuffer(pcm, dtype="<i2").astype(int)) > 100)
    return samples_to_ms(samples_of(pcm) - int(loud[-1]), RATE_HZ)


def level_between(pcm: bytes, start_sample: int, end_sample: int) -> float:
    return level_db(pcm[2 * start_sample : 2 * end_sample])


@pytest.mark.parametrize("text", ["Hello there.", "Sure.", "Paris is nice.", "Forty two."])
def test_sound_begins_with_the_first_block(text: str) -> None:
    pcm, _, phonemes = speak(text)
    first = np.abs(np.frombuffer(pcm, dtype="<i2")[: ms_to_samples(3, RATE_HZ)].astype(int))
    assert first.max() > 33
    assert phonemes[0].start_sample <= ms_to_samples(30, RATE_HZ)


def test_word_times_fit_the_sound() -> None:
    text = "Stop, then wait. Go!"
    pcm, words, _ = speak(text)
    assert [text[word.text_start : word.text_end] for word in words] == ["Stop", "then", "wait", "Go"]
    assert all(level_between(pcm, word.start_sample, word.end_sample) > -35 for word in words)
    margin = ms_to_samples(20, RATE_HZ)
    for before, after in ((words[0], words[1]), (words[2], words[3])):
        assert after.start_sample - before.end_sample > ms_to_samples(100, RATE_HZ)
        assert level_between(pcm, before.end_sample + margin, after.start_sample) < -60


def test_phonemes_are_ipa_and_follow_each_other() -> None:
    _, words, phonemes = speak("Hello world")
    assert [phoneme.symbol for phoneme in phonemes] == ["h", "ə", "l", "ˈoʊ", "w", "ˈɜː", "l", "d"]
    assert all(a.end_sample <= b.start_sample for a, b in pairwise(phonemes))
    assert words[1].start_sample <= phonemes[4].start_sample < words[1].end_sample


def test_a_clause_ends_with_the_pause_of_its_punctuation() -> None:
    ends = {sign: silent_end_ms(speak(f"Hello there{sign}")[0]) for sign in ("", ",", ".", '."')}
    assert ends[""] < 20
    assert ends[","] == pytest.approx(150, abs=15)
    assert ends["."] == pytest.approx(300, abs=15)
    assert ends['."'] == pytest.approx(300, abs=15)
    assert silent_end_ms(speak("Hello there.", Config(end_pauses=False))[0]) < 20


@pytest.mark.parametrize(
    "text", ['hello <break time="30s"/> there', "<speak> <prosody rate='x-slow'> hello there </prosody> </speak>"]
)
def test_markup_is_not_obeyed(text: str) -> None:
    pcm, words, _ = speak(text)
    hello, there = (next(w for w in words if text[w.text_start : w.text_end] == word) for word in ("hello", "there"))
    assert samples_to_ms(hello.end_sample - hello.start_sample, RATE_HZ) < 1_500
    assert samples_to_ms(there.end_sample - there.start_sample, RATE_HZ) < 1_500
    assert length_ms(pcm) < 15_000


def test_phoneme_brackets_are_not_obeyed() -> None:
    spelled = [phoneme.symbol for phoneme in speak("[[w3:ld]]")[2]]
    assert spelled != [phoneme.symbol for phoneme in speak("world")[2]]


def test_control_characters_are_not_obeyed() -> None:
    plain = speak("S P hello there")[0]
    for text in ("\x0180S \x0199P hello there", "\x01 80S hello there"):
        assert length_ms(speak(text)[0]) < 2.5 * length_ms(plain)
    after, _, _ = speak("hello there")
    assert length_ms(after) == pytest.approx(length_ms(speak("hello there")[0]), rel=0.02)


def test_what_follows_a_nul_is_spoken() -> None:
    text = "one\x00two"
    assert [text[w.text_start : w.text_end] for w in speak(text)[1]] == ["one", "two"]


def test_a_long_text_is_spoken_whole_and_in_order() -> None:
    text = " ".join(f"Sentence {index} of a long text, which is cut." for index in range(40))
    pcm, words, _ = speak(text)
    assert [text[w.text_start : w.text_end] for w in words] == [word.strip(".,") for word in text.split()]
    starts = [word.start_sample for word in words]
    assert starts == sorted(starts)
    assert words[-1].end_sample <= samples_of(pcm)
    # Spoken in one go it takes 84 s; pieces add nothing.
    assert length_ms(pcm) == pytest.approx(
        40 * length_ms(speak("Sentence 20 of a long text, which is cut.")[0]), rel=0.05
    )


def test_a_short_text_does_not_wait_for_a_long_one() -> None:
    async def use(engine: Engine) -> list[str]:
        done = []

        async def run(name: str, text: str) -> None:
            await read(engine, SpeechRequest(text))
            done.append(name)

        async with asyncio.TaskGroup() as group:
            group.create_task(run("long", "This is one of many sentences. " * 100))
            group.create_task(run("short", "Yes."))
        return done

    assert with_engine(use) == ["short", "long"]


def test_beyond_the_waiting_line_requests_are_refused_and_the_others_served() -> None:
    async def use(engine: Engine) -> list[object]:
        return await asyncio.gather(
            *(read(engine, SpeechRequest("One clause.")) for _ in range(4)), return_exceptions=True
        )

    results = with_engine(use, Config(max_waiting=1))
    assert sum(isinstance(result, ServerFull) for result in results) == 2
    assert sum(isinstance(result, tuple) for result in results) == 2


def test_two_engines_share_the_library() -> None:
    async def use(engine: Engine) -> None:
        async def one(language: str) -> int:
            other = Engine(Config())
            await other.start()
            pcm = (await read(other, SpeechRequest("Radio Hotel Taxi", language=language)))[0]
            await other.close()
            return len(pcm)

        alone = [await one("de"), await one("fr")]
        together = await asyncio.gather(one("de"), one("fr"))
        assert together == pytest.approx(alone, rel=0.02)
        assert (await read(engine, SpeechRequest("still here")))[0]

    with_engine(use)


def test_an_error_in_the_callback_ends_the_call_and_is_raised() -> None:
    def fail(chunk: SpokenChunk) -> bool:
        raise LookupError("from the callback")

    with pytest.raises(LookupError, match="from the callback"):
        espeak_library().speak("hello", "en-us", 175, False, fail)
    with pytest.raises(ValueError, match="no voice"):
        espeak_library().speak("hello", "nobody", 175, False, lambda _: True)
    assert speak("hello")[0]


def test_a_call_that_is_stopped_ends_at_its_next_chunk() -> None:
    chunks: list[SpokenChunk] = []

    def stop_at_second(chunk: SpokenChunk) -> bool:
        chunks.append(chunk)
        return len(chunks) < 2

    espeak_library().speak("A text that is much longer than two chunks. " * 4, "en-us", 175, False, stop_at_second)
    assert len(chunks) == 2


def test_before_start_and_after_close_it_says_so() -> None:
    async def main() -> None:
        engine = Engine(Config())
        with pytest.raises(StageUnavailable):
            await read(engine, SpeechRequest("hello"))
        await engine.start()
        await engine.close()
        with pytest.raises(StageUnavailable):
            await read(engine, SpeechRequest("hello"))

    asyncio.run(main())


def test_a_default_voice_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match="nobody"):
        Engine(Config(voice="nobody"))
    assert Engine(Config(voice="nova")).voices[0].aliases == ("nova",)


def test_openai_names_are_distinct_voices() -> None:
    voices = {voice_named(VOICES, name).id for name in OPENAI_VOICES}
    assert len(voices) == len(OPENAI_VOICES)


@pytest.mark.parametrize(
    ("voice", "language", "expected"),
    [
        ("", None, "en-us"),
        ("nova", None, "en-us+f3"),
        ("nova", "en", "en-us+f3"),
        ("nova", "de-DE", "de+f3"),
        ("fable", None, "en"),
        ("fable", "en", "en"),
        ("alloy", "en-GB", "en"),
        ("alloy", "en_AU", "en-us"),
        ("alloy", "zh-CN", "cmn"),
        ("alloy", "pt-BR", "pt-br"),
        ("alloy", "pt", "pt"),
        ("alloy", "nb", "nb"),
        ("alloy", "no", "nb"),
        ("es-419+f3", "es", "es-419+f3"),
    ],
)
def test_a_voice_speaks_another_language_in_its_own_variant(voice: str, language: str | None, expected: str) -> None:
    assert espeak_name(voice_named(VOICES, voice), language) == expected


def test_an_unknown_language_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidRequest, match="languages: en, de, fr") as error:
        espeak_name(VOICES[0], "tlh")
    assert error.value.param == "language"


def test_the_library_has_every_voice() -> None:
    bases = [espeak_name(Voice(base, code), None) for base, (code, _) in LANGUAGES.items()]
    for name in bases:
        espeak_library().speak("a", name, 175, False, lambda _: False)
    variants = {path.name for path in (Path(espeakng_loader.get_data_path()) / "voices" / "!v").iterdir()}
    assert {voice.id.partition("+")[2] for voice in VOICES} - {""} <= variants


def test_german_is_spoken_as_german() -> None:
    symbols = {phoneme.symbol for phoneme in speak("Grüße", language="de")[2]}
    assert {"ˈyː", "s"} <= symbols


def test_data_in_a_deep_folder_is_found(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["a-folder-with-a-long-name"] * 6)
    folder.mkdir(parents=True)
    (folder / "espeakng_loader").symlink_to(Path(espeakng_loader.__file__).parent)
    code = (
        "import espeakng_loader; from deployments.tts.espeak_library import espeak_library\n"
        "n = []; espeak_library().speak('hello', 'de', 175, False, lambda chunk: not n.append(len(chunk.pcm)))\n"
        "print(len(espeakng_loader.get_data_path()), sum(n))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), os.getcwd()])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=30, check=True
    )
    path_length, pcm_bytes = map(int, done.stdout.split())
    assert path_length > 160
    assert pcm_bytes > 10_000
