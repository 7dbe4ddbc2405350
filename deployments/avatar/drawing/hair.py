"""Hair: what is behind the head, and what falls over the forehead."""

import numpy as np

from deployments.avatar.drawing import palette
from deployments.avatar.drawing.anatomy import MIDDLE, mirrored
from deployments.avatar.drawing.canvas import Canvas, Mask, Points

_BACK: Points = (
    (0, 52), (52, 60), (98, 98), (120, 165), (124, 250), (130, 320), (124, 378), (98, 404), (60, 398), (0, 396),
)  # fmt: skip


def paint_back_hair(canvas: Canvas) -> None:
    """Down to the neck."""
    back = canvas.area(mirrored(_BACK))
    canvas.paint(canvas.blurred(back, 10), palette.BACKGROUND_BOTTOM, 0.5)
    canvas.paint(back, palette.HAIR)
    inside = canvas.blurred(canvas.ellipse(MIDDLE, 350, 96, 90), 18)
    canvas.paint(back * inside, palette.HAIR_DARK, 0.9)


_LEFT_LOCK: Points = (
    (216, 70), (170, 62), (122, 80), (84, 130), (66, 196), (62, 262), (58, 322), (64, 376), (88, 398), (106, 384),
    (96, 356), (96, 312), (92, 262), (98, 214), (118, 184), (152, 160), (190, 132), (216, 104),
)  # fmt: skip
_RIGHT_LOCK: Points = (
    (206, 70), (240, 66), (280, 90), (310, 146), (322, 216), (322, 280), (328, 340), (316, 384), (292, 396),
    (280, 378), (290, 340), (290, 292), (293, 246), (288, 206), (272, 172), (244, 142), (214, 110),
)  # fmt: skip


def paint_front_hair(canvas: Canvas, face: Mask) -> None:
    """Parted on one side, with strands in its colour's lights and shades."""
    crown = canvas.area(mirrored([(0, 50), (50, 57), (94, 92), (113, 145), (98, 158), (60, 124), (0, 118)]))
    left, right = canvas.area(_LEFT_LOCK), canvas.area(_RIGHT_LOCK)
    hair = np.maximum(np.maximum(left, right), crown)
    canvas.paint(face * np.roll(canvas.blurred(hair, 6), int(4 * canvas.frame.scale), axis=0), palette.SKIN_DEEP, 0.55)
    canvas.paint(hair, palette.HAIR)
    canvas.paint(hair * canvas.slope((MIDDLE + 40, 160), (MIDDLE + 140, 330)), palette.HAIR_DARK, 0.75)
    canvas.paint(hair * canvas.slope((MIDDLE, 300), (MIDDLE, 410)), palette.HAIR_DARK, 0.5)
    _paint_strands(canvas, left, _LEFT_LOCK, 11)
    _paint_strands(canvas, right, _RIGHT_LOCK, 9)
    shine = canvas.stroke([(94, 168), (124, 122), (172, 94)], [8, 22, 8])
    canvas.paint(left * canvas.blurred(shine, 9), palette.HAIR_LIGHT, 0.75)
    shine = canvas.stroke([(242, 94), (278, 120), (300, 168)], [4, 14, 5])
    canvas.paint(right * canvas.blurred(shine, 8), palette.HAIR_LIGHT, 0.5)
    parting = canvas.stroke([(214, 56), (211, 80), (215, 110)], [1, 2.6, 1])
    canvas.paint(canvas.blurred(parting, 1.2), palette.HAIR_DARK, 0.8)


def _paint_strands(canvas: Canvas, lock: Mask, outline: Points, half: int) -> None:
    """Lines between the lock's outer and inner edge: the first `half` points, and the others backwards."""
    across = np.linspace(0, 1, 60)
    outer, inner = np.array(outline[:half]), np.array(outline[half:][::-1])
    places = np.linspace(0, 1, 9)
    outer_at = np.stack([np.interp(places, np.linspace(0, 1, len(outer)), outer[:, axis]) for axis in (0, 1)], axis=1)
    inner_at = np.stack([np.interp(places, np.linspace(0, 1, len(inner)), inner[:, axis]) for axis in (0, 1)], axis=1)
    lines: dict[bool, list[Points]] = {True: [], False: []}
    for index, share in enumerate(across):
        wave = 0.025 * np.sin(5 * places + index)[:, None]
        line = outer_at + (share + wave) * (inner_at - outer_at)
        lines[(index * 7) % 5 in (0, 2)].append([(float(x), float(y)) for x, y in line])
    widths = [0.4, 1.8, 1.3, 0.3]
    canvas.paint(lock * canvas.strokes(lines[False], widths), palette.HAIR_DARK, 0.4)
    canvas.paint(lock * canvas.strokes(lines[True], widths), palette.HAIR_LIGHT, 0.3)
