"""The audio endpoints over a real store and a real speech model, with in-process stages and their fake engines."""

import asyncio
import io
import wave
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import av
import httpx
import numpy as np
import numpy.typing as npt
from openai import AsyncOpenAI
from starlette.applications import Starlette

from configs.audio_api import AudioApiConfig
from configs.session import SessionConfig
from deployments.asr.client import AsrClient
from deployments.asr.contract import AsrPush, AsrReply
from deployments.asr.engines import fake as fake_asr
from deployments.asr.server import AsrServer
from deployments.media.audio import SPEECH_RATE_HZ
from deployments.runtime.local import LocalPush, LocalStream
from deployments.runtime.stage import StageDescription
from deployments.tts.client import TtsClient
from deployments.tts.contract import SpeechBlock, SpeechRequest
from deployments.tts.deployment import TtsDescription
from deployments.tts.engines import fake as fake_tts
from deployments.tts.server import TtsServer
from serve_app.gateway.audio.hearing import FileHearing
from serve_app.gateway.audio.pace import Pace
from serve_app.gateway.audio.speaking import Reader, speech_routes
from serve_app.gateway.audio.transcribing import Transcriber, transcription_routes
from serve_app.gateway.audio.voice_desk import VoiceDesk, VoiceShelf
from serve_app.gateway.audio.voices import cloned_voice_routes
from serve_app.gateway.http_errors import exception_handlers
from serve_app.gateway.places import Places
from serve_app.gateway.silero import SileroModel
from serve_app.gateway.voices import voices_route
from serve_app.store import Store, StoreConfig

DATA = Path(__file__).parent / "data"


@dataclass
class Rig:
    """The routes and what is behind them."""

    app: Starlette
    client: httpx.AsyncClient
    """Reads an answer only when it is complete."""
    openai: AsyncOpenAI
    store: Store
    asr: AsrServer
    tts: fake_tts.Engine
    tts_client: TtsClient
    places: tuple[Places, ...]
    pushes: list[AsrPush] = field(default_factory=list)
    spoken: list[SpeechRequest] = field(default_factory=list)
    most_at_once: int = 0
    """Pushes with sound that the Asr stage had at a time, at most."""

    @property
    def at_rest(self) -> bool:
        """Whether no stage works on anything and no place is taken."""
        return not (self.asr.open_utterances or self.tts.active or any(place.taken for place in self.places))


@cache
def silero() -> SileroModel:
    return SileroModel()


@asynccontextmanager
async def rig(
    folder: Path,
    *,
    config: AudioApiConfig | None = None,
    asr: fake_asr.Config | None = None,
    max_utterances: int = 64,
    tts: fake_tts.Config | None = None,
) -> AsyncIterator[Rig]:
    config = config or AudioApiConfig()
    tts_engine = fake_tts.Engine(tts or fake_tts.Config())
    asr_server = AsrServer(fake_asr.Engine(asr or fake_asr.Config()), max_utterances=max_utterances)
    tts_server = TtsServer(tts_engine)
    await asr_server.start()
    await tts_server.start()
    working = 0

    async def push(session_id: str, request: AsrPush) -> AsrReply:
        nonlocal working
        made.pushes.append(request)
        working += bool(request.pcm)
        made.most_at_once = max(made.most_at_once, working)
        try:
            return await asr_server.push(session_id, request)
        finally:
            working -= bool(request.pcm)

    async def synthesize(request: SpeechRequest) -> AsyncGenerator[SpeechBlock, None]:
        made.spoken.append(request)
        async with aclosing(tts_server.synthesize(request)) as blocks:
            async for block in blocks:
                yield block

    async def describe_tts() -> TtsDescription:
        return TtsDescription(engine="fake", voices=tts_engine.voices, clones=tts_engine.clones)

    async def describe(_: float) -> dict[str, StageDescription]:
        return {"Tts": await describe_tts()}

    async def languages() -> tuple[str, ...]:
        return fake_asr.Engine.languages

    async with await Store.open(StoreConfig(path=folder / "parley.db")) as store:
        tts_client = TtsClient(LocalStream(synthesize), 5.0, VoiceShelf(store.voices))
        hearing = FileHearing(AsrClient(LocalPush(push), 20.0), silero(), config.transcription)
        desk = VoiceDesk(store.voices, tts_client, describe_tts, silero(), config.voices)
        places = (
            Places(config.speech.max_at_once, "texts"),
            Places(config.transcription.max_files, "files"),
            Places(config.voices.max_at_once, "voices"),
        )
        routes = [
            *speech_routes(Reader(tts_client, config.speech, SessionConfig, places[0], Pace())),
            *transcription_routes(Transcriber(hearing, languages, config.transcription, places[1])),
            *cloned_voice_routes(desk, config.voices, places[2]),
            voices_route(describe, desk),
        ]
        app = Starlette(routes=routes, exception_handlers=exception_handlers())
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://parley", timeout=30) as client:
            openai = AsyncOpenAI(
                api_key="none",
                base_url="http://parley/v1",
                http_client=client,  # type: ignore[arg-type]  # it wants httpx2's, which has the same methods
                max_retries=0,
            )
            made = Rig(app, client, openai, store, asr_server, tts_engine, tts_client, places)
            yield made
    await asr_server.close()
    await tts_server.close()


