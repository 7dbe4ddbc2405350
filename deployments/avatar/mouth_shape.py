"""One shape of the mouth: where each pixel around it comes from, and what is seen between the lips.

Everything is measured in half widths of the mouth from the middle between its corners: u along the line through them,
v across it and down. Lips keep their thickness while they move; the jaw below follows; both fade out into the face.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from deployments.avatar.description import AvatarDescription
from deployments.avatar.mouth_inside import InnerMouth, paint_inside

Field = npt.NDArray[np.float32]
"""One value a pixel. Shape: (height, width)."""

OPEN_HEIGHT = 0.78
"""Between the lips at aperture 1: an "ah" is about two fifths as high as the mouth is wide."""
UPPER_SHARE = 0.17
"""Of the opening, by the upper lip; the lower lip and the jaw do the rest."""
CHIN_DROP = 0.44
"""Of the chin at aperture 1."""
DRAWN_IN, SPREAD = 0.31, 0.13
"""How much narrower "oo" and wider "ee" are than rest."""
NECK = 1.35
"""Below the chin: where the jaw's movement has faded out."""


@dataclass(frozen=True, slots=True)
class ShapeKey:
    """A mouth in the atlas."""

    aperture: float = 0.0
    spread: float = 0.0
    """−1 rounded and drawn in, 1 spread."""
    press: float = 0.0
    bite: float = 0.0
    tongue: float = 0.0


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of the picture, half open, px."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """For a picture's rows and columns."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


class MouthGeometry:
    """The mouth of a description, in its own units."""

    def __init__(self, description: AvatarDescription) -> None:
        mouth = description.mouth
        self.unit_px = mouth.half_width_px
        self._centre = mouth.centre
        self._cos, self._sin = np.cos(mouth.tilt_rad), np.sin(mouth.tilt_rad)
        self.upper_outer, self.upper_inner, self.lower_inner, self.lower_outer = (
            self._local(point)[1]
            for point in (mouth.upper_outer, mouth.upper_inner, mouth.lower_inner, mouth.lower_outer)
        )
        self.chin = self._local(description.chin)[1]
        self.jaw = max(1.3, -self._local(description.jaw_left)[0]), max(1.3, self._local(description.jaw_right)[0])
        self.top = self.upper_outer - 0.42
        self.region = self._region(description.width_px, description.height_px)
        rows, columns = np.mgrid[self.region.top : self.region.bottom, self.region.left : self.region.right]
        x, y = (columns - self._centre[0]) / self.unit_px, (rows - self._centre[1]) / self.unit_px
        self.u: Field = (x * self._cos + y * self._sin).astype(np.float32)
        self.v: Field = (y * self._cos - x * self._sin).astype(np.float32)
        self._window = _window(self.u.shape)

    def _local(self, point: tuple[float, float]) -> tuple[float, float]:
        x, y = (point[0] - self._centre[0]) / self.unit_px, (point[1] - self._centre[1]) / self.unit_px
        return float(x * self._cos + y * self._sin), float(y * self._cos - x * self._sin)

    def _region(self, width_px: int, height_px: int) -> Region:
        corners = [
            (u, v) for u in (-1.15 * self.jaw[0], 1.15 * self.jaw[1]) for v in (self.top - 0.15, self.chin + NECK)
        ]
        xs = [self._centre[0] + self.unit_px * (u * self._cos - v * self._sin) for u, v in corners]
        ys = [self._centre[1] + self.unit_px * (u * self._sin + v * self._cos) for u, v in corners]
        return Region(
            max(0, int(min(xs))),
            max(0, int(min(ys))),
            min(width_px, int(max(xs)) + 1),
            min(height_px, int(max(ys)) + 1),
        )

    def source(self, du: Field, dv: Field) -> npt.NDArray[np.float32]:
        """Where each pixel of the region comes from, in the region's pixels, for a pixel moved by (du, dv).

        Shape: (height, width, 2).
        """
        du, dv = du * self._window, dv * self._window
        rows, columns = np.indices(self.u.shape, dtype=np.float32)
        x = columns - self.unit_px * (du * self._cos - dv * self._sin)
        y = rows - self.unit_px * (du * self._sin + dv * self._cos)
        return np.stack([x, y], axis=-1).astype(np.float32)


@dataclass(frozen=True, slots=True)
class MouthShape:
    """A drawn shape: the face around it and what is between the lips."""

    source: npt.NDArray[np.float32]
    """Where the region's pixels come from, in its pixels. Shape: (height, width, 2)."""
    opening: Field
    """0 to 1: how much of a pixel lies between the lips."""
    inside: npt.NDArray[np.float32]
    """Blue, green, red of what is seen there. Shape: (height, width, 3)."""


