"""The mouth of a face, frame by frame: from phonemes where the speech engine tells them, else from the sound."""

from typing import Final

import numpy as np

from deployments.avatar.audio_mouth import AudioMouth
from deployments.avatar.coarticulation import Floats, Segment, Track, mouth_at, segments_of
from deployments.avatar.contract import BLOCK_SAMPLES
from deployments.avatar.mouth import MouthPose
from deployments.media.audio import BYTES_PER_SAMPLE, VOICE_RATE_HZ, level_db
from deployments.media.timing import PhonemeTime
from deployments.media.video import BLOCK_MS, FRAME_RATE_HZ, FRAMES_PER_BLOCK
from deployments.runtime.errors import InvalidRequest

LOOK_AHEAD_MS: Final = 80.0
"""Of following sound that is made use of."""
MEMORY_MS: Final = 250.0
"""A phoneme that ended so long ago no longer shows."""
NOTHING_DB: Final = -75.0
"""A whole block below it says nothing, whatever its phonemes are: the voice is held."""
MAX_STEP: Final = 0.45
"""Of jaw, width and rounding from one frame to the next: lips are seldom faster (from "m" to "ah" in 80 ms)."""

_FRAME_MS: Final = 1000.0 / FRAME_RATE_HZ
_MIDDLES_MS: Final[Floats] = np.array([_FRAME_MS * (frame + 0.5) for frame in range(FRAMES_PER_BLOCK)])


class LipSync:
    """One session's mouth. Blocks of 200 ms come in order; where phonemes come and go it moves on smoothly."""

    def __init__(self) -> None:
        self._audio = AudioMouth()
        self._past: list[Segment] = []
        """Phonemes of earlier blocks, on the clock of the next one."""
        self._last = MouthPose()

    def block(self, pcm: bytes, ahead: bytes, phonemes: tuple[PhonemeTime, ...] | None) -> tuple[MouthPose, ...]:
        """The pose in the middle of each of the block's five frames; the arguments are those of `FaceBlock`.

        Raises InvalidRequest for a block of another length than `BLOCK_SAMPLES`.
        """
        if len(pcm) != BLOCK_SAMPLES * BYTES_PER_SAMPLE:
            raise InvalidRequest(f"{len(pcm)} bytes are not {BLOCK_MS:g} ms of sound", param="pcm")
        if phonemes is None:
            self._past = []
            return self._poses(self._audio.track(pcm, ahead))
        # Heard all the same, so that it knows the voice when phonemes fail to come.
        self._audio.hear(pcm, ahead)
        said = segments_of(phonemes, VOICE_RATE_HZ) if level_db(pcm) > NOTHING_DB else []
        begin_ms = min((segment.start_ms for segment in said), default=0.0)
        segments = [_until(segment, begin_ms) for segment in self._past if segment.start_ms < begin_ms] + said
        self._past = [
            Segment(segment.viseme, segment.start_ms - BLOCK_MS, segment.end_ms - BLOCK_MS)
            for segment in segments
            if segment.start_ms < BLOCK_MS and segment.end_ms > BLOCK_MS - MEMORY_MS
        ]
        return self._poses(mouth_at(segments, _MIDDLES_MS))

    def _poses(self, track: Track) -> tuple[MouthPose, ...]:
        """Poses that move from the last one no faster than lips do. What must touch does so at once."""
        poses = []
        for k in range(FRAMES_PER_BLOCK):
            self._last = MouthPose(
                jaw=_towards(self._last.jaw, float(track.jaw[k])),
                width=_towards(self._last.width, float(track.width[k])),
                rounding=_towards(self._last.rounding, float(track.rounding[k])),
                press=float(track.press[k]),
                bite=float(track.bite[k]),
                tongue=float(track.tongue[k]),
            )
            poses.append(self._last)
        return tuple(poses)


def _until(segment: Segment, end_ms: float) -> Segment:
    """A past phoneme, which has ended where those that are told now begin."""
    return Segment(segment.viseme, segment.start_ms, min(segment.end_ms, end_ms))


def _towards(last: float, wanted: float) -> float:
    return min(max(wanted, last - MAX_STEP), last + MAX_STEP)
