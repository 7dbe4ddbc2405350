"""The features of a session's sound: one HuBERT call a block, none for silence, again where the sound has changed."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from deployments.avatar.ditto.law import WINDOW_FRAMES
from deployments.avatar.ditto.sound import Sound, is_silent
from deployments.media.video import FRAMES_PER_BLOCK

Floats = npt.NDArray[np.float32]
BLOCKS_KEPT = WINDOW_FRAMES // FRAMES_PER_BLOCK + 2


@dataclass(frozen=True, slots=True)
class _Made:
    piece: bytes
    rows: Floats


class Features:
    """Rows of features by frame. `silence` is what HuBERT makes of silence. Shape: (5, 1024)."""

    def __init__(self, silence: Floats) -> None:
        self._silence = silence
        self._made: dict[int, _Made] = {}

    def stale(self, sound: Sound, newest: int, last: int) -> list[tuple[int, bytes]]:
        """(block, piece) of what must be made anew, up to block `last`, now that `newest` is known.

        The block before the newest one heard 85 ms of it, so it may have changed too.
        """
        for old in [block for block in self._made if block < newest - BLOCKS_KEPT]:
            del self._made[old]
        stale = []
        for block in range(max(0, newest - 1), last + 1):
            piece = sound.piece(block)
            made = self._made.get(block)
            if made is not None and made.piece == piece:
                continue
            if is_silent(piece):
                self._made[block] = _Made(piece, self._silence)
            else:
                stale.append((block, piece))
        return stale

    def put(self, block: int, piece: bytes, rows: Floats) -> None:
        """What HuBERT made of a piece. Shape: (5, 1024)."""
        self._made[block] = _Made(piece, rows)

    def block(self, block: int) -> Floats:
        """Shape: (5, 1024). Silence before the stream, and where nothing was made."""
        made = self._made.get(block)
        return self._silence if made is None else made.rows

    def rows(self, frames: range) -> Floats:
        """Shape: (frames, 1024)."""
        first = frames.start // FRAMES_PER_BLOCK
        blocks = range(first, (frames.stop - 1) // FRAMES_PER_BLOCK + 1)
        offset = frames.start - first * FRAMES_PER_BLOCK
        return np.concatenate([self.block(block) for block in blocks])[offset : offset + len(frames)]
