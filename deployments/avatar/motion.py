"""How a head moves while it lives: sway, breath, blinks, glances, and what its mood adds.

Everything but the mood's ramps and the voice's swell is a function of the frame's number and a seed. So another process
goes on where one ended: it needs the number only.
"""

import functools
import hashlib
import math
from dataclasses import dataclass, fields

from deployments.avatar.contract import Mood
from deployments.media.video import FRAME_RATE_HZ

BLINK_EVERY = 105
"""Frames from one blink to the next on average: 4.2 s."""
BLINK_JITTER = 22
"""Frames that a blink may be early or late: 2.4 to 6 s lie between two."""
BLINK = (0.5, 1.0, 1.0, 0.8, 0.5, 0.25, 0.1)
"""How far the lids are shut, frame by frame."""
GLANCE_EVERY, GLANCE_JITTER = 34, 11
GLANCE_FRAMES = 2
"""A saccade takes 30 to 80 ms."""
MOOD_RAMP, GAZE_RAMP = 14, 6
"""Frames that the head and the eyes take to a new mood."""


@dataclass(frozen=True, slots=True)
class HeadPose:
    """Of one frame. Places in half widths of the face, angles in radians, the rest −1 to 1 or 0 to 1."""

    x: float = 0.0
    """To the right."""
    y: float = 0.0
    """Down."""
    roll: float = 0.0
    """Towards the right shoulder as one sees it."""
    yaw: float = 0.0
    """Turned to the right as one sees it."""
    pitch: float = 0.0
    """Nodded down."""
    breath: float = 0.0
    """0 out, 1 in."""
    brow: float = 0.0
    """1 raised, −1 lowered."""
    smile: float = 0.0
    gaze_x: float = 0.0
    gaze_y: float = 0.0
    closure: float = 0.0
    """Of the lids: 1 shut."""


@dataclass(frozen=True, slots=True)
class _Manner:
    """What a mood does."""

    sway: float
    wander: float
    """How far glances go."""
    gaze_x: float = 0.0
    gaze_y: float = 0.0
    x: float = 0.0
    y: float = 0.0
    roll: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0
    brow: float = 0.0
    smile: float = 0.0
    lids: float = 0.0
    nods: float = 0.0


_MANNERS: dict[Mood, _Manner] = {
    "idle": _Manner(sway=1.0, wander=0.35, smile=0.25),
    # Attentive: leans in a little, holds still and looks at the speaker.
    "listening": _Manner(sway=0.6, wander=0.12, roll=0.022, pitch=0.015, y=0.012, brow=0.35, smile=0.4),
    "thinking": _Manner(
        sway=0.75, wander=0.22, gaze_x=-0.6, gaze_y=-0.75, roll=-0.02, yaw=-0.055, pitch=-0.04, brow=0.55, smile=-0.15
    ),
    "speaking": _Manner(sway=1.2, wander=0.2, brow=0.1, smile=0.15, nods=1.0),
}
_NAMES = [field.name for field in fields(_Manner)]
_MOODS = list(_MANNERS)


