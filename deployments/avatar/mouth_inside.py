"""What is seen between the lips: dark, a band of teeth, a hint of the tongue."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from deployments.avatar.description import Colours

if TYPE_CHECKING:
    from deployments.avatar.mouth_shape import ShapeKey

Field = npt.NDArray[np.float32]

_INNER, _TEETH, _TONGUE = "#4a181e", "#f4eee4", "#b9625f"


@dataclass(frozen=True, slots=True)
class InnerMouth:
    """Its colours: blue, green, red. Shape of each: (3,)."""

    dark: npt.NDArray[np.float32]
    teeth: npt.NDArray[np.float32]
    tongue: npt.NDArray[np.float32]

    @classmethod
    def of(cls, colours: Colours, light: float = 1.0) -> "InnerMouth":
        """As described, or usual ones as bright as the face: `light` is 1 for a well lit one."""
        return cls(
            _bgr(colours.inner_mouth or _INNER) * (1.0 if colours.inner_mouth else light),
            _bgr(colours.teeth or _TEETH) * (1.0 if colours.teeth else 0.92 * light),
            _bgr(_TONGUE) * light,
        )


def _bgr(colour: str) -> npt.NDArray[np.float32]:
    return np.array([int(colour[index : index + 2], 16) for index in (5, 3, 1)], np.float32)


def paint_inside(
    inner: InnerMouth, key: "ShapeKey", u: Field, v: Field, upper: Field, lower: Field, teeth_root: float
) -> npt.NDArray[np.float32]:
    """Blue, green, red at each pixel, for lips whose inner edges are at `upper` and `lower`. Shape: (height, width, 3).

    The upper teeth belong to the skull: they hang at the same height, `teeth_root`, whatever the jaw does. The lower
    teeth and the tongue move with the lower lip.
    """
    rounded = max(0.0, -key.spread)
    depth = np.clip((v - upper) / np.maximum(lower - upper, 1e-3), 0, 1)
    side = np.clip(1 - np.abs(u) ** 2.5, 0, 1)
    picture = inner.dark * (0.45 + 0.45 * depth * side)[..., None]
    tongue_top = lower - (0.05 + 0.30 * key.aperture) * np.clip(1 - (u / 0.72) ** 2, 0, 1)
    tip = teeth_root + 0.09 + 0.25 * u * u
    tongue_top += key.tongue * (np.minimum(tongue_top, tip) - tongue_top) * np.clip(1 - (u / 0.5) ** 4, 0, 1)
    tongue = _edge(v - tongue_top, 0.10 - 0.05 * key.tongue)
    glow = 0.62 + 0.3 * np.clip((v - tongue_top) / 0.3, 0, 1) + 0.25 * key.tongue
    picture += (tongue * (0.75 + 0.25 * key.tongue))[..., None] * (inner.tongue * glow[..., None] - picture)
    gaps = 1 - 0.10 * np.exp(-((np.abs(np.sin(np.pi * u / 0.29)) / 0.16) ** 2))
    shine = np.clip(1.02 - 0.6 * np.abs(u) ** 2.2, 0, 1) * gaps
    lower_teeth = _edge(v - (lower - 0.07 - 0.04 * u * u), 0.035) * np.clip(1 - (u / 0.75) ** 6, 0, 1)
    lower_teeth *= 0.3 * (1 - rounded) * (1 - key.tongue) * min(1.0, 2.0 * key.aperture)
    picture += lower_teeth[..., None] * (inner.teeth * (0.8 * shine)[..., None] - picture)
    # With the lip at the teeth their edge meets it.
    edge = teeth_root + 0.11 - 0.15 * rounded - 0.06 * u * u
    edge += key.bite * (np.maximum(edge, lower + 0.05) - edge)
    upper_teeth = _edge(edge - v, 0.03) * np.clip(1 - (u / 0.92) ** 8, 0, 1)
    under_lip = 0.55 + 0.45 * np.clip((v - upper) / 0.11, 0, 1)
    picture += upper_teeth[..., None] * (inner.teeth * (shine * under_lip)[..., None] - picture)
    return np.asarray(picture, np.float32)


def _edge(distance: Field, softness: float) -> Field:
    """0 outside, 1 inside an edge, `softness` wide."""
    rising: Field = np.clip(distance / softness + 0.5, 0, 1)
    return rising
