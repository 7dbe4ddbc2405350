"""XTTS-v2 (coqui-tts): a cloning voice in 17 languages, for a GPU.

The package is under the MPL 2.0. The weights are under the Coqui Public Model License, which allows non-commercial use
only; they are the operator's to get, and nothing here downloads them.

One thread owns the model: it has one cache of keys and values and draws from one source of chance, so one request at a
time goes through it, a few sentences long, and requests take turns between such pieces.
"""

import asyncio
import functools
import hashlib
import re
import threading
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from deployments.media.audio import VOICE_RATE_HZ
from deployments.runtime.errors import ConfigError, InvalidRequest, StageUnavailable, StateLost
from deployments.runtime.worker import Worker
from deployments.tts.contract import SpeechBlock, SpeechRequest, Voice, VoiceSample
from deployments.tts.voices import OPENAI_VOICES, cloned_voice, voice_named
from deployments.tts.xtts.network import SPEAKERS, Chunks, Device, Latents, Network, Sampling
from deployments.tts.xtts.texts import LANGUAGES, language_of

EXTRA: Final = "xtts"


class Config(BaseModel):
    """Where the model is, and how it speaks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Path = Path(".data/xtts-v2")
    """Folder with `config.json`, `model.pth`, `vocab.json` and `speakers_xtts.pth` of coqui/XTTS-v2."""
    voice: str = ""
    """The default: a built-in speaker. Empty takes the first of the model's."""
    language: str = "en"
    """Of requests that name none."""
    device: Device = "auto"
    temperature: float = Field(default=0.75, gt=0, le=2)
    top_k: int = Field(default=50, ge=1)
    top_p: float = Field(default=0.85, gt=0, le=1)
    repetition_penalty: float = Field(default=10.0, ge=1)
    seed: int = Field(default=0, ge=0, le=2**31)
    """The same text in the same voice sounds the same."""
    first_chunk_tokens: int = Field(default=8, ge=1, le=200)
    """Tokens of 46 ms each before the first sound. Less is sooner; under 4 there is no sound, for the vocoder looks
    170 ms ahead."""
    chunk_tokens: int = Field(default=20, ge=1, le=200)
    """Tokens between later sounds."""
    max_waiting: int = Field(default=16, ge=1)
    """Pieces that may wait for the model; beyond it requests get ServerFull."""
    max_cloned: int = Field(default=64, ge=1)
    """Cloned voices that are kept, about 200 kB each; the one unused for longest is forgotten and asked for again."""