def mouth_shape(geometry: MouthGeometry, key: ShapeKey, inner: InnerMouth) -> MouthShape:
    """Work a shape out."""
    drawn_in, spread = max(0.0, -key.spread), max(0.0, key.spread)
    width = 1.0 + SPREAD * spread - DRAWN_IN * drawn_in - 0.05 * key.aperture - 0.03 * key.press
    fullness = 1.0 + 0.22 * drawn_in - 0.10 * spread - 0.20 * key.press
    u, v = geometry.u, geometry.v
    # Narrower lips leave nose and jaw alone.
    away_v = np.where(v < 0, v / 0.45, np.maximum(0, v - 0.45 * key.aperture) / 0.7)
    sideways, away = np.square(u / 1.3), np.square(away_v)
    near = np.exp(-np.square(sideways) - np.square(away))
    du = u * (1.0 - 1.0 / width) * near
    u_rest = u - du
    across = u_rest / 0.95
    arch = np.clip(1.0 - across * across, 0, None) ** (1.0 - 0.35 * max(drawn_in, key.aperture))
    height = OPEN_HEIGHT * key.aperture * (1.0 - 0.12 * drawn_in)
    rest_arch = np.clip(1.0 - u_rest * u_rest, 0, None)
    rest_upper, rest_lower = geometry.upper_inner * rest_arch, geometry.lower_inner * rest_arch
    # Lips that are apart in the picture meet halfway when they close.
    meet = (rest_upper + rest_lower) / 2
    upper = meet - (UPPER_SHARE * height + 0.10 * key.bite) * arch
    lower = meet + ((1 - UPPER_SHARE) * height + 0.02 * key.bite) * arch
    lines = _Lines(upper, lower, upper - rest_upper, lower - rest_lower, rest_arch)
    dv = np.where(
        v < (upper + lower) / 2,
        _upper_move(geometry, lines, fullness),
        _lower_move(geometry, lines, fullness * (1.0 - 0.22 * key.bite), key.aperture),
    )
    deep = np.minimum(v - upper, lower - v) * geometry.unit_px
    opening = np.clip(deep, 0, 1).astype(np.float32)
    inside = np.zeros((*u.shape, 3), np.float32)
    if (box := _box(opening)) is not None:
        inside[box] = paint_inside(inner, key, u[box] / width, v[box], upper[box], lower[box], geometry.upper_inner)
    return MouthShape(geometry.source(du, dv.astype(np.float32)), opening, inside)


def _box(opening: Field) -> tuple[slice, slice] | None:
    """The rows and columns that hold what is not 0."""
    rows, columns = np.flatnonzero(opening.any(axis=1)), np.flatnonzero(opening.any(axis=0))
    if not rows.size:
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


@dataclass(frozen=True, slots=True)
class _Lines:
    upper: Field
    lower: Field
    upper_move: Field
    lower_move: Field
    lip: Field
    """1 in the middle of the lips, 0 at their corners and beyond."""


def _upper_move(geometry: MouthGeometry, lines: _Lines, fullness: float) -> Field:
    """How far down the skin and the lip above the opening have moved."""
    above = np.maximum(0, lines.upper - geometry.v)
    thickness = geometry.upper_inner - geometry.upper_outer
    fade = _falling(above, thickness, max(thickness + 0.25, geometry.upper_inner - geometry.top))
    inside = np.minimum(0, lines.upper - geometry.v)
    move: Field = lines.upper_move * fade - above * (1 - 1 / fullness) * fade * lines.lip - inside
    return move


def _lower_move(geometry: MouthGeometry, lines: _Lines, fullness: float, aperture: float) -> Field:
    """How far down the lip, the chin and the jaw below the opening have moved."""
    u, v = geometry.u, geometry.v
    left, right = geometry.jaw
    sideways = _falling(np.where(u < 0, -u / left, u / right), 0.3, 1.12)
    downward = _falling(v, geometry.chin, geometry.chin + NECK) * (1 - _falling(v, -0.35, 0.85))
    jaw = CHIN_DROP * aperture * sideways * downward
    below = np.maximum(0, v - lines.lower)
    thickness = geometry.lower_outer - geometry.lower_inner
    fade = _falling(below, thickness, thickness + 0.75 * (geometry.chin - geometry.lower_outer))
    inside = np.minimum(0, v - lines.lower)
    move: Field = jaw + (lines.lower_move - jaw) * fade + below * (1 - 1 / fullness) * fade * lines.lip + inside
    return move


def _falling(value: Field, start: float, end: float) -> Field:
    """1 up to `start`, 0 from `end` on, smoothly in between."""
    t = np.clip((value - start) / (end - start), 0, 1)
    fall: Field = 1 - t * t * (3 - 2 * t)
    return fall


def _window(shape: tuple[int, ...]) -> Field:
    """1 inside, 0 at the region's edge, so that no seam shows. Shape: (height, width)."""
    rows, columns = (
        np.clip(np.minimum(np.arange(n), n - 1 - np.arange(n)) / (0.08 * n), 0, 1).astype(np.float32) for n in shape
    )
    edge = np.minimum(rows[:, None], columns[None, :])
    window: Field = edge * edge * (3 - 2 * edge)
    return window
