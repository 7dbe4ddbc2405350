"""From an engine's blocks, at its rate and of its size, to those that cross to the session."""

from typing import TypeVar

from deployments.media.audio import BYTES_PER_SAMPLE, VOICE_RATE_HZ, ms_to_samples
from deployments.media.resample import Resampler
from deployments.media.timing import PhonemeTime, WordTime
from deployments.tts.contract import SpeechBlock

TimedT = TypeVar("TimedT", WordTime, PhonemeTime)


class BlockCutter:
    """One clause's sound at 24 kHz in blocks that double from `first_ms` up to `full_ms`.

    Short first, for the first audio; growing, so that a block is not longer than what has been sent before it and an
    engine twice as fast as real time leaves no gap. A block is given as soon as it is full. A word or phoneme goes with
    the block in which it starts or, where the engine names it later, with the next one.
    """

    def __init__(self, from_hz: int, first_ms: float, full_ms: float) -> None:
        self._from_hz = from_hz
        self._resampler = Resampler(from_hz, VOICE_RATE_HZ)
        self._next_samples = ms_to_samples(first_ms, VOICE_RATE_HZ)
        self._full_samples = ms_to_samples(full_ms, VOICE_RATE_HZ)
        self._held = bytearray()
        self._given_samples = 0
        self._words: list[WordTime] = []
        self._phonemes: list[PhonemeTime] = []

    def feed(self, block: SpeechBlock) -> list[SpeechBlock]:
        """Take the engine's next block; gives the blocks that are full."""
        for word in block.words:
            self._words.append(
                WordTime(self._scaled(word.start_sample), self._scaled(word.end_sample), word.text_start, word.text_end)
            )
        for phoneme in block.phonemes:
            start, end = self._scaled(phoneme.start_sample), self._scaled(phoneme.end_sample)
            self._phonemes.append(PhonemeTime(phoneme.symbol, start, end))
        self._held += self._resampler.push(block.pcm)
        return self._full_blocks()

    def flush(self) -> list[SpeechBlock]:
        """The engine is done; gives the rest: what is left of the sound and words that came too late for any.

        Where there was no sound at all it is one empty block.
        """
        self._held += self._resampler.push(b"", last=True)
        blocks = self._full_blocks()
        if self._held or self._words or self._phonemes or not self._given_samples:
            pcm = bytes(self._held)
            self._held.clear()
            blocks.append(SpeechBlock(pcm, tuple(self._words), tuple(self._phonemes)))
            self._words, self._phonemes = [], []
        return blocks

    def _full_blocks(self) -> list[SpeechBlock]:
        blocks = []
        while len(self._held) >= (size := BYTES_PER_SAMPLE * self._next_samples):
            pcm = bytes(self._held[:size])
            del self._held[:size]
            self._given_samples += self._next_samples
            self._next_samples = min(2 * self._next_samples, self._full_samples)
            words, self._words = _split(self._words, self._given_samples)
            phonemes, self._phonemes = _split(self._phonemes, self._given_samples)
            blocks.append(SpeechBlock(pcm, words, phonemes))
        return blocks

    def _scaled(self, sample: int) -> int:
        return round(sample * VOICE_RATE_HZ / self._from_hz)


def _split(timed: list[TimedT], before_sample: int) -> tuple[tuple[TimedT, ...], list[TimedT]]:
    """Those that start before a sample, and the others."""
    begun = tuple(item for item in timed if item.start_sample < before_sample)
    return begun, [item for item in timed if item.start_sample >= before_sample]
