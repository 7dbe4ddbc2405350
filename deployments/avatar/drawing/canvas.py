"""A small painter: smooth shapes, soft shades, and a picture that is drawn larger than it is wanted."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Points = Sequence[tuple[float, float]]
Mask = npt.NDArray[np.float32]
"""0 to 1, one value a pixel. Shape: (height, width)."""
Colour = tuple[int, int, int]
"""Red, green, blue."""

_FRACTION_BITS = 4
"""Of the coordinates that OpenCV is given: sixteenths of a pixel."""


def smooth(points: Points, closed: bool = True, steps: int = 24) -> npt.NDArray[np.float64]:
    """A curve through the points: centripetal Catmull-Rom (Catmull and Rom 1974, α = 0.5). Shape: (samples, 2)."""
    knots = np.asarray(points, dtype=np.float64)
    if closed:
        knots = np.vstack([knots[-1], knots, knots[:2]])
    else:
        knots = np.vstack([2 * knots[0] - knots[1], knots, 2 * knots[-1] - knots[-2]])
    curve = []
    for p0, p1, p2, p3 in zip(knots, knots[1:], knots[2:], knots[3:], strict=False):
        t1 = _knot_distance(p0, p1)
        t2 = t1 + _knot_distance(p1, p2)
        t3 = t2 + _knot_distance(p2, p3)
        t = np.linspace(t1, t2, steps, endpoint=False)[:, None]
        a1 = (t1 - t) / t1 * p0 + t / t1 * p1
        a2 = (t2 - t) / (t2 - t1) * p1 + (t - t1) / (t2 - t1) * p2
        a3 = (t3 - t) / (t3 - t2) * p2 + (t - t2) / (t3 - t2) * p3
        b1 = (t2 - t) / t2 * a1 + t / t2 * a2
        b2 = (t3 - t) / (t3 - t1) * a2 + (t - t1) / (t3 - t1) * a3
        curve.append((t2 - t) / (t2 - t1) * b1 + (t - t1) / (t2 - t1) * b2)
    if not closed:
        curve.append(knots[-2][None])
    return np.vstack(curve)


def _knot_distance(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    return max(1e-6, math.sqrt(float(np.linalg.norm(other - one))))


@dataclass(frozen=True, slots=True)
class Frame:
    """How the drawing's own units lie in the picture that is painted."""

    scale: float
    """Painted pixels to a unit."""
    left: float
    top: float
    """Painted pixels, of the drawing's origin."""

    def place(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Units to painted pixels."""
        return np.asarray(points * self.scale + np.array([self.left, self.top]), np.float64)


class Canvas:
    """A picture in the making, in floating point. All places and widths are in the drawing's units."""

    def __init__(self, width_px: int, height_px: int, frame: Frame) -> None:
        self.pixels: npt.NDArray[np.float32] = np.zeros((height_px, width_px, 3), np.float32)
        """Blue, green, red: 0 to 255."""
        self.frame = frame

    def area(self, points: Points, curved: bool = True) -> Mask:
        """The inside of an outline through the points."""
        curve = smooth(points) if curved else np.asarray(points, dtype=np.float64)
        return self._filled([curve])

    def ellipse(self, x: float, y: float, rx: float, ry: float, turn_deg: float = 0.0) -> Mask:
        """A filled ellipse."""
        angle = np.linspace(0, 2 * np.pi, 180, endpoint=False)
        turn = np.radians(turn_deg)
        u, v = rx * np.cos(angle), ry * np.sin(angle)
        curve = np.stack([x + u * np.cos(turn) - v * np.sin(turn), y + u * np.sin(turn) + v * np.cos(turn)], axis=1)
        return self._filled([curve])

    def stroke(self, points: Points, widths: Sequence[float], curved: bool = True) -> Mask:
        """A line whose width goes through `widths` from its start to its end."""
        return self.strokes([points], widths, curved)

    def strokes(self, lines: Sequence[Points], widths: Sequence[float], curved: bool = True) -> Mask:
        """Several lines of the same widths, in one mask."""
        return self._filled([self._stroke_outline(line, widths, curved) for line in lines])

    @staticmethod
    def _stroke_outline(points: Points, widths: Sequence[float], curved: bool) -> npt.NDArray[np.float64]:
        curve = smooth(points, closed=False) if curved else np.asarray(points, dtype=np.float64)
        along = np.linspace(0, 1, len(curve))
        half = np.interp(along, np.linspace(0, 1, len(widths)), widths) / 2
        ahead = np.gradient(curve, axis=0)
        normal = np.stack([-ahead[:, 1], ahead[:, 0]], axis=1)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
        return np.vstack([curve + normal * half[:, None], (curve - normal * half[:, None])[::-1]])

    def blurred(self, mask: Mask, sigma: float) -> Mask:
        """The mask with soft edges; `sigma` of the Gaussian."""
        sigma_px = sigma * self.frame.scale
        margin = int(3.5 * sigma_px) + 2
        top, bottom, left, right = _extent(mask)
        rows = slice(max(0, top - margin), bottom + margin)
        columns = slice(max(0, left - margin), right + margin)
        part = mask[rows, columns]
        # A wide blur of a smaller copy looks the same and takes a tenth of the time.
        shrink = max(1, int(sigma_px / 3))
        small = cv2.resize(part, None, fx=1 / shrink, fy=1 / shrink, interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (0, 0), sigma_px / shrink)
        soft = np.zeros_like(mask)
        soft[rows, columns] = cv2.resize(small, part.shape[::-1], interpolation=cv2.INTER_LINEAR)
        return soft

    def slope(self, start: tuple[float, float], end: tuple[float, float]) -> Mask:
        """0 at `start`, 1 at `end`, smoothly in between, the same across."""
        height, width = self.pixels.shape[:2]
        (x0, y0), (x1, y1) = self.frame.place(np.array([start, end], dtype=np.float64))
        length = (x1 - x0) ** 2 + (y1 - y0) ** 2
        xs = ((np.arange(width) - x0) * (x1 - x0) / length).astype(np.float32)
        ys = ((np.arange(height) - y0) * (y1 - y0) / length).astype(np.float32)
        t = np.clip(xs[None, :] + ys[:, None], 0, 1)
        return np.asarray(t * t * (3 - 2 * t), np.float32)

    def paint(self, mask: Mask, colour: Colour, strength: float = 1.0) -> None:
        """Lay a colour over the picture where the mask is."""
        top, bottom, left, right = _extent(mask)
        if top == bottom:
            return
        part = self.pixels[top:bottom, left:right]
        alpha = (mask[top:bottom, left:right] * np.float32(strength))[..., None]
        part += alpha * (np.array(colour[::-1], np.float32) - part)

    def _filled(self, curves: list[npt.NDArray[np.float64]]) -> Mask:
        mask = np.zeros(self.pixels.shape[:2], np.uint8)
        for curve in curves:  # one by one: together, they would be holes in each other where they overlap
            scaled = np.rint(self.frame.place(curve) * 2**_FRACTION_BITS).astype(np.int32)
            cv2.fillPoly(mask, [scaled], 255, cv2.LINE_AA, _FRACTION_BITS)
        return mask.astype(np.float32) / np.float32(255)


def _extent(mask: Mask) -> tuple[int, int, int, int]:
    """Rows and columns outside of which the mask is empty, half open."""
    rows = np.flatnonzero(mask.max(axis=1) > 0.002)
    if not rows.size:
        return 0, 0, 0, 0
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].max(axis=0) > 0.002)
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
