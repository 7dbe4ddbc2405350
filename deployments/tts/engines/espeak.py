"""espeak-ng: formant synthesis on the CPU, some hundred times faster than real time, in many languages.

Modest but honest: robotic and intelligible, with the exact times of words and phonemes. The pitch flutters as in a
human voice, so two runs of one text differ a little in sound and by up to 1 % in length.
"""

import asyncio
import functools
import re
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from deployments.media.audio import BYTES_PER_SAMPLE, ms_to_samples, samples_of
from deployments.media.timing import PhonemeTime, WordTime
from deployments.runtime.errors import ConfigError, InvalidRequest, StageUnavailable
from deployments.runtime.worker import Worker
from deployments.tts.clause_times import ClauseTimes
from deployments.tts.contract import SpeechBlock, SpeechRequest, Voice
from deployments.tts.espeak_library import (
    MAX_RATE_WPM,
    MIN_RATE_WPM,
    EspeakLibrary,
    SpokenChunk,
    WordMark,
    espeak_library,
)
from deployments.tts.espeak_voices import VOICES, espeak_name
from deployments.tts.text_pieces import pieces, sayable
from deployments.tts.voices import voice_named

RATE_HZ = 22_050
PIECE_CHARS = 200
"""The library speaks one piece at a time and requests take turns between pieces, so a long text does not hold up a
short one, and what waits to be read is bounded."""
ONSET_LEVEL = 33
"""Below this (-60 dB of full scale) the start is silence and is cut off: 11 ms on average in English, at most 47."""
ONSET_MARGIN_MS = 2.0

# A clause without punctuation at its end goes on in the next one: no pause. Before a closing quotation mark or bracket
# espeak pauses by itself.
_ENDS_PHRASE = re.compile(r"[.!?…,;:—–。、，！？；：][*_\s]*$")


class Config(BaseModel):
    """How espeak-ng speaks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    voice: str = "en-us"
    """Id or alias of the voice for requests that name none."""
    rate_wpm: int = Field(default=175, ge=MIN_RATE_WPM, le=MAX_RATE_WPM)
    """Words per minute at speed 1. It can do 80 to 449, so at 175 speeds outside 0.46 to 2.57 sound like these."""
    end_pauses: bool = True
    """Whether a clause ends with the pause of its punctuation: 150 ms after a comma, 300 after a full stop."""
    max_waiting: int = Field(default=64, ge=1)
    """Pieces of clauses that may wait for the library, at about 5 ms each; beyond it requests get ServerFull."""


class Engine:
    """Several requests at once are fine: the library, whose state is global, serves them in turn in one thread."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._library: EspeakLibrary | None = None
        self._worker = Worker("espeak", config.max_waiting)
        try:
            self._default = voice_named(VOICES, config.voice)
        except InvalidRequest as error:
            raise ConfigError(f"tts engine 'espeak': {error}") from error
        self._voices = (self._default, *(voice for voice in VOICES if voice is not self._default))

    async def start(self) -> None:
        """Open the library and say a word, so that the first request finds it warm."""
        library = await self._worker.run(espeak_library)
        if library.rate_hz != RATE_HZ:
            raise ConfigError(f"espeak-ng speaks at {library.rate_hz} Hz instead of {RATE_HZ}")
        voice = espeak_name(self._default, None)
        warm_up = functools.partial(library.speak, "hello", voice, self._config.rate_wpm, False, lambda _: True)
        await self._worker.run(warm_up)
        self._library = library

    @property
    def rate_hz(self) -> int:
        return RATE_HZ

    @property
    def voices(self) -> tuple[Voice, ...]:
        return self._voices

    @property
    def clones(self) -> bool:
        return False

    async def synthesize(self, request: SpeechRequest) -> AsyncGenerator[SpeechBlock, None]:
        """Stream one clause in blocks of 250 ms; times may come in a block of their own, without sound.

        A voice that is asked for in another language keeps its character. Raises InvalidRequest and ServerFull.
        """
        voice = espeak_name(voice_named(self._voices, request.voice), request.language)
        rate_wpm = round(self._config.rate_wpm * request.speed)
        text = sayable(request.text)
        clause = _Clause()
        for start, end in pieces(text, PIECE_CHARS):
            piece = text[start:end]
            clause.begin_piece(piece, start)
            pause = _ENDS_PHRASE.search(piece) is not None and (self._config.end_pauses or end < len(text))
            async with aclosing(self._speak(piece, voice, rate_wpm, pause)) as chunks:
                async for chunk in chunks:
                    if (block := clause.add(chunk)) is not None:
                        yield block
            if (block := clause.end_piece()) is not None:
                yield block

    async def close(self) -> None:
        """End the thread. The library stays: other engines of the process may use it."""
        await self._worker.close()

    async def _speak(self, text: str, voice: str, rate_wpm: int, pause: bool) -> AsyncGenerator[SpokenChunk, None]:
        """Chunks from the library's thread. Closing it stops the library at its next chunk, 0.4 ms of work away."""
        if self._library is None:
            raise StageUnavailable("espeak is not started")
        loop = asyncio.get_running_loop()
        # Bounded by the length of a piece.
        arrived: asyncio.Queue[SpokenChunk | None] = asyncio.Queue()
        stopped = threading.Event()

        def on_chunk(chunk: SpokenChunk) -> bool:
            if stopped.is_set():
                return False
            loop.call_soon_threadsafe(arrived.put_nowait, chunk)
            return True

        call = functools.partial(self._library.speak, text, voice, rate_wpm, pause, on_chunk)
        job = asyncio.create_task(self._worker.run(call))
        job.add_done_callback(lambda _: arrived.put_nowait(None))
        try:
            while (chunk := await arrived.get()) is not None:
                yield chunk
            await job
        finally:
            stopped.set()
            job.cancel()
            await asyncio.wait([job])


