"""How loud it has been: levels of 10 ms steps, and the noise floor beneath them."""

import math
from collections import deque

import numpy as np

STEP_SAMPLES = 160
"""10 ms at 16 kHz."""
SILENCE_DB = -90.0
"""Level of digital silence; one bit of noise is about -90 dB of full scale."""
_KEPT_STEPS = 128
_FULL_SCALE_POWER = 32768.0**2
_SILENCE_POWER = _FULL_SCALE_POWER * 10 ** (SILENCE_DB / 10)


class Levels:
    """Root mean square levels in dB of full scale of the last 1.28 s, in steps of 10 ms on the grid of the stream."""

    def __init__(self) -> None:
        self._steps: deque[float] = deque(maxlen=_KEPT_STEPS)
        self._end_step = 0

    @property
    def latest_db(self) -> float:
        return self._steps[-1] if self._steps else SILENCE_DB

    @property
    def peak_db(self) -> float:
        """Of all that is kept."""
        return max(self._steps, default=SILENCE_DB)

    def append(self, frame: bytes) -> float:
        """Take whole steps of PCM; the level of all of them together."""
        samples = np.frombuffer(frame, dtype="<i2").astype(np.float32).reshape(-1, STEP_SAMPLES)
        powers: list[float] = (np.einsum("ij,ij->i", samples, samples) / STEP_SAMPLES).tolist()
        self._steps.extend(_decibels(power) for power in powers)
        self._end_step += len(powers)
        return _decibels(sum(powers) / len(powers))

    def between(self, start_sample: int, end_sample: int) -> list[float]:
        """Levels of the steps that lie wholly within; what is no longer kept is left out."""
        first = self._end_step - len(self._steps)
        start = max(-(-start_sample // STEP_SAMPLES), first)
        end = min(end_sample // STEP_SAMPLES, self._end_step)
        steps = self._steps
        return [steps[step - first] for step in range(start, end)]

    def last_above(self, threshold_db: float, start_sample: int, end_sample: int) -> int | None:
        """The end of the last step within that is louder than the threshold."""
        loud = self.between(start_sample, end_sample)
        last_end = min(end_sample // STEP_SAMPLES, self._end_step)
        for back, level in enumerate(reversed(loud)):
            if level > threshold_db:
                return (last_end - back) * STEP_SAMPLES
        return None

    def rise_before(self, threshold_db: float, sample: int, earliest_sample: int) -> int:
        """Where the sound that is there at `sample` began: dips of up to 30 ms belong to it."""
        began = sample
        step = sample // STEP_SAMPLES
        for level in reversed(self.between(earliest_sample, sample)):
            step -= 1
            if level > threshold_db:
                began = step * STEP_SAMPLES
            elif began - step * STEP_SAMPLES > 3 * STEP_SAMPLES:
                break
        return began


class NoiseFloor:
    """The level of what is always there: the least smoothed level of the last one to two seconds (minimum statistics,
    R. Martin 2001, with two windows)."""

    def __init__(self, window_frames: int = 50, smoothing: float = 0.3) -> None:
        self._window_frames = window_frames
        self._smoothing = smoothing
        self._smoothed: float | None = None
        self._before = math.inf
        self._current = math.inf
        self._frames = 0

    @property
    def db(self) -> float:
        floor = min(self._before, self._current)
        return floor if floor < math.inf else SILENCE_DB

    def update(self, level_db: float) -> float:
        """Take the level of the next frame; the floor."""
        if self._smoothed is None:
            self._smoothed = level_db
        self._smoothed += self._smoothing * (level_db - self._smoothed)
        self._current = min(self._current, self._smoothed)
        self._frames += 1
        if self._frames == self._window_frames:
            self._before, self._current, self._frames = self._current, self._smoothed, 0
        return self.db


def _decibels(power: float) -> float:
    return 10.0 * math.log10(max(power, _SILENCE_POWER) / _FULL_SCALE_POWER)
