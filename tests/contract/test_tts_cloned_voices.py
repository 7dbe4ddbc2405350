"""What every speech synthesis engine does about cloned voices: it imitates, or refuses in words."""

import asyncio
import wave
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from deployments.media.audio import SPEECH_RATE_HZ, VOICE_RATE_HZ
from deployments.media.resample import Resampler
from deployments.runtime.engines import load_engine
from deployments.runtime.errors import InvalidRequest, StateLost
from deployments.tts.contract import SpeechRequest, TtsEngine, VoiceSample
from tests.contract.engines_here import engines_here, options_for

DATA = Path(__file__).parents[1] / "data"

pytestmark = pytest.mark.parametrize("name", engines_here("tts"))


def sample() -> VoiceSample:
    """11 s of a man."""
    with wave.open(str(DATA / "jfk.wav")) as file:
        pcm = file.readframes(file.getnframes())
    return VoiceSample(Resampler(SPEECH_RATE_HZ, VOICE_RATE_HZ).push(pcm, last=True))


async def speak(engine: TtsEngine, request: SpeechRequest) -> bytes:
    async with aclosing(engine.synthesize(request)) as blocks:
        return b"".join([block.pcm async for block in blocks])


def with_engine(name: str, use: Callable[[TtsEngine], Awaitable[None]]) -> None:
    async def main() -> None:
        engine: TtsEngine = load_engine("tts", name, options_for(name))
        await engine.start()
        try:
            await use(engine)
        finally:
            await engine.close()

    asyncio.run(main())


def test_a_cloned_voice_is_asked_for_once_and_then_known(name: str) -> None:
    async def use(engine: TtsEngine) -> None:
        request = SpeechRequest("Radio check.", voice="voice_contract")
        if not engine.clones:
            with pytest.raises(InvalidRequest, match="voice") as refused:
                await speak(engine, request)
            assert refused.value.param == "voice"
            return
        with pytest.raises(StateLost):
            await speak(engine, request)
        assert await speak(engine, SpeechRequest(request.text, request.voice, sample=sample()))
        assert await speak(engine, request)
        with pytest.raises(StateLost):
            await speak(engine, SpeechRequest(request.text, "voice_other"))

    with_engine(name, use)
