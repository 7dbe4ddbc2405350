"""A session's movements: which windows to run for a block, and again where sound that was guessed turned out otherwise.

A window runs before all the sound it sees is spoken. While nobody speaks that sound is guessed to be silence, so when
speech begins (or is cut off) the windows that guessed are run again from where they started. Frames that were shown
stay shown: the first ones after them are led over, so that the head does not jump.
"""

from collections import deque
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from deployments.avatar.ditto.features import Features
from deployments.avatar.ditto.law import WINDOW_FRAMES, Law
from deployments.media.video import FRAMES_PER_BLOCK

Floats = npt.NDArray[np.float32]

SEAM_FRAMES = 3
"""Over so many frames the difference between what was shown and what was computed anew fades out."""
HISTORY_FRAMES = 2 * WINDOW_FRAMES
WINDOWS_KEPT = 2
"""At most two windows that have run reach into the next block: see `Law`."""


class Sequence(Protocol):
    """Upstream's `Audio2Motion`, with the motion model taken out: it blends a window's motion into the sequence."""

    kp_cond: Floats
    clip_idx: int

    def __call__(self, predicted: Floats, sequence: Floats | None) -> Floats:
        """The sequence with a window's motion. Shapes: (1, 80, 265), (1, n, 265) → (1, n', 265)."""
        ...


@dataclass(frozen=True, slots=True)
class Window:
    """A run of the motion model."""

    index: int
    first_frame: int
    """May lie before the stream."""
    features: Floats
    """Shape: (80, 1024)."""
    start: Floats
    """The motion that it goes on from. Shape: (1, 265)."""


@dataclass(frozen=True, slots=True)
class _Before:
    """What a window changed, as it was: enough to run it again."""

    window: Window
    sequence: Floats | None
    clip_idx: int


class Motion:
    """Call `begin` for a block, then `wanted` and `put` until nothing is wanted, then `shown`."""

    def __init__(self, law: Law, sequence: Sequence) -> None:
        self._law = law
        self._blend = sequence
        self._sequence: Floats | None = None
        self._next = 0
        self._done: deque[_Before] = deque(maxlen=WINDOWS_KEPT)
        self._frames: dict[int, Floats] = {}
        """What the windows finished and `shown` has not given yet, and the last one that it gave."""
        self._last_shown: tuple[int, Floats] | None = None
        self._block = 0
        self._seam: Floats | None = None
        self.first: Floats | None = None
        """The very first motion, from which all movement is measured. Shape: (1, 1, 265)."""
        self.again = 0
        """Windows that were run again."""

    def begin(self, block: int, features: Features) -> None:
        """The features that `block` needs are there: go back to the first window that saw them otherwise."""
        self._block = block
        for place, done in enumerate(self._done):
            if not self._guessed_wrong(done.window, block, features):
                continue
            self._next = done.window.index
            self._sequence = done.sequence
            self._blend.kp_cond = done.window.start.copy()
            self._blend.clip_idx = done.clip_idx
            self.again += len(self._done) - place
            while len(self._done) > place:
                self._done.pop()
            break

    def _guessed_wrong(self, window: Window, block: int, features: Features) -> bool:
        """Whether the block's own sound is not what the window saw. What comes later has its own turn."""
        first = block * FRAMES_PER_BLOCK - window.first_frame
        seen = window.features[max(0, first) : max(0, first + FRAMES_PER_BLOCK)]
        return seen.size > 0 and not np.array_equal(seen, features.block(block)[: len(seen)])

    def wanted(self, features: Features) -> Window | None:
        """The next window to run for the block, if any."""
        if self._next > self._law.last_window(self._block):
            return None
        frames = self._law.sees(self._next)
        return Window(self._next, frames.start, features.rows(frames), self._blend.kp_cond.copy())

    def put(self, window: Window, predicted: Floats) -> None:
        """What the motion model made of a window. Shape: (1, 80, 265)."""
        kept = None if self._sequence is None else self._sequence.copy()
        self._done.append(_Before(window, kept, self._blend.clip_idx))
        sequence = self._blend(predicted, self._sequence)
        if self.first is None:
            self.first = sequence[:, :1].copy()
        finished = self._law.finishes(window.index)
        end = sequence.shape[1] - self._law.valid
        for place, frame in enumerate(finished):
            self._frames[frame] = sequence[0, end - len(finished) + place].copy()
        self._sequence = sequence[:, -HISTORY_FRAMES:]
        self._next = window.index + 1
        self._note_seam(finished)

    def _note_seam(self, finished: range) -> None:
        """A frame that was shown has been computed anew: what differs is led over."""
        if self._last_shown is not None and self._last_shown[0] in finished:
            frame, shown = self._last_shown
            difference = shown - self._frames[frame]
            self._seam = difference if difference.any() else None

    def shown(self) -> Floats:
        """The motion of the block's frames. Shape: (5, 265)."""
        first = self._block * FRAMES_PER_BLOCK
        frames = np.stack([self._frames[frame] for frame in range(first, first + FRAMES_PER_BLOCK)])
        if self._seam is not None and self._last_shown is not None and self._last_shown[0] == first - 1:
            weights = 1.0 - np.arange(1, SEAM_FRAMES + 1, dtype=np.float32) / (SEAM_FRAMES + 1)
            frames[:SEAM_FRAMES] += weights[:, None] * self._seam
        self._seam = None
        for old in [frame for frame in self._frames if frame < first + FRAMES_PER_BLOCK - 1]:
            del self._frames[old]
        self._last_shown = (first + FRAMES_PER_BLOCK - 1, frames[-1].copy())
        return frames