class _Clause:
    """Joins the pieces of one request: places in its whole text, samples since the first one that can be heard."""

    def __init__(self) -> None:
        self._heard = False
        self._cut = 0
        """Samples of silence left out at the beginning."""
        self._spoken = 0
        """Samples that the library has given, with those."""
        self._words: list[WordTime] = []
        self._phonemes: list[PhonemeTime] = []

    def begin_piece(self, text: str, text_start: int) -> None:
        self._times = ClauseTimes(text)
        self._text_start = text_start
        self._piece_start = self._spoken

    def add(self, chunk: SpokenChunk) -> SpeechBlock | None:
        """The chunk as a block, if there is anything in it to be heard or told."""
        for mark in chunk.marks:
            if isinstance(mark, WordMark):
                self._words += self._times.word(mark.position, mark.sample)
            else:
                self._phonemes += self._times.phoneme(mark.symbol, mark.sample)
        self._spoken += samples_of(chunk.pcm)
        return self._block(self._from_onset(chunk.pcm))

    def end_piece(self) -> SpeechBlock | None:
        """What is known only now: the last word's end."""
        words, phonemes = self._times.finish(self._spoken - self._piece_start)
        self._words += words
        self._phonemes += phonemes
        return self._block(b"")

    def _block(self, pcm: bytes) -> SpeechBlock | None:
        if not self._heard or not (pcm or self._words or self._phonemes):
            return None
        words = tuple(
            WordTime(
                self._moved(word.start_sample),
                self._moved(word.end_sample),
                word.text_start + self._text_start,
                word.text_end + self._text_start,
            )
            for word in self._words
        )
        phonemes = tuple(
            PhonemeTime(phoneme.symbol, self._moved(phoneme.start_sample), self._moved(phoneme.end_sample))
            for phoneme in self._phonemes
        )
        self._words, self._phonemes = [], []
        return SpeechBlock(pcm, words, phonemes)

    def _moved(self, sample: int) -> int:
        return max(0, self._piece_start + sample - self._cut)

    def _from_onset(self, pcm: bytes) -> bytes:
        """The chunk without the silence before the first sound of the clause."""
        if self._heard or not pcm:
            return pcm
        samples = np.frombuffer(pcm, dtype="<i2").astype(np.int32)
        loud = np.flatnonzero(np.abs(samples) > ONSET_LEVEL)
        if not loud.size:
            self._cut += samples.size
            return b""
        self._heard = True
        silent = max(0, int(loud[0]) - ms_to_samples(ONSET_MARGIN_MS, RATE_HZ))
        self._cut += silent
        return pcm[BYTES_PER_SAMPLE * silent :]
