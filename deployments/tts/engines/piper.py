"""Piper: neural voices of 15 to 110 MB, faster than real time on a CPU, in some 40 languages.

The package `piper-tts` is under the GPL 3 or later. It is no part of Parley, which is under Apache-2.0: the engine
imports it at run time from an environment of its own, where an operator has chosen to install it. Voices have licences
of their own, told by each one's card.

The sound is not scaled to full range, which Piper itself does sentence by sentence, so that a reply has one loudness.
"""

import functools
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from configs.residency import ResidencyConfig
from deployments.media.audio import BYTES_PER_SAMPLE, ms_to_samples, samples_of
from deployments.media.resample import Resampler
from deployments.media.timing import PhonemeTime, WordTime
from deployments.runtime.errors import StageUnavailable
from deployments.runtime.residency import Residency
from deployments.runtime.worker import Worker
from deployments.tts.contract import SpeechBlock, SpeechRequest, Voice
from deployments.tts.piper.marks import Phonemes, PieceTimes, Timed
from deployments.tts.piper.network import Cancel, Device, Network, Scales, Sentence
from deployments.tts.piper.voice_files import SPEAKER, VoiceFile, voice_files
from deployments.tts.text_pieces import pieces, sayable
from deployments.tts.voices import OPENAI_VOICES, voice_for_language, voice_named

EXTRA: Final = "piper"
PIECE_CHARS = 200
"""At most so much is one run of the network: what is heard first waits for it, and what is cancelled lets go of it."""
BLOCK_MS = 200
_MEMORY_PER_BYTE = 2.0
"""Of a voice's file: its weights, and about as much while it runs."""


class Config(BaseModel):
    """Which voices, and how they speak."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    voices: Path = Path(".data/piper")
    """Folder of voices: `<name>.onnx` and `<name>.onnx.json`. All of them are on offer."""
    voice: str = ""
    """The default: its name in that folder, or a file. Empty takes the first by name."""
    speed: float = Field(default=1.0, ge=0.25, le=4)
    """The pace at speed 1, against the voice's own."""
    noise_scale: float | None = Field(default=None, ge=0, le=2)
    """How much the sound varies from one time to the next; None takes the voice's own."""
    noise_w_scale: float | None = Field(default=None, ge=0, le=2)
    """The same for the lengths of phonemes."""
    volume: float = Field(default=1.0, gt=0, le=10)
    """A factor on the samples, which are cut off at full scale."""
    device: Device = "auto"
    slots: int = Field(default=2, ge=1, le=64)
    """Sentences that are spoken at once."""
    threads: int = Field(default=1, ge=1, le=64)
    """Of onnxruntime for each voice."""
    max_waiting: int = Field(default=64, ge=1)
    """Sentences that may wait for a slot; beyond it requests get ServerFull."""
    residency: ResidencyConfig = ResidencyConfig(budget_gib=1)
    """Of voices, by their ids. The default is `voice`'s; others are loaded when they are asked for."""


