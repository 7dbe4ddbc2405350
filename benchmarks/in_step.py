"""Picture against sound, as a receiver has them: when each was shown and heard, and what follows from that.

The sound is a metronome, and the mouth of the test pattern is as high as its sound is loud. So both say by themselves
where a tone begins and ends, and nothing need be known of how they came. All times are seconds on one clock, the
receiver's own.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FREEZE_S = 0.12
"""A longer time between two pictures is a freeze."""
OPEN = 0.4
"""Of the pattern's mouth: a tone opens it to 0.8, what Opus leaves in a pause to less than 0.2."""
_LOUD = 0.05
"""Of full scale; a tone has 0.25."""
_PAUSE_S = 0.1
"""What is quiet for so long is a pause, not the tone's own wave."""
_WINDOWS = 20


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture."""

    shown_s: float
    """When a client shows it."""
    arrived_s: float
    media_s: float
    """Its place on the sender's time line, from any origin."""
    number: int | None
    """None where it cannot be read."""
    openness: float

    @property
    def is_open(self) -> bool:
        return self.openness > OPEN


@dataclass(frozen=True, slots=True)
class Heard:
    """A piece of sound."""

    heard_s: float
    """When a client plays its first sample."""
    arrived_s: float
    media_s: float
    pcm: npt.NDArray[np.int16]
    rate_hz: int


@dataclass(frozen=True, slots=True)
class Edges:
    """Where tones begin and where they end, in order."""

    begins_s: list[float]
    ends_s: list[float]


@dataclass(frozen=True, slots=True)
class Offsets:
    """Of picture against sound: positive is a late picture."""

    ms: list[tuple[float, float]]
    """When, seconds, and by how much."""
    alone: int
    """Edges of either that have none of the other within half a beat."""


def edges_of_sound(pieces: Sequence[Heard]) -> Edges:
    """To the sample, but for the part of a wave that is quieter than 0.05 of full scale."""
    loud = [_loud_s(piece) for piece in pieces]
    times_s = np.concatenate(loud) if loud else np.zeros(0)
    if not times_s.size:
        return Edges([], [])
    pauses = np.flatnonzero(np.diff(times_s) > _PAUSE_S)
    begins = np.concatenate([times_s[:1], times_s[pauses + 1]])
    ends = np.concatenate([times_s[pauses], times_s[-1:]])
    return Edges(begins.tolist(), ends.tolist())


def edges_of_picture(pictures: Sequence[Shown]) -> Edges:
    """When the first picture with an open mouth was shown, and the first with a shut one after it."""
    begins, ends = [], []
    for before, picture in itertools.pairwise(pictures):
        if picture.is_open and not before.is_open:
            begins.append(picture.shown_s)
        elif before.is_open and not picture.is_open:
            ends.append(picture.shown_s)
    return Edges(begins, ends)


def offsets(pictures: Edges, sound: Edges, beat_s: float) -> Offsets:
    """Each edge of the sound with the picture's nearest one of its kind, within half a beat."""
    found, alone = [], 0
    for of_picture, of_sound in ((pictures.begins_s, sound.begins_s), (pictures.ends_s, sound.ends_s)):
        left = np.array(of_picture)
        matched = 0
        for at_s in of_sound:
            nearest = int(np.argmin(np.abs(left - at_s))) if left.size else -1
            if nearest >= 0 and abs(left[nearest] - at_s) <= beat_s / 2:
                found.append((at_s, 1000 * float(left[nearest] - at_s)))
                left = np.delete(left, nearest)
                matched += 1
        alone += len(of_sound) - matched + left.size
    return Offsets(sorted(found), alone)


def drift_ms(media_s: Sequence[float], arrived_s: Sequence[float]) -> float:
    """By how much the sender's time line has gained on the receiver's clock between the first and the last arrival.

    By least squares through the quickest way of each twentieth of the time, since lateness is no drift (RFC 5481 §4.2).
    """
    media, arrived = np.array(media_s, dtype=np.float64), np.array(arrived_s, dtype=np.float64)
    if media.size < 2 or arrived[-1] <= arrived[0]:
        return float("nan")
    ahead = (media - media[0]) - (arrived - arrived[0])
    windows = np.array_split(np.arange(media.size), min(_WINDOWS, media.size))
    quickest = [int(window[np.argmax(ahead[window])]) for window in windows]
    at, gained = arrived[quickest], ahead[quickest]
    slope = np.polyfit(at - at.mean(), gained, 1)[0] if np.ptp(at) else 0.0
    return 1000 * float(slope) * float(arrived[-1] - arrived[0])


def freezes_ms(shown_s: Sequence[float]) -> list[float]:
    """Times between two consecutive pictures that are too long."""
    return [1000 * float(gap) for gap in np.diff(shown_s) if gap > FREEZE_S]


def lost_and_repeated(numbers: Sequence[int | None]) -> tuple[int, int]:
    """Frames that are missing between the first and the last of these, or cannot be read; frames that came again, or
    too late.
    """
    lost = repeated = 0
    expected: int | None = None
    for number in numbers:
        if number is None or expected is None or number == expected:
            pass
        elif number > expected:
            lost += number - expected
        else:
            repeated += 1
            continue
        if number is not None:
            expected = number + 1
        elif expected is not None:
            expected += 1
            lost += 1
    return lost, repeated


def shut_after_ms(pictures: Sequence[Shown], asked_s: float) -> float | None:
    """From the request to the first picture with a shut mouth behind which none is open. None where the mouth was shut
    already, or never shut.
    """
    at_first = [picture for picture in pictures if picture.shown_s <= asked_s]
    if not at_first or not at_first[-1].is_open or pictures[-1].is_open:
        return None
    last_open = max(index for index, picture in enumerate(pictures) if picture.is_open)
    return max(0.0, 1000 * (pictures[last_open + 1].shown_s - asked_s))


def spoken(pictures: Sequence[Shown]) -> list[Shown]:
    """Those from the first open mouth to the last."""
    open_at = [index for index, picture in enumerate(pictures) if picture.is_open]
    return list(pictures[open_at[0] : open_at[-1] + 1]) if open_at else []


def _loud_s(piece: Heard) -> npt.NDArray[np.float64]:
    loud = np.flatnonzero(np.abs(piece.pcm.astype(np.int32)) > _LOUD * 32768)
    times_s: npt.NDArray[np.float64] = piece.heard_s + loud / piece.rate_hz
    return times_s
