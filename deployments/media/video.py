"""Encoded pictures: the one form in which video is held and sent."""

from dataclasses import dataclass

FRAME_RATE_HZ = 25
"""Frames a second of every face."""
FRAMES_PER_BLOCK = 5
"""One block of picture and sound: 200 ms."""
BLOCK_MS = 1000 * FRAMES_PER_BLOCK / FRAME_RATE_HZ


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """One H.264 access unit, to be decoded right after the one before it."""

    data: bytes
    """Annex B (ITU-T H.264 annex B: each unit behind a start code); before a keyframe its parameter sets."""
    keyframe: bool
    """Can be decoded without those before it."""
