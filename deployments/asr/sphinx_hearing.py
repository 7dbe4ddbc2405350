"""One utterance on a pocketsphinx decoder: segments, the mean of the speech, words with their times."""

from typing import Final

import numpy as np
import numpy.typing as npt

from deployments.asr.contract import Transcript
from deployments.asr.sphinx_library import CEPSTRA, FRAME_SAMPLES, Cepstra, HeardWord, SphinxDecoder
from deployments.media.audio import BYTES_PER_SAMPLE, SPEECH_RATE_HZ, ms_to_samples
from deployments.media.timing import WordTime

STEP_BYTES: Final = BYTES_PER_SAMPLE * ms_to_samples(100, SPEECH_RATE_HZ)
"""Decoded at once; between two steps an utterance can be abandoned."""


class SpeechMean:
    """The mean of the frames since speech began, which the decoder takes away from all: microphone, room and loudness.

    Wrong words in six recorded phrases, each under five conditions (quieter, 300 ms of room noise before it; 90 words),
    and in 11 s of another speaker (22 words): 78 and 25 with the library's own running mean, 65 and 5 with the mean of
    every frame, which room noise leads astray, 52 and 11 with this one.
    """

    PRIOR: Final = np.array([63.1, 19.3, -37.9, 2.7, -12.4, -16.6, -7.7, -3.4, 1.4, 1.3, 0.3, 0.2, -2.5])
    """The mean of the loud frames of all recordings. With each speaker's taken from the other, words were as good."""
    PRIOR_FRAMES: Final = 30
    """How many frames the prior weighs; between 5 and 30: 56 to 52 wrong words."""
    LOUD_BELOW_PEAK: Final = 30.0
    """A frame is loud when its first cepstrum is at most this much below the loudest: about 30 dB."""
    LEAST_PEAK: Final = 45.0
    """A peak below this is no speech: room noise came to 39, speech 22 dB below the recordings' level to 50."""
    READY_LOUD_FRAMES: Final = 35
    """Decoding begins after so much speech; at 20 frames 58 wrong words, at 50 no fewer than at 35."""
    READY_FRAMES: Final = 150
    """… or after so much of anything."""
    KEPT_FRAMES: Final = 1000

    def __init__(self) -> None:
        self._frames = np.zeros((0, CEPSTRA), np.float32)

    def add(self, frames: Cepstra) -> None:
        """Hear more. Shape: (frames, 13)."""
        self._frames = np.concatenate([self._frames, frames])[-self.KEPT_FRAMES :]

    @property
    def ready(self) -> bool:
        """Whether enough was heard to decode it."""
        speech = self._peak > self.LEAST_PEAK and len(self._loud()) >= self.READY_LOUD_FRAMES
        return speech or len(self._frames) >= self.READY_FRAMES

    def value(self) -> npt.NDArray[np.float64]:
        """The mean. Shape: (13,)."""
        loud = self._loud()
        speech = self._frames[loud[0] :] if len(loud) else self._frames
        total: npt.NDArray[np.float64] = self.PRIOR * self.PRIOR_FRAMES + speech.sum(axis=0)
        return total / (self.PRIOR_FRAMES + len(speech))

    @property
    def _peak(self) -> float:
        return float(self._frames[:, 0].max(initial=0.0))

    def _loud(self) -> npt.NDArray[np.intp]:
        """Which frames are loud."""
        return np.flatnonzero(self._frames[:, 0] > self._peak - self.LOUD_BELOW_PEAK)


class Hearing:
    """Blocking: every method but `abandon` belongs to the thread of the decoder.

    A segment of the decoder lasts from the first speech to `finish`, or from one `finish` to the next.
    """

    def __init__(self, decoder: SphinxDecoder, language: str) -> None:
        self._decoder = decoder
        self._language = language
        self._pending = bytearray()
        self._mean = SpeechMean()
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
        """Decode what is whole steps by now; the interim words.

        A long block is heard step by step, so that it gives the words that it gives live: measured from all of it at
        once, the mean made other words of 11 s of recorded speech from the middle on.
        """
        if pcm:
            self._final = None
        for at in range(0, len(pcm), STEP_BYTES):
            if self._abandoned:
                break
            step = pcm[at : at + STEP_BYTES]
            self._pending += step
            self._mean.add(self._decoder.cepstra(step))
            self._decode_what_is_ready()
        return self._transcript() if self._begun else self._earlier

    def _decode_what_is_ready(self) -> None:
        if self._begun or self._mean.ready:
            while len(self._pending) >= STEP_BYTES and not self._abandoned:
                self._decode(STEP_BYTES)

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

    def _decode(self, most_bytes: int) -> None:
        if not self._begun:
            self._decoder.begin()
            self._begun = True
            self._segment_start = self._decoded_samples
        block = bytes(self._pending[:most_bytes])
        del self._pending[:most_bytes]
        self._decoder.hear(block, self._mean.value())
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
