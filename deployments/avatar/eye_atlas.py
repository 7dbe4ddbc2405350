"""An eye of a picture, open to shut and looking about, worked out once and blended for each frame.

Measured in half widths of the eye from the middle between its corners: u along the line through them, v across,
down.
"""

import math

import numpy as np
import numpy.typing as npt

from deployments.avatar.description import Eye
from deployments.avatar.mouth_atlas import Picture, between, mixed
from deployments.avatar.mouth_shape import Region
from deployments.avatar.warping import warped

Field = npt.NDArray[np.float32]

LID_STEPS = 10
"""From open to shut. The nearest is taken: two lids blended would show two rows of lashes."""
SIDEWAYS = tuple(float(x) for x in np.linspace(-1, 1, 13))
UPDOWN = tuple(float(y) for y in np.linspace(-1, 1, 7))
"""About a pixel apart in the usual picture, so that neighbours can be blended."""
GAZE_REACH = 0.24, 0.13
"""How far the iris goes sideways and up or down at a gaze of 1."""
LASHES = 0.16
"""Thickness of the lid's edge."""
LID = 0.38
"""From its edge to above its crease: what comes down without being stretched, where there is room above."""
LITTLE_ROOM, ENOUGH_ROOM = 0.32, 0.9
"""Of skin above the lid's edge: where only that little is known to be skin, it is stretched over the whole eye."""


