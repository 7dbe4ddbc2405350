"""The mouth of a picture in all its shapes, worked out once, and blended for each frame."""

import bisect
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from deployments.avatar.description import AvatarDescription
from deployments.avatar.mouth import MouthPose
from deployments.avatar.mouth_inside import InnerMouth
from deployments.avatar.mouth_shape import MouthGeometry, ShapeKey, mouth_shape
from deployments.avatar.warping import warped

Picture = npt.NDArray[np.uint8]
"""Blue, green, red. Shape: (height, width, 3)."""

APERTURES = (0.0, 0.06, 0.13, 0.20, 0.28, 0.36, 0.45, 0.54, 0.64, 0.76, 0.88, 1.0)
"""Close enough that the lips of neighbours are at most 3 px apart in the usual picture: blended, they show no double
edge."""
SPREADS = (-1.0, -0.75, -0.5, -0.25, 0.0, 0.5, 1.0)


class ShapeGrid:
    """Shapes at the crossings of apertures and spreads, and anything between by blending the four around it."""

    def __init__(
        self, apertures: tuple[float, ...], spreads: tuple[float, ...], draw: Callable[[float, float], Picture]
    ) -> None:
        self._apertures, self._spreads = apertures, spreads
        self._pictures = [[draw(aperture, spread) for spread in spreads] for aperture in apertures]

    def at(self, aperture: float, spread: float) -> Picture:
        """The shape there. Not to be written to."""
        row, across_rows = between(self._apertures, aperture)
        column, across_columns = between(self._spreads, spread)
        rows = [
            mixed(self._pictures[index][column], self._pictures[index][column + 1], across_columns)
            if across_columns
            else self._pictures[index][column]
            for index in ((row, row + 1) if across_rows else (row,))
        ]
        return mixed(rows[0], rows[1], across_rows) if across_rows else rows[0]


class MouthAtlas:
    """All shapes of one picture's mouth: some 3 MB for 384 × 579 px. Shared by all faces that show the picture."""

    def __init__(self, picture: Picture, description: AvatarDescription) -> None:
        """Draws them: 0.3 s of CPU for 384 × 579."""
        self._geometry = MouthGeometry(description)
        self.region = self._geometry.region
        self._patch: Picture = np.ascontiguousarray(picture[self.region.slices])
        self._inner = InnerMouth.of(description.colours, _light(picture, description))
        self._opened = ShapeGrid(APERTURES, SPREADS, lambda a, s: self._draw(ShapeKey(a, s)))
        self._pressed = ShapeGrid((0.0,), (-1.0, 0.0, 1.0), lambda a, s: self._draw(ShapeKey(a, s, press=1.0)))
        self._bitten = ShapeGrid((0.0, 0.12, 0.25), (-1.0, 0.0, 1.0), lambda a, s: self._draw(ShapeKey(a, s, bite=1.0)))
        self._tongued = ShapeGrid(APERTURES[::2], (-1.0, 0.0, 1.0), lambda a, s: self._draw(ShapeKey(a, s, tongue=1.0)))

    def at(self, pose: MouthPose) -> Picture:
        """The region of the picture with the mouth in this pose. Not to be written to."""
        spread = min(1.0, max(-1.0, pose.width - pose.rounding))
        shape = self._opened.at(min(1.0, max(0.0, pose.aperture)), spread)
        if (tongue := _weight(pose.tongue)) > 0:
            shape = mixed(shape, self._tongued.at(pose.aperture, spread), tongue)
        if (bite := _weight(pose.bite)) > 0:
            shape = mixed(shape, self._bitten.at(pose.aperture, spread), bite)
        # Pressed lips look different only once they are nearly shut: before, the aperture closes them.
        if (press := _weight(2 * pose.press - 1)) > 0:
            shape = mixed(shape, self._pressed.at(0.0, spread), press)
        return shape

    def opening(self, key: ShapeKey) -> float:
        """Pixels between the lips in a shape: what tests and measurements ask."""
        return float(mouth_shape(self._geometry, key, self._inner).opening.sum())

    def _draw(self, key: ShapeKey) -> Picture:
        shape = mouth_shape(self._geometry, key, self._inner)
        face = warped(self._patch, shape.source, sharp=True)
        drawn = face + shape.opening[..., None] * (shape.inside - face)
        return np.asarray(np.clip(np.rint(drawn), 0, 255), np.uint8)


def between(levels: tuple[float, ...], value: float) -> tuple[int, float]:
    """The level at or below a value, and how far it is on the way to the next: 0 where there is no way to go."""
    index = max(0, min(bisect.bisect_right(levels, value) - 1, len(levels) - 1))
    if index == len(levels) - 1:
        return index, 0.0
    share = max(0.0, (value - levels[index]) / (levels[index + 1] - levels[index]))
    return index, share if share > 0.01 else 0.0


def mixed(one: Picture, other: Picture, share: float) -> Picture:
    """`share` of the other picture over one."""
    blend: Picture = np.asarray(cv2.addWeighted(one, 1 - share, other, share, 0), np.uint8)
    return blend


def _weight(value: float) -> float:
    return min(1.0, value) if value > 0.01 else 0.0


def _light(picture: Picture, description: AvatarDescription) -> float:
    """How brightly the face is lit, 0.35 to 1: teeth in a dark picture are not white."""
    mask = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.rint(np.array(description.outline)).astype(np.int32)], 255)
    values = picture.max(axis=2)[mask > 0]
    bright = float(np.percentile(values, 90)) if values.size else 255.0
    return min(1.0, max(0.35, bright / 235.0))
