"""The mouth from sound alone, for speech engines that tell no phonemes: causal, with 80 ms of look-ahead at most.

Every 10 ms is measured (`audio_features.py`), and a weighted sum of the measures gives jaw, width and rounding, a
logistic one how likely the lips are pressed together, or teeth are on the lip. Silence closes the mouth.
"""

from typing import Final

import numpy as np

from deployments.avatar.audio_features import (
    AHEAD_HOPS,
    BACK_HOPS,
    BANDS,
    HOP_SAMPLES,
    WINDOW_SAMPLES,
    Floats,
    band_levels_db,
    features,
    loudest_around,
)
from deployments.avatar.audio_mouth_weights import OFFSETS, WEIGHTS
from deployments.avatar.coarticulation import Track
from deployments.media.audio import BYTES_PER_SAMPLE, to_float
from deployments.media.video import FRAMES_PER_BLOCK

QUIETEST_VOICE_DB: Final = -36.0
"""Of the loudest of a voice; what stays below is noise, and louder speech sets the level at once."""
USUAL_VOICE_DB: Final = -20.0
FALL_DB_PER_BLOCK: Final = 0.8
"""So fast a level that is no longer reached is forgotten, while something is heard: 4 dB a second."""
HEARD_DB: Final = 25.0
"""Under the loudest: quieter blocks are pauses, and change nothing."""
SILENT_DB: Final = 38.0
"""Under the loudest the mouth is at rest; 8 dB louder it moves as it should."""
SILENT_DBFS: Final = -58.0
PRESS_FROM: Final = 0.22
PRESS_AT: Final = 0.5
"""Likelihood of pressed lips at which they begin to close, and are closed. With 0.2 and 0.45, lips are seen closed in
79 % of espeak's p, b and m, and in 12 % of the frames of a recording with two of them in 11 s; with 0.25 and 0.55 in
69 and 9 %; with 0.35 and 0.7 in 52 and 6 %."""
BITE_FROM: Final = 0.3
BITE_AT: Final = 0.8


class AudioMouth:
    """One stream of sound in blocks of 200 ms at 24 kHz. Remembers 120 ms and how loud the voice is."""

    def __init__(self) -> None:
        self._tail = np.zeros(HOP_SAMPLES)
        self._past = np.full((BACK_HOPS, BANDS), -90.0)
        self._loudest_db = USUAL_VOICE_DB

    def track(self, pcm: bytes, ahead: bytes) -> Track:
        """The mouth in the middle of each of the block's frames; `ahead` is the sound that follows, as far as known."""
        measured, active = self.measure(pcm, ahead)
        jaw, width, rounding, press, bite = _at_frames(measured @ WEIGHTS + OFFSETS)
        moving = _at_frames(active[:, None])[0]
        return Track(
            jaw=np.clip(jaw, 0.0, 1.0) * moving,
            width=np.clip(width, -1.0, 1.0) * moving,
            rounding=np.clip(rounding, 0.0, 1.0) * moving,
            press=np.clip((_logistic(press) - PRESS_FROM) / (PRESS_AT - PRESS_FROM), 0.0, 1.0) * moving,
            bite=np.clip((_logistic(bite) - BITE_FROM) / (BITE_AT - BITE_FROM), 0.0, 1.0) * moving,
            tongue=np.zeros(jaw.shape),
        )

    def measure(self, pcm: bytes, ahead: bytes) -> tuple[Floats, Floats]:
        """The next block's measures for each hop of 10 ms, and how far each is from silence (0 to 1).

        Shapes: (hops, features), (hops,). A few hops of what follows come with it where it is known.
        """
        past = self._past
        bands_db, level_db = self.hear(pcm, ahead)
        measured = features(np.concatenate([past, bands_db]), self._loudest_db)[BACK_HOPS:]
        silent_db = max(SILENT_DBFS, self._loudest_db - SILENT_DB)
        return measured, np.clip((loudest_around(level_db, 3) - silent_db) / 8.0, 0.0, 1.0)

    def hear(self, pcm: bytes, ahead: bytes) -> tuple[Floats, Floats]:
        """Take the next block in: levels of each hop, by band and in all, in dB of full scale.

        Shapes: (hops, bands), (hops,). Enough where the mouth is not wanted now but may be later.
        """
        following = ahead[: AHEAD_HOPS * HOP_SAMPLES * BYTES_PER_SAMPLE]
        following = following[: len(following) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE]
        block = to_float(pcm).astype(np.float64)
        samples = np.concatenate([self._tail, block, to_float(following)])
        bands_db = band_levels_db(samples)
        level_db = 10.0 * np.log10((10.0 ** (bands_db / 10.0)).sum(axis=1))
        self._follow(float(level_db.max()))
        hops = block.size // HOP_SAMPLES
        self._past = np.concatenate([self._past, bands_db[:hops]])[-BACK_HOPS:]
        self._tail = samples[block.size : block.size + WINDOW_SAMPLES - HOP_SAMPLES]
        return bands_db, level_db

    def _follow(self, level_db: float) -> None:
        """Keep up with how loud the voice is."""
        if level_db > self._loudest_db - HEARD_DB:
            self._loudest_db = max(level_db, self._loudest_db - FALL_DB_PER_BLOCK, QUIETEST_VOICE_DB)


def _at_frames(hops: Floats) -> Floats:
    """Means over the 50 ms around each frame's middle. Shape: (values, frames)."""
    per_frame = (hops.shape[0] if hops.shape[0] < 20 else 20) // FRAMES_PER_BLOCK
    middles = per_frame // 2 + per_frame * np.arange(FRAMES_PER_BLOCK)
    places = np.clip(middles[:, None] + np.arange(-2, 3), 0, hops.shape[0] - 1)
    means: Floats = hops[places].mean(axis=1).T
    return means


def _logistic(score: Floats) -> Floats:
    likelihood: Floats = 1.0 / (1.0 + np.exp(-np.clip(score, -50.0, 50.0)))
    return likelihood