class EyeAtlas:
    """All states of one eye: 1 MB for a usual picture. Shared by all faces that show the picture."""

    def __init__(self, picture: Picture, eye: Eye) -> None:
        self._unit_px = eye.width_px / 2
        self._centre = (eye.left[0] + eye.right[0]) / 2, (eye.left[1] + eye.right[1]) / 2
        tilt = math.atan2(eye.right[1] - eye.left[1], eye.right[0] - eye.left[0])
        self._cos, self._sin = math.cos(tilt), math.sin(tilt)
        self._upper = min(-0.08, self._local(eye.upper_lid)[1])
        self._lower = max(0.05, self._local(eye.lower_lid)[1])
        self._iris, self._iris_radius = self._local(eye.iris), eye.iris_radius_px / self._unit_px
        room = LITTLE_ROOM if eye.free_above_px is None else eye.free_above_px / self._unit_px
        self._room = min(ENOUGH_ROOM, max(LASHES + 0.05, room))
        self.region = self._region(picture.shape[1], picture.shape[0])
        self._patch = np.ascontiguousarray(picture[self.region.slices])
        rows, columns = np.mgrid[self.region.top : self.region.bottom, self.region.left : self.region.right]
        x, y = (columns - self._centre[0]) / self._unit_px, (rows - self._centre[1]) / self._unit_px
        self._u: Field = (x * self._cos + y * self._sin).astype(np.float32)
        self._v: Field = (y * self._cos - x * self._sin).astype(np.float32)
        self._balls = [[self._eyeball(gaze_x, gaze_y) for gaze_x in SIDEWAYS] for gaze_y in UPDOWN]
        self._lids = [self._lid(step / LID_STEPS) for step in range(LID_STEPS + 1)]

    def at(self, closure: float, gaze_x: float, gaze_y: float) -> Picture:
        """The region of the picture. Closure 0 to 1, gaze −1 to 1, right and down. Not to be written to."""
        ball = self._looking(gaze_x, gaze_y)
        step = round(min(1.0, max(0.0, closure)) * LID_STEPS)
        return _covered(ball, *self._lids[step]) if step else ball

    def _looking(self, gaze_x: float, gaze_y: float) -> Picture:
        row, across_rows = between(UPDOWN, min(1.0, max(-1.0, gaze_y)))
        column, across_columns = between(SIDEWAYS, min(1.0, max(-1.0, gaze_x)))
        rows = [
            mixed(self._balls[index][column], self._balls[index][column + 1], across_columns)
            if across_columns
            else self._balls[index][column]
            for index in ((row, row + 1) if across_rows else (row,))
        ]
        return mixed(rows[0], rows[1], across_rows) if across_rows else rows[0]

    def _local(self, point: tuple[float, float]) -> tuple[float, float]:
        x, y = (point[0] - self._centre[0]) / self._unit_px, (point[1] - self._centre[1]) / self._unit_px
        return x * self._cos + y * self._sin, y * self._cos - x * self._sin

    def _region(self, width_px: int, height_px: int) -> Region:
        reach = 1.5 * self._unit_px
        above, below = (0.3 + self._room - self._upper) * self._unit_px, (0.4 + self._lower) * self._unit_px
        lean = abs(self._sin) * reach
        x, y = self._centre
        return Region(
            max(0, int(x - reach)),
            max(0, int(y - above - lean)),
            min(width_px, int(x + reach) + 1),
            min(height_px, int(y + below + lean) + 1),
        )

    def _edges(self, u: Field) -> tuple[Field, Field]:
        """The edges of the lids at each u; beyond the corners they lie together."""
        arch = np.clip(1 - u * u, 0, None)
        return self._upper * arch**0.7, self._lower * arch**0.8

    def _taken_from(self, du: Field, dv: Field) -> Picture:
        rows, columns = np.indices(self._u.shape, dtype=np.float32)
        x = columns - self._unit_px * (du * self._cos - dv * self._sin)
        y = rows - self._unit_px * (du * self._sin + dv * self._cos)
        source = np.stack([x, y], axis=-1).astype(np.float32)
        return warped(self._patch, source, sharp=True)

    def _eyeball(self, gaze_x: float, gaze_y: float) -> Picture:
        """The eye with its iris moved; the lids stay where they are."""
        distance = np.hypot(self._u - self._iris[0], 0.7 * (self._v - self._iris[1])) / self._iris_radius
        t = np.clip((distance - 1.05) / 0.85, 0, 1)
        moving = 1 - t * t * (3 - 2 * t)
        upper, lower = self._edges(self._u)
        v_source = self._v - GAZE_REACH[1] * gaze_y * moving
        inside = np.clip((np.minimum(self._v - upper, lower + 0.06 - self._v) - 0.06) / 0.12, 0, 1)
        du = GAZE_REACH[0] * gaze_x * moving * inside
        # Not from beyond the lids' edges: they would be dragged along.
        upper, lower = self._edges(self._u - du)
        within = np.maximum(np.minimum(v_source, lower - 0.06), upper + LASHES)
        return self._taken_from(du, (self._v - within) * inside)

    def _lid(self, closure: float) -> tuple[Picture, Field]:
        """The skin of the upper lid drawn down, and how much of each pixel it covers."""
        upper, lower = self._edges(self._u)
        edge = upper + closure * (0.9 * lower - upper)
        top = upper - self._room * np.clip(1 - 0.4 * self._u * self._u, 0.25, None)
        share = min(1.0, max(0.0, (self._room - LITTLE_ROOM) / (ENOUGH_ROOM - LITTLE_ROOM)))
        lid = LASHES + share * (LID - LASHES)
        above = edge - self._v
        stretch = np.clip(1 - np.maximum(0, above - lid) / np.maximum(1e-3, edge - top - lid), 0, 1)
        sideways = np.clip((1.45 - np.abs(self._u)) / 0.3, 0, 1)
        skin = self._taken_from(np.zeros_like(self._u), ((edge - upper) * stretch * sideways).astype(np.float32))
        if share < 1:
            skin = self._smoothed(skin, above, 0.75 * (1 - share))
        covered = np.clip(above * self._unit_px + 0.5, 0, 1) if closure > 0 else np.zeros_like(self._u)
        # Below the corners' line beyond the corners there is nothing to cover.
        return skin, (covered * (np.abs(self._u) < 1.4)).astype(np.float32)

    def _smoothed(self, skin: Picture, above: Field, strength: float) -> Picture:
        """The lid evened out towards the skin below the eye, with lashes: stretched far, little skin is streaky."""
        upper, lower = self._edges(self._u)
        below = (self._v > lower + 0.12) & (self._v < lower + 0.38) & (np.abs(self._u) < 0.9)
        if not below.any():
            return skin
        plain = np.median(self._patch[below], axis=0)
        # Over the eye only: what is above it stays.
        over = np.clip((self._v - upper) / 0.12 + 1, 0, 1) * np.clip((1.1 - np.abs(self._u)) / 0.2, 0, 1)
        lashes = 1 - 0.55 * np.exp(-np.square(above / 0.09)) * over
        even = skin + (strength * over)[..., None] * (plain - skin)
        return np.asarray(np.clip(even * lashes[..., None], 0, 255), np.uint8)


def _covered(ball: Picture, skin: Picture, covered: Field) -> Picture:
    lid = covered[..., None]
    blend: Picture = np.rint(ball * (1 - lid) + skin * lid).astype(np.uint8)
    return blend
