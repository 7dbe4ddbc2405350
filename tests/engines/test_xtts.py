"""The real XTTS code on the processor, with small random weights: see `xtts_models.py`."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from deployments.media.audio import VOICE_RATE_HZ, from_float, samples_of, to_float
from deployments.runtime.errors import ConfigError, InvalidRequest, StateLost
from deployments.tts.contract import SpeechRequest, VoiceSample
from deployments.tts.engines.xtts import Config, Engine
from deployments.tts.xtts.network import Chunks, Latents, Network, Sampling
from deployments.tts.xtts.stretch import LinearStretch
from deployments.tts.xtts.vocoder import StreamingVocoder
from tests.contract.test_tts_engines import Speech, speak
from tests.engines.running import with_running
from tests.engines.xtts_models import options

pytest.importorskip("TTS")

T = TypeVar("T")

SAMPLING = Sampling(0.75, 50, 0.85, 10.0, 0)

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return options(tmp_path_factory.mktemp("xtts"))


@pytest.fixture(scope="module")
def network(configured: dict[str, Any]) -> Network:
    return Network(Path(configured["model"]), "cpu", SAMPLING, Chunks(5, 6))


def with_engine(config: dict[str, Any], use: Callable[[Engine], Awaitable[T]]) -> T:
    return with_running(Engine(Config.model_validate(config)), use)


def recording(pitch_hz: float, seconds: float = 6.0) -> bytes:
    """A voice of a kind: a tone with overtones, which comes and goes."""
    times = np.arange(int(seconds * VOICE_RATE_HZ)) / VOICE_RATE_HZ
    tone = sum(np.sin(2 * np.pi * pitch_hz * n * times) / n for n in (1, 2, 3))
    return from_float((0.2 * tone * (1 + np.sin(2 * np.pi * 3 * times))).astype(np.float32))


def whole_decode(network: Network, latents: Any, voice: Latents) -> Any:
    """Upstream's, of all latents at once."""
    import torch

    with torch.inference_mode():
        return network.decoder(latents[None], g=voice.speaker).reshape(-1)


@pytest.mark.parametrize("scale", [4.0, 24_000 / 22_050, 2.0, 0.5, 1 / 1.3])
def test_stretching_a_stream_is_stretching_the_whole(scale: float) -> None:
    import torch

    frames = torch.randn(97, 3, generator=torch.Generator().manual_seed(1))
    whole = torch.nn.functional.interpolate(frames.T[None], scale_factor=scale, mode="linear")[0].T
    stretch = LinearStretch(scale)
    cuts = [0, 1, 2, 9, 30, 31, 97]
    parts = [stretch.push(frames[a:b], last=b == 97) for a, b in pairwise(cuts)]
    assert torch.allclose(torch.cat(parts), whole, atol=1e-4)


@pytest.mark.parametrize("chunks", [[8, 20, 20, 12], [1, 1, 3, 30, 25], [60]])
def test_the_stream_is_the_whole_decode_with_each_sample_made_once(network: Network, chunks: list[int]) -> None:
    import torch

    voice = network.speakers["Ann Example"]
    latents = torch.randn(60, 64, generator=torch.Generator().manual_seed(2))
    decoded: list[int] = []
    decoder = network.decoder
    hook = decoder.waveform_decoder.register_forward_hook(lambda _, given, __: decoded.append(given[0].shape[-1]))
    with torch.inference_mode():
        vocoder = StreamingVocoder(decoder, voice.speaker)
        parts, at = [], 0
        for count in chunks:
            parts.append(vocoder.push(latents[at : at + count], last=at + count == 60))
            at += count
    hook.remove()
    whole = whole_decode(network, latents, voice)
    stream = torch.cat(parts)
    assert stream.shape == whole.shape
    assert float((stream - whole).abs().max()) < 1e-3 * float(whole.abs().max())
    # What is decoded besides is the context on both sides of each chunk, however long the speech is.
    assert sum(decoded) <= len(whole) // 256 + 28 * len(chunks)


def test_what_is_spoken_is_the_whole_decode_of_what_the_model_said(network: Network) -> None:
    import torch

    voice = network.speakers["Bob Example"]
    tokens = network.tokens("Hello there.", "en")[0]
    given: list[bytes] = []
    network.speak(tokens, voice, 1.0, lambda: False, given.append)
    with torch.inference_mode():
        torch.manual_seed(SAMPLING.seed)
        latents = torch.cat(list(network.generated(tokens, voice)))
    whole = whole_decode(network, latents, voice).numpy()
    assert len([pcm for pcm in given if pcm]) > 1
    assert np.abs(to_float(b"".join(given)) - whole).max() < 0.01