def clip(name: str) -> npt.NDArray[np.int16]:
    """A recording of `tests/data`, 16 kHz."""
    with wave.open(str(DATA / f"{name}.wav")) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)


def pause(seconds: float) -> npt.NDArray[np.int16]:
    return np.zeros(round(seconds * SPEECH_RATE_HZ), np.int16)


def noise(seconds: float, level: float) -> npt.NDArray[np.int16]:
    samples = np.random.default_rng(3).normal(0, level, round(seconds * SPEECH_RATE_HZ))
    return np.clip(samples, -32768, 32767).astype(np.int16)


def music(seconds: float) -> npt.NDArray[np.int16]:
    """Chords of four notes, each with three overtones, that fade."""
    t = np.arange(round(seconds * SPEECH_RATE_HZ)) / SPEECH_RATE_HZ
    beat = (t // 0.5).astype(int)
    roots = np.array([220.0, 246.9, 196.0, 174.6])[beat % 4]
    sound = np.zeros_like(t)
    for step in (1.0, 1.26, 1.5, 2.0):
        for overtone in (1, 2, 3):
            sound += np.sin(2 * np.pi * roots * step * overtone * t) / overtone
    sound *= np.exp(-3 * (t % 0.5)) * 2500
    return np.clip(sound, -32768, 32767).astype(np.int16)


def wav_of(samples: npt.NDArray[np.int16], rate_hz: int = SPEECH_RATE_HZ, channels: int = 1) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate_hz)
        writer.writeframes(np.repeat(samples, channels).astype("<i2").tobytes())
    return file.getvalue()


def encoded(samples: npt.NDArray[np.int16], container: str, codec: str, rate_hz: int, layout: str = "mono") -> bytes:
    """In another container, at another rate."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate_hz, layout=layout)
        assert isinstance(stream, av.AudioStream)
        frame = av.AudioFrame.from_ndarray(samples[None].astype("<i2"), format="s16", layout="mono")
        frame.sample_rate = SPEECH_RATE_HZ
        resampler = av.AudioResampler(format=stream.format, layout=layout, rate=rate_hz)
        for piece in (*resampler.resample(frame), *resampler.resample(None)):
            piece.pts = None
            out.mux(stream.encode(piece))
        out.mux(stream.encode(None))
    return file.getvalue()


def played(file: bytes) -> tuple[npt.NDArray[np.float32], str]:
    """A file's sound at 24 kHz, and its codec."""
    with av.open(io.BytesIO(file), "r") as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="flt", layout="mono", rate=24_000)
        pieces = [p for frame in container.decode(stream) for p in resampler.resample(frame)]
        pieces += resampler.resample(None)
        return np.concatenate([p.to_ndarray()[0] for p in pieces]).astype(np.float32), stream.codec_context.name


async def until(condition: object) -> None:
    """Wait for it; worker threads take part, so the clock is the real one."""
    assert callable(condition)
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("still not so 5 s later")