class Engine:
    """A `TtsEngine`: a worker thread per slot, and one that loads."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._scales = Scales(config.noise_scale, config.noise_w_scale, config.volume)
        self._files: tuple[VoiceFile, ...] = ()
        self._voices: tuple[Voice, ...] = ()
        self.residency: Residency[Network] | None = None
        self._loader = Worker("piper-load", threads=config.residency.max_loads)
        self._worker = Worker("piper", config.max_waiting, threads=config.slots)

    async def start(self) -> None:
        """Find the voices, and load the default and what is preloaded."""
        find = functools.partial(voice_files, self._config.voices, self._config.voice)
        self._files = await self._loader.run(find)
        aliases = (OPENAI_VOICES, *[()] * (len(self._files) - 1))
        self._voices = tuple(
            Voice(file.id, file.language, file.description, names)
            for file, names in zip(self._files, aliases, strict=True)
        )
        sizes_gib = {file.id: _MEMORY_PER_BYTE * file.size_bytes / 2**30 for file in self._files}
        self.residency = Residency(self, sizes_gib, self._config.residency)
        await self.residency.start()

    async def load(self, name: str) -> Network:
        """A `ModelLoader`'s: a voice, ready to speak. Raises ConfigError."""
        file = next(file for file in self._files if file.id == name)
        return await self._loader.run(functools.partial(Network, file, self._config.device, self._config.threads))

    async def warm_up(self, model: Network) -> None:
        """Say a word with it."""
        piece = await self._loader.run(functools.partial(model.phonemize, "Hello."))
        for sentence in piece.sentences:
            run = functools.partial(model.run, sentence, self._config.speed, None, self._scales, Cancel())
            await self._loader.run(run)

    async def unload(self, model: Network) -> None:
        """Nothing: its memory is free when nobody holds it."""

    @property
    def rate_hz(self) -> int:
        """The default voice's; others are brought to it."""
        if not self._files:
            raise StageUnavailable("piper is not started")
        return self._files[0].rate_hz

    @property
    def voices(self) -> tuple[Voice, ...]:
        return self._voices

    @property
    def clones(self) -> bool:
        return False

    async def synthesize(self, request: SpeechRequest) -> AsyncGenerator[SpeechBlock, None]:
        """Stream one clause, sentence by sentence in blocks of 200 ms. `voice#speaker` names one of several speakers.

        A voice that is named speaks whatever the language, where some voice has that. Closing it ends the network's run
        at its next node. Raises InvalidRequest and ServerFull.
        """
        file, speaker = self._chosen(request)
        assert self.residency is not None
        async with (
            self.residency.use(file.id) as network,
            aclosing(self._spoken(request, file, network, speaker)) as blocks,
        ):
            async for block in blocks:
                yield block

    async def _spoken(
        self, request: SpeechRequest, file: VoiceFile, network: Network, speaker: int | None
    ) -> AsyncGenerator[SpeechBlock, None]:
        # Piper reads `[[…]]` as phonemes.
        text = sayable(request.text).replace("[[", "  ").replace("]]", "  ")
        spoken = 0
        for start, end in pieces(text, PIECE_CHARS):
            piece = await self._worker.run(functools.partial(network.phonemize, text[start:end]))
            times = PieceTimes(text[start:end], piece.starts)
            for phonemes in piece.sentences:
                sentence = await self._run(network, phonemes, request.speed, speaker)
                pcm = sentence.pcm
                if sentence.lengths is not None:
                    timed = times.add(phonemes, sentence.lengths, spoken + sentence.lead_samples)
                else:
                    timed = Timed()
                spoken += samples_of(pcm)
                for block in self._blocks(pcm, timed, file.rate_hz, start):
                    yield block
            for block in self._blocks(b"", times.finish(spoken), file.rate_hz, start):
                yield block

    async def close(self) -> None:
        """End the threads and let the voices go. May be called more than once."""
        if self.residency is not None:
            await self.residency.close()
        await self._loader.close()
        await self._worker.close()

    def _chosen(self, request: SpeechRequest) -> tuple[VoiceFile, int | None]:
        if not self._files:
            raise StageUnavailable("piper is not started")
        name, _, speaker = request.voice.partition(SPEAKER)
        voice = voice_named(self._voices, name)
        if request.language is not None:
            speaks = voice_for_language(self._voices, request.language)
            if speaks.language != voice.language and (not name or name in self._voices[0].aliases):
                voice = speaks
        file = next(file for file in self._files if file.id == voice.id)
        return file, file.speaker(speaker)

    async def _run(self, network: Network, phonemes: Phonemes, speed: float, speaker: int | None) -> Sentence:
        """One sentence in one slot. Cancelled, it stops the network and leaves the slot."""
        cancel = Cancel()
        job = functools.partial(network.run, phonemes, self._config.speed * speed, speaker, self._scales, cancel)
        try:
            return await self._worker.run(job)
        finally:
            cancel()

    def _blocks(self, pcm: bytes, timed: Timed, rate_hz: int, text_start: int) -> list[SpeechBlock]:
        """Sound and times at the engine's rate, in blocks; the times with the first one."""
        ratio = self.rate_hz / rate_hz
        words = tuple(
            WordTime(
                round(word.start_sample * ratio),
                round(word.end_sample * ratio),
                word.text_start + text_start,
                word.text_end + text_start,
            )
            for word in timed.words
        )
        phonemes = tuple(
            PhonemeTime(phoneme.symbol, round(phoneme.start_sample * ratio), round(phoneme.end_sample * ratio))
            for phoneme in timed.phonemes
        )
        sound = Resampler(rate_hz, self.rate_hz).push(pcm, last=True) if pcm else b""
        size = BYTES_PER_SAMPLE * ms_to_samples(BLOCK_MS, self.rate_hz)
        blocks = [SpeechBlock(sound[at : at + size]) for at in range(0, len(sound), size)]
        if words or phonemes:
            blocks[:1] = [SpeechBlock(blocks[0].pcm if blocks else b"", words, phonemes)]
        return blocks