def test_a_cloned_voice_is_asked_for_once_and_each_is_its_own(configured: dict[str, Any]) -> None:
    low, high = VoiceSample(recording(110)), VoiceSample(recording(260))

    async def use(engine: Engine) -> None:
        assert engine.clones
        with pytest.raises(StateLost):
            await speak(engine, SpeechRequest("Hello.", "voice_low"))
        first = await speak(engine, SpeechRequest("Hello.", "voice_low", sample=low))
        again = await speak(engine, SpeechRequest("Hello.", "voice_low"))
        other = await speak(engine, SpeechRequest("Hello.", "voice_high", sample=high))
        assert first.pcm == again.pcm != other.pcm
        renewed = await speak(engine, SpeechRequest("Hello.", "voice_low", sample=high))
        assert renewed.pcm == other.pcm, "a new recording makes a new voice"

    with_engine(configured, use)


def test_what_was_made_of_a_recording_goes_with_the_model(configured: dict[str, Any]) -> None:
    async def use(engine: Engine) -> None:
        await speak(engine, SpeechRequest("Hi.", "voice_one", sample=VoiceSample(recording(110))))
        await engine.start()
        with pytest.raises(StateLost):
            await speak(engine, SpeechRequest("Hi.", "voice_one"))

    with_engine(configured, use)


def test_cloned_voices_beyond_the_bound_are_forgotten(configured: dict[str, Any]) -> None:
    async def use(engine: Engine) -> None:
        for name in ("voice_a", "voice_b"):
            await speak(engine, SpeechRequest("Hi.", name, sample=VoiceSample(recording(110, 2.0))))
        with pytest.raises(StateLost):
            await speak(engine, SpeechRequest("Hi.", "voice_a"))
        assert (await speak(engine, SpeechRequest("Hi.", "voice_b"))).pcm

    with_engine({**configured, "max_cloned": 1}, use)


def test_a_recording_that_is_too_short_is_refused(configured: dict[str, Any]) -> None:
    async def use(engine: Engine) -> None:
        with pytest.raises(InvalidRequest, match="second"):
            await speak(engine, SpeechRequest("Hi.", "voice_s", sample=VoiceSample(recording(110, 0.5))))
        with pytest.raises(InvalidRequest, match="half a sample"):
            await speak(engine, SpeechRequest("Hi.", "voice_s", sample=VoiceSample(b"\0\0\0")))

    with_engine(configured, use)


def test_languages_whose_packages_are_here_are_spoken(configured: dict[str, Any]) -> None:
    async def use(engine: Engine) -> dict[str, int]:
        async def length(language: str) -> int:
            speech: Speech = await speak(engine, SpeechRequest("Radio 12", language=language))
            return samples_of(speech.pcm)

        return {language: await length(language) for language in ("de", "fr-FR", "es", "ru", "tr", "nl")}

    assert all(with_engine(configured, use).values())


def test_cancelling_stops_the_model_before_its_next_token(network: Network) -> None:
    asked = 0

    def stopped() -> bool:
        nonlocal asked
        asked += 1
        return asked > 2

    given: list[bytes] = []
    network.speak(network.tokens("Hello.", "en")[0], network.speakers["Ann Example"], 1.0, stopped, given.append)
    assert asked == 3
    assert given == []


def test_requests_that_wait_are_not_begun_once_they_are_closed(configured: dict[str, Any]) -> None:
    async def use(engine: Engine) -> None:
        async def begun_and_left() -> None:
            async with aclosing(engine.synthesize(SpeechRequest("A sentence. " * 60))) as stream:
                await anext(stream)

        alone = await speak(engine, SpeechRequest("Hello."))
        spoken, *_ = await asyncio.gather(speak(engine, SpeechRequest("Hello.")), begun_and_left(), begun_and_left())
        assert spoken.pcm == alone.pcm

    with_engine(configured, use)


def test_a_file_that_is_missing_is_named(configured: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"model\.pth.*vocab\.json"):
        with_engine({"model": tmp_path}, lambda engine: asyncio.sleep(0))
