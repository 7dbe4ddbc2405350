"""Which sound moves which frame: how Ditto's windows of 80 frames lie over the stream when it runs online.

Window k sees the features of the frames k·V − O … k·V − O + 79, with O the overlap and V = 80 − O; what lies before the
stream is silence. It blends its last frames but V with the tail of the window before and so finishes the frames
(k − 1)·V … k·V − 1. Window 0 finishes none: it only primes. (antgroup/ditto-talkinghead, `Audio2Motion` and
`StreamSDK._audio2motion_worker` with `online_mode`; run against them in tests/engines.)

Below an overlap of 40 the blend is shorter than V, and the stream begins V − O frames late, for good: with the upstream
default of 10 that is 60 frames, which has been reported as "lips out of sync online".
"""

from dataclasses import dataclass

from deployments.media.video import BLOCK_MS, FRAMES_PER_BLOCK

WINDOW_FRAMES = 80
"""That the motion model looks at and gives at once."""
FEATURES = 1024
"""Of one frame of sound, from HuBERT."""
MIN_OVERLAP = WINDOW_FRAMES // 2
HEARS_BEFORE_MS = 120.0
"""HuBERT makes the features of one block from the block, this much before it …"""
HEARS_AFTER_MS = 85.0
"""… and this much after it: two frames, and 5 ms for the width of its first filter."""


def frames_lost(overlap: int) -> int:
    """Frames at the beginning of a stream that online mode never gives."""
    valid = WINDOW_FRAMES - overlap
    return valid - min(overlap, valid)


@dataclass(frozen=True, slots=True)
class Law:
    """The law for one overlap. Raises ValueError for one that loses frames or leaves none."""

    overlap: int

    def __post_init__(self) -> None:
        if not MIN_OVERLAP <= self.overlap < WINDOW_FRAMES:
            raise ValueError(
                f"an overlap of {self.overlap} loses the first {frames_lost(self.overlap)} frames online; "
                f"it must be {MIN_OVERLAP} to {WINDOW_FRAMES - 1}"
            )

    @property
    def valid(self) -> int:
        """Frames that one window finishes."""
        return WINDOW_FRAMES - self.overlap

    def sees(self, window: int) -> range:
        """The frames whose features a window is given; those below 0 lie before the stream."""
        first = window * self.valid - self.overlap
        return range(first, first + WINDOW_FRAMES)

    def finishes(self, window: int) -> range:
        """The frames that are final once a window has run. Empty for window 0."""
        return range(max(0, (window - 1) * self.valid), window * self.valid)

    def finishing(self, frame: int) -> int:
        """The window that finishes a frame."""
        return frame // self.valid + 1

    def last_window(self, block: int) -> int:
        """The window that must have run before a block can be shown."""
        return self.finishing(FRAMES_PER_BLOCK * (block + 1) - 1)

    def last_block(self, block: int) -> int:
        """The block up to which features are needed before `block` can be shown."""
        return (self.sees(self.last_window(block)).stop - 1) // FRAMES_PER_BLOCK

    @property
    def ahead_ms(self) -> float:
        """How much sound after a block is needed to show it, at most: the blocks' needs repeat after V blocks."""
        blocks = max(self.last_block(block) - block for block in range(self.valid))
        return blocks * BLOCK_MS + HEARS_AFTER_MS
