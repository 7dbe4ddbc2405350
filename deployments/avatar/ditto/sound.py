"""A session's sound as HuBERT hears it: pieces of 16 kHz around each block, of which the last may still change."""

import numpy as np
import numpy.typing as npt

from deployments.avatar.contract import BLOCK_SAMPLES
from deployments.avatar.ditto.law import HEARS_AFTER_MS, HEARS_BEFORE_MS
from deployments.media.audio import BYTES_PER_SAMPLE, SPEECH_RATE_HZ, VOICE_RATE_HZ, ms_to_samples, to_float
from deployments.media.resample import Resampler
from deployments.media.video import BLOCK_MS

MARGIN_MS = 2.0
"""On either side of a piece: what the resampler's filter reaches."""
PIECE_SAMPLES = ms_to_samples(HEARS_BEFORE_MS + BLOCK_MS + HEARS_AFTER_MS, SPEECH_RATE_HZ)
"""6,480 at 16 kHz."""
BLOCKS_KEPT = 4

_BLOCK_BYTES = BYTES_PER_SAMPLE * BLOCK_SAMPLES
_SILENT_BLOCK = bytes(_BLOCK_BYTES)


class Sound:
    """24 kHz in, block by block, with what is known of the sound after it."""

    def __init__(self) -> None:
        self._blocks: dict[int, bytes] = {}
        self._newest = -1
        self._ahead = b""

    def push(self, block: int, pcm: bytes, ahead: bytes) -> None:
        """Take block number `block`, counted from 0; blocks left out are silence."""
        self._blocks[block] = (pcm + _SILENT_BLOCK)[:_BLOCK_BYTES]
        self._newest = block
        self._ahead = ahead
        for old in [number for number in self._blocks if number <= block - BLOCKS_KEPT]:
            del self._blocks[old]

    def piece(self, block: int) -> bytes:
        """What the features of a block are made from, 24 kHz with margins. What is not known of it is silence."""
        first = block * BLOCK_SAMPLES - ms_to_samples(HEARS_BEFORE_MS + MARGIN_MS, VOICE_RATE_HZ)
        after = (block + 1) * BLOCK_SAMPLES + ms_to_samples(HEARS_AFTER_MS + MARGIN_MS, VOICE_RATE_HZ)
        return self._span(first * BYTES_PER_SAMPLE, after * BYTES_PER_SAMPLE)

    def _span(self, first: int, after: int) -> bytes:
        """Bytes of the stream."""
        parts = []
        ahead_starts = (self._newest + 1) * _BLOCK_BYTES
        for number in range(first // _BLOCK_BYTES, -(-after // _BLOCK_BYTES)):
            starts = number * _BLOCK_BYTES
            if number > self._newest:
                known = self._ahead[starts - ahead_starts : starts - ahead_starts + _BLOCK_BYTES]
                parts.append(known + bytes(_BLOCK_BYTES - len(known)))
            else:
                parts.append(self._blocks.get(number, _SILENT_BLOCK))
        offset = first % _BLOCK_BYTES
        return b"".join(parts)[offset : offset + after - first]


def heard(piece: bytes) -> npt.NDArray[np.float32]:
    """A piece as HuBERT takes it: 16 kHz, −1 to 1, without the margins. Shape: (6480,)."""
    pcm = Resampler(VOICE_RATE_HZ, SPEECH_RATE_HZ).push(piece, last=True)
    margin = ms_to_samples(MARGIN_MS, SPEECH_RATE_HZ)
    return to_float(pcm)[margin:-margin]


def is_silent(piece: bytes) -> bool:
    """Whether there is nothing in it at all."""
    return piece == bytes(len(piece))