class Motion:
    """One face's movements. Frames are asked for in order; numbers may be left out."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._head: dict[Mood, float] = {}
        self._eyes: dict[Mood, float] = {}
        self._swell = self._level = 0.0

    def frame(self, number: int, mood: Mood, voice: float) -> HeadPose:
        """The pose at a frame. `voice`, 0 to 1, is how loud the face speaks: the head goes with it."""
        self._head = _towards(self._head, mood, 1 / MOOD_RAMP)
        self._eyes = _towards(self._eyes, mood, 1 / GAZE_RAMP)
        self._swell += 0.30 * (voice - self._swell)
        self._level += 0.03 * (voice - self._level)
        head, eyes = _blend(self._head), _blend(self._eyes)
        time_s = number / FRAME_RATE_HZ
        sway = functools.partial(_sway, self._seed, time_s)
        glance_x, glance_y = _glance(self._seed, number)
        gaze_y = eyes["gaze_y"] + 0.6 * eyes["wander"] * glance_y
        nod = head["nods"] * (0.055 * (self._swell - self._level) + 0.012 * self._level * sway("nod", 1.1))
        return HeadPose(
            x=head["x"] + 0.022 * head["sway"] * sway("x", 5.3),
            y=head["y"] + 0.014 * head["sway"] * sway("y", 4.1),
            roll=head["roll"] + 0.014 * head["sway"] * sway("roll", 6.1),
            yaw=head["yaw"] + 0.040 * head["sway"] * sway("yaw", 4.7),
            pitch=head["pitch"] + 0.022 * head["sway"] * sway("pitch", 3.9) + nod,
            breath=0.5 - 0.5 * math.cos(2 * math.pi * time_s / 4.4 + _chance(self._seed, "breath", 0)),
            brow=head["brow"] + 0.12 * sway("brow", 3.3) + 0.5 * head["nods"] * max(0.0, self._swell - self._level),
            smile=head["smile"] + 0.08 * sway("smile", 7.3),
            gaze_x=eyes["gaze_x"] + eyes["wander"] * glance_x,
            gaze_y=gaze_y,
            # The lids go with the eyes.
            closure=max(_blink(self._seed, number), 0.12 * max(0.0, gaze_y) + eyes["lids"]),
        )


def _towards(weights: dict[Mood, float], mood: Mood, step: float) -> dict[Mood, float]:
    """How far each mood has come. The first one is there at once: a face that moves elsewhere was in it before."""
    if not weights:
        return {mood: 1.0}
    moved = {name: weight - step for name, weight in weights.items() if name != mood and weight > step}
    return {**moved, mood: min(1.0, weights.get(mood, 0.0) + step)}


def _blend(weights: dict[Mood, float]) -> dict[str, float]:
    eased = {mood: weight * weight * (3 - 2 * weight) for mood, weight in weights.items()}
    total = sum(eased.values())
    return {name: sum(w * getattr(_MANNERS[mood], name) for mood, w in eased.items()) / total for name in _NAMES}


@functools.lru_cache(maxsize=4096)
def _chance(seed: str, what: str, index: int) -> float:
    """0 to 1, evenly spread, always the same for the same question."""
    digest = hashlib.blake2s(f"{seed}/{what}/{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") / 2**64


def _sway(seed: str, time_s: float, what: str, period_s: float) -> float:
    """Slow and never twice the same: three waves whose periods have no common multiple. −1 to 1."""
    waves = ((1.0, 0.5), (1.618, 0.3), (2.718, 0.2))
    return sum(
        weight * math.sin(2 * math.pi * (time_s * pace / (2.2 * period_s) + _chance(seed, what, index)))
        for index, (pace, weight) in enumerate(waves)
    )


def blink_starts(seed: str, first: int, end: int) -> list[int]:
    """Frames from `first` to before `end` at which a blink begins."""
    slots = range(max(0, first // BLINK_EVERY - 1), end // BLINK_EVERY + 2)
    starts = [
        slot * BLINK_EVERY + BLINK_EVERY // 2 + round((2 * _chance(seed, "blink", slot) - 1) * BLINK_JITTER)
        for slot in slots
    ]
    return [start for start in starts if first <= start < end]


def _blink(seed: str, number: int) -> float:
    begun = blink_starts(seed, number - len(BLINK) + 1, number + 1)
    return BLINK[number - begun[-1]] if begun else 0.0


def _glance(seed: str, number: int) -> tuple[float, float]:
    """Where the eyes look, −1 to 1: they rest, then jump."""
    slot = number // GLANCE_EVERY
    start = slot * GLANCE_EVERY + round(_chance(seed, "glance", slot) * GLANCE_JITTER)
    share = min(1.0, max(0.0, (number - start + 1) / GLANCE_FRAMES))
    before, after = _look(seed, slot - 1), _look(seed, slot)
    return before[0] + share * (after[0] - before[0]), before[1] + share * (after[1] - before[1])


def _look(seed: str, slot: int) -> tuple[float, float]:
    if _chance(seed, "look", slot) < 0.45:  # mostly at the one it talks to
        return 0.0, 0.0
    return 2 * _chance(seed, "look x", slot) - 1, 2 * _chance(seed, "look y", slot) - 1
