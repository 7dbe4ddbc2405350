"""Finding a face's anchors in a picture, with the cascades that OpenCV brings.

The cascades give boxes: of the face, of the eyes, sometimes of the mouth. Corners, lids and lips are put at the usual
proportions inside them, and the line between the lips where the picture is darkest. Whoever wants it exact sends a
description.

Proportions: head and face lengths of adults (means, mm: distance of the pupils 63, width of an eye 30, of the mouth
50, of the face 137, of the jaw 110, from the pupils to the lips 70, from the lips to the chin 42).
"""

import functools
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from deployments.avatar.description import AvatarDescription, Eye, Mouth, Point
from deployments.avatar.picture import Picture
from deployments.avatar.warping import warped
from deployments.runtime.errors import ConfigError, InvalidRequest

Grey = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float]
"""x, y, width, height, px."""
_Place = Callable[[float, float], Point]
"""Distances of the pupils to the right and down to pixels."""

MIN_FACE_SHARE = 0.16
"""Of the picture's shorter side: a smaller face has too few pixels."""
MAX_CHIN_CUT = 0.25
"""Of the distance of the pupils: so much of the chin may lie below the picture's edge."""
_SEARCH_SIDE_PX = 640
"""Faces are looked for in a copy of this size: larger ones are not found any better."""


@dataclass(frozen=True, slots=True)
class _Axes:
    """The face's own directions and unit: the distance of the pupils."""

    origin: tuple[float, float]
    """Midway between the pupils."""
    unit_px: float
    tilt_rad: float

    def at(self, right: float, down: float) -> tuple[float, float]:
        cos, sin = math.cos(self.tilt_rad), math.sin(self.tilt_rad)
        x, y = right * self.unit_px, down * self.unit_px
        return self.origin[0] + x * cos - y * sin, self.origin[1] + x * sin + y * cos


def found_anchors(picture: Picture) -> AvatarDescription:
    """The description of the largest face. Raises InvalidRequest where there is none."""
    height, width = picture.shape[:2]
    grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
    face = _largest_face(grey)
    if face is None:
        raise InvalidRequest(
            "no face was found in the picture: send one that shows a single face from the front, upright, well lit and "
            "large, or send a description with it",
            code="no_face_found",
            param="picture",
        )
    axes = _axes(grey, face)
    lips = _lips(grey, face, axes)

    if axes.at(0, lips + 0.66)[1] > height + MAX_CHIN_CUT * axes.unit_px:
        raise _unusable()

    def at(right: float, down: float) -> Point:
        x, y = axes.at(right, down)
        return round(min(max(x, 0.0), width - 1.0), 2), round(min(max(y, 0.0), height - 1.0), 2)

    try:
        return AvatarDescription(
            width_px=width,
            height_px=height,
            mouth=Mouth(
                left=at(-0.40, lips - 0.01),
                right=at(0.40, lips - 0.01),
                upper_outer=at(0, lips - 0.10),
                upper_inner=at(0, lips),
                lower_inner=at(0, lips),
                lower_outer=at(0, lips + 0.13),
            ),
            chin=at(0, lips + 0.66),
            jaw_left=at(-0.87, lips),
            jaw_right=at(0.87, lips),
            left_eye=_eye(at, -0.5, axes.unit_px),
            right_eye=_eye(at, 0.5, axes.unit_px),
            outline=_outline(at, lips),
        )
    except ValueError as error:
        raise _unusable() from error


def _unusable() -> InvalidRequest:
    return InvalidRequest(
        "a face was found, but it is too small, too tilted or cut off by the picture's edge: send another picture, "
        "or a description with it",
        code="face_unusable",
        param="picture",
    )


def _eye(at: _Place, right: float, unit_px: float) -> Eye:
    return Eye(
        left=at(right - 0.23, 0.03),
        right=at(right + 0.23, 0.03),
        upper_lid=at(right, -0.085),
        lower_lid=at(right, 0.11),
        iris=at(right, 0.02),
        iris_radius_px=round(0.1 * unit_px, 2),
    )


def _outline(at: _Place, lips: float) -> tuple[Point, ...]:
    """An ellipse from the hairline to the chin."""
    top, bottom = -1.0, lips + 0.66
    middle, half = (top + bottom) / 2, (bottom - top) / 2
    angles = [2 * math.pi * step / 32 for step in range(32)]
    return tuple(at(1.08 * math.sin(angle), middle - half * math.cos(angle)) for angle in angles)


