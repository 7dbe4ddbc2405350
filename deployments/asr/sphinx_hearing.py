"""One utterance on a pocketsphinx decoder: segments, the mean of the speech, words with their times."""

from typing import Final

import numpy as np

from deployments.asr.contract import Transcript
from deployments.asr.sphinx_library import CEPSTRA, FRAME_SAMPLES, HeardWord, SphinxDecoder
from deployments.media.audio import BYTES_PER_SAMPLE, SPEECH_RATE_HZ, ms_to_samples
from deployments.media.timing import WordTime

STEP_BYTES: Final = BYTES_PER_SAMPLE * ms_to_samples(100, SPEECH_RATE_HZ)
"""Decoded at once; between two steps an utterance can be abandoned."""
MEAN_FRAMES: Final = 30
"""Decoding begins when so much has been heard that its mean says something. Wrong words on the recorded clips and
their variants (louder, quieter, faster, with noise): 60 % with 20 frames, 50 % with 30, 57 % with 40, 59 % with 60."""


class Hearing:
    """Blocking: every method but `abandon` belongs to the thread of the decoder.

    A segment of the decoder lasts from the first speech to `finish`, or from one `finish` to the next.
    """

    def __init__(self, decoder: SphinxDecoder, language: str) -> None:
        self._decoder = decoder
        self._language = language
        self._pending = bytearray()
        self._sum = np.zeros(CEPSTRA)
        self._frames = 0
        self._begun = False
        self._decoded_samples = 0
        self._segment_start = 0
        self._earlier = Transcript(language=language)
        self._final: Transcript | None = None
        self._abandoned = False
        decoder.begin_measuring()

    def abandon(self) -> None:
        """Let a decoding in another thread return after its present step. Nothing may be called after."""
        self._abandoned = True

    def hear(self, pcm: bytes) -> Transcript:
        """Decode what is whole steps by now; the interim words."""
        if pcm:
            self._final = None
            self._pending += pcm
            self._measure(pcm)
        if self._frames >= MEAN_FRAMES:
            while len(self._pending) >= STEP_BYTES and not self._abandoned:
                self._decode(STEP_BYTES)
        return self._transcript() if self._begun else self._earlier

    def finish(self) -> Transcript:
        """Decode the rest; the final words. With nothing new since the last time, the same again at once."""
        while self._pending and not self._abandoned:
            self._decode(STEP_BYTES)
        if self._begun:
            self._decoder.end()
            self._earlier = self._transcript()
            self._begun = False
        if self._final is None:
            words = self._earlier
            self._final = Transcript(words.text, final=True, language=self._language, words=words.words)
        return self._final

    def _measure(self, pcm: bytes) -> None:
        """Add to the mean. Frames of digital silence are left out, as the library does: they are no sound of a room."""
        frames = self._decoder.cepstra(pcm)
        sounding = frames[frames[:, 0] > 0]
        self._sum += sounding.sum(axis=0)
        self._frames += len(sounding)

    def _decode(self, most_bytes: int) -> None:
        if not self._begun:
            self._decoder.begin()
            self._begun = True
            self._segment_start = self._decoded_samples
        block = bytes(self._pending[:most_bytes])
        del self._pending[:most_bytes]
        self._decoder.hear(block, self._sum / max(self._frames, 1))
        self._decoded_samples += len(block) // BYTES_PER_SAMPLE

    def _transcript(self) -> Transcript:
        """The words of earlier segments and of this one."""
        text, times = self._earlier.text, list(self._earlier.words)
        for heard in self._decoder.words():
            text_start = len(text) + 1 if text else 0
            text = f"{text} {heard.word}" if text else heard.word
            times.append(self._word_time(heard, text_start))
        return Transcript(text, language=self._language, words=tuple(times))

    def _word_time(self, heard: HeardWord, text_start: int) -> WordTime:
        """Frames of the segment as samples of the utterance; the last frame may reach past what was heard."""
        return WordTime(
            self._segment_start + heard.start_frame * FRAME_SAMPLES,
            min(self._segment_start + heard.end_frame * FRAME_SAMPLES, self._decoded_samples),
            text_start,
            text_start + len(heard.word),
        )
