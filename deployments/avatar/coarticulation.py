"""From phonemes with times to the mouth at any moment.

Each phoneme pulls the mouth towards its shape with a strength that is full while it sounds and falls off exponentially
before and after: the shape is the mean of all targets, weighted by these dominances (M. Cohen and D. Massaro, "Modeling
coarticulation in synthetic visual speech", 1993). So vowels begin to open early, and a "k" takes the shape of what is
around it. What must touch is no mean: lips and teeth close fully at their time, and open only for it.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from deployments.avatar.visemes import REST, Viseme, lengthens, visemes_of
from deployments.media.timing import PhonemeTime

Floats = npt.NDArray[np.float64]

ANTICIPATION_MS: Final = 38.0
"""The strength of a coming phoneme falls to 1/e so long before it."""
CARRY_OVER_MS: Final = 30.0
"""And that of a past one so long after it."""
REST_AFTER_GAP_MS: Final = 60.0
"""A gap between phonemes that lasts so long is a pause, in which the mouth rests."""
CLOSING_MS: Final = 40.0
"""Lips take so long to close before they must be closed, and to open after."""
OPENING_MS: Final = 35.0
MIN_CLOSURE_MS: Final = 42.0
"""So long is each closure at least, that one frame of 40 ms falls into it."""
SILENT_STOP_MS: Final = 38.0
"""espeak marks p at its burst: 40 ms of silence, in which the lips are shut, come before (measured in five
languages)."""
MAX_PHONEMES: Final = 200
"""Looked at in one block: 5 a second is slow speech, 25 fast."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of one shape, in ms on the block's clock."""

    viseme: Viseme
    start_ms: float
    end_ms: float

    @property
    def closed_ms(self) -> tuple[float, float]:
        """When what must touch touches."""
        length_ms = self.end_ms - self.start_ms
        start_ms, end_ms = self.start_ms - 5.0, self.start_ms + max(0.8 * length_ms, length_ms - 15.0)
        if self.viseme.bursts:
            start_ms, end_ms = self.start_ms - SILENT_STOP_MS, self.start_ms + min(0.5 * length_ms, 45.0)
        missing_ms = MIN_CLOSURE_MS - (end_ms - start_ms)
        return (start_ms - missing_ms / 2, end_ms + missing_ms / 2) if missing_ms > 0 else (start_ms, end_ms)


@dataclass(frozen=True, slots=True)
class Track:
    """Mouth parameters at some moments. Shape of each: (moments,)."""

    jaw: Floats
    width: Floats
    rounding: Floats
    press: Floats
    bite: Floats
    tongue: Floats


def segments_of(phonemes: tuple[PhonemeTime, ...], rate_hz: int) -> list[Segment]:
    """Shapes in the order of their beginnings. What ends before it begins is left out."""
    segments: list[Segment] = []
    for phoneme in sorted(phonemes[-MAX_PHONEMES:], key=lambda phoneme: phoneme.start_sample):
        start_ms, end_ms = phoneme.start_sample * 1000 / rate_hz, phoneme.end_sample * 1000 / rate_hz
        if end_ms < start_ms:
            continue
        if lengthens(phoneme.symbol) and segments:
            last = segments[-1]
            segments[-1] = Segment(last.viseme, last.start_ms, max(last.end_ms, end_ms))
            continue
        visemes = visemes_of(phoneme.symbol)
        step_ms = (end_ms - start_ms) / max(len(visemes), 1)
        for index, viseme in enumerate(visemes):
            segments.append(Segment(viseme, start_ms + index * step_ms, start_ms + (index + 1) * step_ms))
    return segments


def mouth_at(segments: list[Segment], at_ms: Floats) -> Track:
    """The mouth at moments `at_ms`, shape (moments,). `segments` are in the order of their beginnings."""
    shapes = _with_rests(segments)
    starts_ms = np.array([shape.start_ms for shape in shapes])
    ends_ms = np.array([shape.end_ms for shape in shapes])
    weights = np.array([shape.viseme.weight for shape in shapes])
    poses = [shape.viseme.pose for shape in shapes]
    targets = np.array([[pose.jaw, pose.width, pose.rounding, pose.tongue] for pose in poses])
    before_ms = np.maximum(starts_ms - at_ms[:, None], 0.0)
    after_ms = np.maximum(at_ms[:, None] - ends_ms, 0.0)
    strength = weights * np.exp(-before_ms / ANTICIPATION_MS - after_ms / CARRY_OVER_MS)
    jaw, width, rounding, tongue = (strength @ targets / (strength.sum(axis=1, keepdims=True) + 1e-9)).T
    press = np.zeros(at_ms.shape)
    bite = np.zeros(at_ms.shape)
    for segment in segments:
        pose = segment.viseme.pose
        if pose.press:
            press = np.maximum(press, pose.press * _contact(segment, at_ms))
        if pose.bite:
            bite = np.maximum(bite, pose.bite * _contact(segment, at_ms))
    return Track(jaw, width, rounding, press, bite, tongue)


def _contact(segment: Segment, at_ms: Floats) -> Floats:
    """0 to 1 while the lips come together, 1 while they must, back to 0."""
    start_ms, end_ms = segment.closed_ms
    closing = 1.0 - (start_ms - at_ms) / CLOSING_MS
    opening = 1.0 - (at_ms - end_ms) / OPENING_MS
    return np.clip(np.minimum(closing, opening), 0.0, 1.0)


def _with_rests(segments: list[Segment]) -> list[Segment]:
    """The shapes with a resting mouth before, between and after them."""
    shapes: list[Segment] = []
    end_ms = -np.inf
    for segment in segments:
        if segment.start_ms - end_ms > REST_AFTER_GAP_MS:
            shapes.append(Segment(REST, end_ms, segment.start_ms))
        shapes.append(segment)
        end_ms = max(end_ms, segment.end_ms)
    return [*shapes, Segment(REST, end_ms, np.inf)]