def _largest_face(grey: Grey) -> Box | None:
    """By the stricter cascade first, then with evened-out light, then by the other one.

    The cascades see faces in folds and patterns too: the fewer eyes are found in a box, the surer they must be.
    """
    scale = min(1.0, _SEARCH_SIDE_PX / max(grey.shape))
    small = np.asarray(cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    smallest = round(MIN_FACE_SHARE * min(small.shape))
    even = np.asarray(cv2.equalizeHist(small), np.uint8)
    looks = (("frontalface_alt2", small), ("frontalface_alt2", even), ("frontalface_default", even))
    for neighbours, eyes in ((5, 2), (10, 1), (15, 0)):
        for name, seen in looks:
            boxes = _boxes(name, seen, 1.08, neighbours, smallest)
            for box in sorted(boxes, key=lambda box: -box[2]):
                x, y, wide, high = (value / scale for value in box)
                usual = _usual_eyes(x, y, wide)
                if sum(_found_eye(grey, (x, y, wide, high), place) is not None for place in usual) >= eyes:
                    return x, y, wide, high
    return None


def _usual_eyes(x: float, y: float, size: float) -> list[tuple[float, float]]:
    """Where eyes are in a face's box."""
    return [(x + share * size, y + 0.385 * size) for share in (0.305, 0.695)]


def _axes(grey: Grey, face: Box) -> _Axes:
    """From the eyes, where both are found and fit together, else from one, else from the face's box."""
    x, y, size, _ = face
    usual = _usual_eyes(x, y, size)
    eyes = [_found_eye(grey, face, place) for place in usual]
    left, right = eyes
    if left is None and right is not None:
        left = (2 * (x + size / 2) - right[0], right[1])
    if right is None and left is not None:
        right = (2 * (x + size / 2) - left[0], left[1])
    if left is None or right is None or not _fit_together(left, right, size):
        left, right = usual
    tilt = math.atan2(right[1] - left[1], right[0] - left[0])
    return _Axes(((left[0] + right[0]) / 2, (left[1] + right[1]) / 2), math.dist(left, right), tilt)


def _fit_together(left: tuple[float, float], right: tuple[float, float], size: float) -> bool:
    return 0.28 * size < right[0] - left[0] < 0.62 * size and abs(right[1] - left[1]) < 0.14 * size


def _found_eye(grey: Grey, face: Box, usual: tuple[float, float]) -> tuple[float, float] | None:
    """The middle of the iris nearest to where an eye usually is."""
    size = face[2]
    left, top = max(0, int(usual[0] - 0.2 * size)), max(0, int(usual[1] - 0.17 * size))
    part = grey[top : int(usual[1] + 0.17 * size), left : int(usual[0] + 0.2 * size)]
    if min(part.shape) < 20:
        return None
    scale = 160 / part.shape[1]  # the cascades know eyes of about 20 px and more
    large = np.asarray(cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR), np.uint8)
    for name in ("eye", "eye_tree_eyeglasses"):
        middles = [
            (left + (x + wide / 2) / scale, top + (y + high / 2) / scale)
            for x, y, wide, high in _boxes(name, large, 1.05, 3, 40)
        ]
        near = [middle for middle in middles if math.dist(middle, usual) < 0.13 * size]
        if near:
            return _darkest(grey, min(near, key=lambda middle: math.dist(middle, usual)), 0.045 * size)
    return None


def _darkest(grey: Grey, place: tuple[float, float], radius: float) -> tuple[float, float]:
    """The middle of what is dark around a place: the iris in the middle of an eye's box."""
    reach = max(3, round(1.6 * radius))
    x, y = round(place[0]), round(place[1])
    left, top = max(0, x - reach), max(0, y - reach)
    part = grey[top : y + reach + 1, left : x + reach + 1].astype(np.float32)
    soft = cv2.GaussianBlur(part, (0, 0), max(0.8, 0.5 * radius))
    weight = np.clip(np.percentile(soft, 25) - soft, 0, None)
    if weight.sum() <= 0:
        return place
    rows, columns = np.indices(soft.shape)
    return left + float((columns * weight).sum() / weight.sum()), top + float((rows * weight).sum() / weight.sum())


def _lips(grey: Grey, face: Box, axes: _Axes) -> float:
    """How far below the pupils the lips meet, in distances of the pupils: at the darkest line near the usual place."""
    usual = _smile(grey, face, axes) or 1.08
    downs = np.linspace(usual - 0.2, usual + 0.2, 81)
    rights = np.linspace(-0.22, 0.22, 23)
    places = np.array([[axes.at(float(right), float(down)) for right in rights] for down in downs], np.float32)
    soft = cv2.GaussianBlur(grey, (0, 0), max(0.6, 0.012 * axes.unit_px))
    shades = warped(np.asarray(soft, np.uint8), places).astype(np.float32)
    line = np.median(shades, axis=1)
    around = cv2.GaussianBlur(line[:, None], (1, 0), 0, sigmaY=12).ravel() if line.size else line
    darkness = (around - line) / max(1.0, float(line.std()))
    return float(downs[int(np.argmax(darkness - 12.0 * (downs - usual) ** 2))])


def _smile(grey: Grey, face: Box, axes: _Axes) -> float | None:
    """Where the cascade for smiles sees the mouth: told only where that is plausible, for it is easily mistaken."""
    x, y, size, _ = face
    top = max(0, int(y + 0.6 * size))
    part = grey[top : int(y + 1.08 * size), max(0, int(x + 0.15 * size)) : int(x + 0.85 * size)]
    if min(part.shape) < 30:
        return None
    scale = 200 / part.shape[1]
    large = np.asarray(cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR), np.uint8)
    boxes = _boxes("smile", large, 1.1, 12, 60)
    downs = [(top + (box_y + 0.5 * high) / scale - axes.origin[1]) / axes.unit_px for _, box_y, _, high in boxes]
    plausible = [down for down in downs if 0.88 < down < 1.28]
    return min(plausible, key=lambda down: abs(down - 1.08)) if plausible else None


_one_at_a_time = threading.Lock()
"""A cascade must not be used by two threads at once."""


@functools.cache
def _cascade(name: str) -> cv2.CascadeClassifier:
    cascade = cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / f"haarcascade_{name}.xml"))
    if cascade.empty():
        raise ConfigError(f"OpenCV came without its cascade {name!r}; install opencv-python-headless 4.x")
    return cascade


def _boxes(name: str, grey: Grey, step: float, neighbours: int, smallest_px: int) -> list[Box]:
    with _one_at_a_time:
        found = _cascade(name).detectMultiScale(
            grey, scaleFactor=step, minNeighbors=neighbours, minSize=(smallest_px, smallest_px)
        )
    return [(float(x), float(y), float(wide), float(high)) for x, y, wide, high in found]