class Engine:
    """A `TtsEngine`."""

    def __init__(self, config: Config) -> None:
        self._config = config
        if config.language not in LANGUAGES:
            raise ConfigError(f"tts engine 'xtts': language {config.language!r}; there are: {', '.join(LANGUAGES)}")
        self._worker = Worker("xtts", config.max_waiting)
        self._network: Network | None = None
        self._voices: tuple[Voice, ...] = ()
        self._built_in: dict[str, Latents] = {}
        self._cloned: OrderedDict[str, tuple[str, Latents]] = OrderedDict()
        """By voice: the digest of its recording, and what this very model made of it."""

    async def start(self) -> None:
        """Load the model and say a word."""
        config = self._config
        sampling = Sampling(config.temperature, config.top_k, config.top_p, config.repetition_penalty, config.seed)
        chunks = Chunks(config.first_chunk_tokens, config.chunk_tokens)
        load = functools.partial(Network, config.model, config.device, sampling, chunks)
        network = await self._worker.run(load)
        # What an earlier model knew of a voice means nothing to this one.
        self._cloned.clear()
        self._voices, self._built_in = self._speakers(network)
        self._network = network
        async with aclosing(self.synthesize(SpeechRequest("Hello."))) as blocks:
            async for _ in blocks:
                pass

    def _speakers(self, network: Network) -> tuple[tuple[Voice, ...], dict[str, Latents]]:
        by_id = {_slug(name): (name, latents) for name, latents in network.speakers.items()}
        if not by_id:
            raise ConfigError(f"tts engine 'xtts': {self._config.model / SPEAKERS} has no speakers, or is not there")
        wanted = _slug(self._config.voice) or next(iter(by_id))
        if wanted not in by_id:
            raise ConfigError(f"tts engine 'xtts': no speaker {self._config.voice!r}; there are: {', '.join(by_id)}")
        order = [wanted, *(voice for voice in by_id if voice != wanted)]
        voices = []
        for voice in order:
            name = by_id[voice][0]
            aliases = (*((name,) if name != voice else ()), *(OPENAI_VOICES if voice == wanted else ()))
            about = f"XTTS, {name}, {len(LANGUAGES)} languages"
            voices.append(Voice(voice, self._config.language, about, aliases))
        return tuple(voices), {voice: latents for voice, (_, latents) in by_id.items()}

    @property
    def rate_hz(self) -> int:
        return VOICE_RATE_HZ

    @property
    def voices(self) -> tuple[Voice, ...]:
        """The built-in speakers, each of whom speaks every language."""
        return self._voices

    @property
    def clones(self) -> bool:
        return True

    async def synthesize(self, request: SpeechRequest) -> AsyncGenerator[SpeechBlock, None]:
        """Stream one clause: sound without times. Closing it stops the model before its next token.

        Raises InvalidRequest, ServerFull, and StateLost for a cloned voice whose recording is not here.
        """
        network = self._network
        if network is None:
            raise StageUnavailable("xtts is not started")
        language = language_of(request.language, self._config.language)
        voice = await self._voice(network, request)
        for tokens in await self._worker.run(functools.partial(network.tokens, request.text, language)):
            async with aclosing(self._speak(network, tokens, voice, request.speed)) as sounds:
                async for pcm in sounds:
                    yield SpeechBlock(pcm)

    async def close(self) -> None:
        """End the thread and let the model go. May be called more than once."""
        await self._worker.close()
        self._network = None
        self._built_in.clear()
        self._cloned.clear()

    async def _voice(self, network: Network, request: SpeechRequest) -> Latents:
        if not cloned_voice(request.voice):
            return self._built_in[voice_named(self._voices, request.voice).id]
        known = self._cloned.get(request.voice)
        if request.sample is None:
            if known is None:
                raise StateLost(f"the recording of {request.voice!r} must be sent", code="unknown_voice", param="voice")
        else:
            digest = _digest(request.sample)
            if known is None or known[0] != digest:
                latents = await self._worker.run(functools.partial(network.latents, request.sample.pcm))
                known = (digest, latents)
                self._cloned[request.voice] = known
        # Another request may have made it leave meanwhile.
        self._cloned.setdefault(request.voice, known)
        self._cloned.move_to_end(request.voice)
        while len(self._cloned) > self._config.max_cloned:
            self._cloned.popitem(last=False)
        return known[1]

    async def _speak(
        self, network: Network, tokens: list[int], voice: Latents, speed: float
    ) -> AsyncGenerator[bytes, None]:
        """Sound from the model's thread, as it is made."""
        loop = asyncio.get_running_loop()
        # Bounded by what the model says in one go: 605 tokens, 28 s.
        arrived: asyncio.Queue[bytes | None] = asyncio.Queue()
        stopped = threading.Event()

        def give(pcm: bytes) -> None:
            if pcm and not stopped.is_set():
                loop.call_soon_threadsafe(arrived.put_nowait, pcm)

        call = functools.partial(network.speak, tokens, voice, speed, stopped.is_set, give)
        job = asyncio.create_task(self._worker.run(call))
        job.add_done_callback(lambda _: arrived.put_nowait(None))
        try:
            while (pcm := await arrived.get()) is not None:
                yield pcm
            await job
        finally:
            stopped.set()
            job.cancel()
            await asyncio.wait([job])


def _slug(name: str) -> str:
    return re.sub(r"[^\w]+", "-", name.strip().lower()).strip("-")


def _digest(sample: VoiceSample) -> str:
    if len(sample.pcm) % 2:
        raise InvalidRequest("the recording of the voice ends in half a sample", param="sample")
    return hashlib.sha256(sample.pcm).hexdigest()
