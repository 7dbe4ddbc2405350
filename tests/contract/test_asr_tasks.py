"""What every recognition engine does when it is asked to translate, and when a whole segment comes at once."""

import asyncio
import os
import wave
from pathlib import Path

import pytest

from deployments.asr.contract import AsrEngine, AsrOptions, Transcript
from deployments.runtime.engines import load_engine
from deployments.runtime.errors import InvalidRequest
from tests.contract.engines_here import engines_here, options_for

DATA = Path(__file__).parents[1] / "data"

pytestmark = pytest.mark.parametrize("name", engines_here("asr"))


def heard(name: str, options: AsrOptions) -> Transcript:
    """A recording in one block."""
    with wave.open(str(DATA / "thank_you.wav")) as file:
        pcm = file.readframes(file.getnframes())

    async def main() -> Transcript:
        engine: AsrEngine = load_engine("asr", name, options_for(name))
        await engine.start()
        try:
            recognizer = engine.open(options)
            try:
                await recognizer.accept(pcm)
                return await recognizer.finalize()
            finally:
                await recognizer.close()
        finally:
            await engine.close()

    return asyncio.run(main())


def assert_words(name: str, transcript: Transcript) -> None:
    """An engine with a tiny random model may find none."""
    assert transcript.text or name == os.environ.get("PARLEY_TEST_ENGINE")


def test_a_segment_of_a_file_is_heard_at_once(name: str) -> None:
    transcript = heard(name, AsrOptions(live=False))
    assert transcript.final
    assert_words(name, transcript)


def test_a_translation_is_english_or_refused_in_words(name: str) -> None:
    answer = translated(name)
    if isinstance(answer, InvalidRequest):
        assert "translate" in answer.message
        assert answer.code == "cannot_translate"
    else:
        assert answer.final
        assert_words(name, answer)


def translated(name: str) -> Transcript | InvalidRequest:
    try:
        return heard(name, AsrOptions(task="translate", live=False))
    except InvalidRequest as refusal:
        return refusal
