"""A synthesiser for tests and benchmarks: one tone per word, at once or as slowly as its configuration says.

With pauses between words it is a metronome. A cloned voice says every word at the pitch of its recording.
It waits on the event loop's clock only, so it runs on a virtual one, and costs next to no CPU: tones are made once.
"""

import asyncio
import functools
from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterator

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from deployments.media.audio import BYTES_PER_SAMPLE, VOICE_RATE_HZ, ms_to_samples, to_float
from deployments.media.timing import PhonemeTime, WordTime
from deployments.runtime.errors import StateLost
from deployments.tts.clause_times import word_places
from deployments.tts.contract import SpeechBlock, SpeechRequest, Voice, VoiceSample
from deployments.tts.voices import OPENAI_VOICES, cloned_voice, voice_for_language, voice_named

TONES_HZ = (220, 262, 330, 392, 440, 523, 660, 784)
"""Words sound in turn with these, so that neighbours differ."""
PITCHES_HZ = (60, 500)
"""Where the pitch of a recording is looked for."""
VOICES = (Voice("tone", "en", "One tone per word", OPENAI_VOICES),)


class Config(BaseModel):
    """How fast it is and what goes wrong."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate_hz: int = Field(default=VOICE_RATE_HZ, ge=8_000, le=48_000)
    word_ms: float = Field(default=200, gt=0)
    """How long a word sounds at speed 1."""
    gap_ms: float = Field(default=0, ge=0)
    """The silence behind each word at speed 1."""
    block_ms: float = Field(default=100, ge=1)
    first_block_delay_ms: float = Field(default=0, ge=0)
    """Wait before the first block of a clause."""
    block_delay_ms: float = Field(default=0, ge=0)
    """Wait before each later block."""
    clones: bool = True
    max_clones: int = Field(default=8, ge=1)
    """Cloned voices that it remembers."""
    fail_at_block: int | None = Field(default=None, ge=0)
    """Raise RuntimeError instead of yielding this block, counted from 0."""
    hang_at_block: int | None = Field(default=None, ge=0)
    """Wait for ever instead of yielding this block."""


class Engine:
    """Speaks in tones. Word times are exact and known with the block in which the word starts."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.active = 0
        """Clauses being spoken now: a test sees here that one was stopped."""
        self._pitches: OrderedDict[str, int] = OrderedDict()
        """Of cloned voices, the one that was used last at the end."""

    async def start(self) -> None:
        pass

    @property
    def rate_hz(self) -> int:
        return self._config.rate_hz

    @property
    def voices(self) -> tuple[Voice, ...]:
        return VOICES

    @property
    def clones(self) -> bool:
        return self._config.clones

    async def synthesize(self, request: SpeechRequest) -> AsyncGenerator[SpeechBlock, None]:
        """Stream one clause: a tone for each word."""
        tones_hz: tuple[int, ...] = TONES_HZ
        if self.clones and cloned_voice(request.voice):
            tones_hz = (self._pitch_of(request),)
        else:
            voice_named(VOICES, request.voice)
        if request.language is not None:
            voice_for_language(VOICES, request.language)
        self.active += 1
        try:
            for index, block in enumerate(self._blocks(request, tones_hz)):
                await self._before(index)
                yield block
        finally:
            self.active -= 1

    async def close(self) -> None:
        pass

    async def _before(self, index: int) -> None:
        if index == self._config.fail_at_block:
            raise RuntimeError("the fake synthesiser was told to fail")
        if index == self._config.hang_at_block:
            await asyncio.Event().wait()
        await asyncio.sleep((self._config.block_delay_ms if index else self._config.first_block_delay_ms) / 1000)

    def _pitch_of(self, request: SpeechRequest) -> int:
        if request.sample is not None:
            self._pitches[request.voice] = _pitch_hz(request.sample)
        elif request.voice not in self._pitches:
            raise StateLost(f"the voice {request.voice!r} is not known here: send its recording")
        self._pitches.move_to_end(request.voice)
        if len(self._pitches) > self._config.max_clones:
            self._pitches.popitem(last=False)
        return self._pitches[request.voice]

    def _blocks(self, request: SpeechRequest, tones_hz: tuple[int, ...]) -> Iterator[SpeechBlock]:
        places = word_places(request.text)
        word_samples = max(1, ms_to_samples(self._config.word_ms / request.speed, self.rate_hz))
        step_samples = word_samples + ms_to_samples(self._config.gap_ms / request.speed, self.rate_hz)
        block_samples = ms_to_samples(self._config.block_ms, self.rate_hz)
        words = [
            WordTime(index * step_samples, index * step_samples + word_samples, start, end)
            for index, (start, end) in enumerate(places)
        ]
        total = len(words) * step_samples
        for start in range(0, total, block_samples):
            end = min(start + block_samples, total)
            begun = tuple(word for word in words[start // step_samples :] if start <= word.start_sample < end)
            phonemes = tuple(PhonemeTime("a", word.start_sample, word.end_sample) for word in begun)
            yield SpeechBlock(self._sound(start, end, word_samples, step_samples, tones_hz), begun, phonemes)

    def _sound(self, start: int, end: int, word_samples: int, step_samples: int, tones_hz: tuple[int, ...]) -> bytes:
        """The samples from `start` to `end` of words that each last `word_samples` and begin every `step_samples`."""
        parts = []
        while start < end:
            index, offset = divmod(start, step_samples)
            stop = min(end - index * step_samples, step_samples)
            tone = _tone(tones_hz[index % len(tones_hz)], word_samples, self.rate_hz)
            tone_bytes = tone[BYTES_PER_SAMPLE * offset : BYTES_PER_SAMPLE * stop]
            parts.append(tone_bytes.ljust(BYTES_PER_SAMPLE * (stop - offset), b"\0"))
            start += stop - offset
        return b"".join(parts)


def _pitch_hz(sample: VoiceSample) -> int:
    """Where the recording's first second resembles itself most."""
    sound = to_float(sample.pcm)[:VOICE_RATE_HZ]
    likeness = np.fft.irfft(np.abs(np.fft.rfft(sound, 2 * VOICE_RATE_HZ)) ** 2)
    shortest, longest = VOICE_RATE_HZ // PITCHES_HZ[1], VOICE_RATE_HZ // PITCHES_HZ[0]
    return round(VOICE_RATE_HZ / (shortest + int(np.argmax(likeness[shortest:longest]))))


@functools.lru_cache(maxsize=64)
def _tone(tone_hz: int, samples: int, rate_hz: int) -> bytes:
    """A tone at -12 dB of full scale."""
    seconds = np.arange(samples) / rate_hz
    tone: bytes = np.rint(8_192 * np.sin(2 * np.pi * tone_hz * seconds)).astype("<i2").tobytes()
    return tone
