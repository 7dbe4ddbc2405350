"""Background, body, neck, ears and the shaded head."""

from deployments.avatar.drawing import palette
from deployments.avatar.drawing.anatomy import FACE, MIDDLE, mirrored
from deployments.avatar.drawing.canvas import Canvas, Mask

_FAR = 1200.0
"""Units to the sides and up: beyond every picture."""


def paint_background(canvas: Canvas) -> None:
    """A plain wall with a soft light behind the head."""
    everything = canvas.area([(-_FAR, -_FAR), (_FAR, -_FAR), (_FAR, _FAR), (-_FAR, _FAR)], curved=False)
    canvas.paint(everything, palette.BACKGROUND_TOP)
    canvas.paint(canvas.slope((0, 40), (60, 600)), palette.BACKGROUND_BOTTOM)
    canvas.paint(canvas.blurred(canvas.ellipse(MIDDLE - 20, 200, 165, 190), 60), palette.BACKGROUND_GLOW, 0.7)


def paint_body(canvas: Canvas) -> None:
    """A pullover with an open collar."""
    body = canvas.area(
        mirrored([(0, 438), (60, 440), (104, 464), (168, 496), (230, 540), (262, 700), (0, 900)]), curved=True
    )
    canvas.paint(body, palette.CLOTH)
    canvas.paint(body * canvas.slope((MIDDLE - 30, 470), (MIDDLE + 190, 600)), palette.CLOTH_DARK, 0.75)
    sheen = canvas.blurred(canvas.stroke([(20, 540), (70, 492), (130, 470)], [6, 22, 6]), 12)
    canvas.paint(body * sheen, palette.CLOTH_LIGHT, 0.7)
    for side in (-1, 1):
        fold = canvas.stroke(
            [(MIDDLE + side * 118, 500), (MIDDLE + side * 104, 545), (MIDDLE + side * 108, 600)], [1, 7]
        )
        canvas.paint(body * canvas.blurred(fold, 5), palette.CLOTH_DARK, 0.7)


def paint_neck(canvas: Canvas) -> None:
    """The neck, the shadow that the head throws on it, and the collar."""
    neck = canvas.area(mirrored([(0, 330), (45, 338), (46, 390), (51, 425), (74, 448), (62, 470), (36, 505), (0, 524)]))
    canvas.paint(neck, palette.SKIN)
    canvas.paint(neck * canvas.slope((MIDDLE + 5, 420), (MIDDLE + 75, 430)), palette.SKIN_SHADE, 0.75)
    canvas.paint(neck * canvas.slope((MIDDLE - 30, 420), (MIDDLE - 80, 425)), palette.SKIN_SHADE, 0.4)
    shadow = canvas.blurred(canvas.ellipse(MIDDLE + 6, 362, 70, 52), 9)
    canvas.paint(neck * shadow, palette.SKIN_DEEP, 0.62)
    for side in (-1, 1):
        cord = canvas.stroke(
            [(MIDDLE + side * 44, 400), (MIDDLE + side * 28, 445), (MIDDLE + side * 9, 474)], [2, 5, 3]
        )
        canvas.paint(neck * canvas.blurred(cord, 3), palette.SKIN_SHADE, 0.45)
    bones = canvas.stroke([(MIDDLE - 40, 480), (MIDDLE, 492), (MIDDLE + 40, 480)], [2, 6, 2])
    canvas.paint(neck * canvas.blurred(bones, 4), palette.SKIN_LIGHT, 0.35)
    _paint_collar(canvas)


def _paint_collar(canvas: Canvas) -> None:
    for side in (-1, 1):
        flap = canvas.area(
            [
                (MIDDLE + side * 55, 422),
                (MIDDLE + side * 84, 446),
                (MIDDLE + side * 76, 488),
                (MIDDLE + side * 44, 536),
                (MIDDLE + side * 2, 528),
                (MIDDLE + side * 34, 494),
                (MIDDLE + side * 56, 456),
            ]
        )
        below = canvas.blurred(flap, 7)
        canvas.paint(below, palette.CLOTH_DARK, 0.4)
        canvas.paint(flap, palette.COLLAR)
        canvas.paint(flap * canvas.slope((MIDDLE, 470), (MIDDLE + 100, 480)), palette.COLLAR_SHADE, 0.7)
        edge = canvas.stroke(
            [(MIDDLE + side * 62, 430), (MIDDLE + side * 55, 462), (MIDDLE + side * 6, 524)], [3, 5, 3]
        )
        canvas.paint(flap * canvas.blurred(edge, 3), palette.COLLAR_SHADE, 0.8)


def paint_ears(canvas: Canvas) -> None:
    """Mostly under the hair."""
    for side in (-1, 1):
        ear = canvas.ellipse(MIDDLE + side * 98, 254, 13, 29, side * -8)
        canvas.paint(ear, palette.SKIN)
        canvas.paint(ear * canvas.blurred(canvas.ellipse(MIDDLE + side * 96, 256, 7, 19), 3), palette.SKIN_SHADE, 0.8)


def paint_head(canvas: Canvas) -> Mask:
    """The face without features: light from the upper left. Gives its area."""
    face = canvas.area(FACE)
    canvas.paint(face, palette.SKIN)
    canvas.paint(face * (1 - canvas.blurred(face, 15)), palette.SKIN_SHADE, 0.85)
    canvas.paint(face * canvas.slope((MIDDLE + 20, 250), (MIDDLE + 104, 268)), palette.SKIN_SHADE, 0.6)
    canvas.paint(face * canvas.slope((MIDDLE, 345), (MIDDLE + 8, 392)), palette.SKIN_SHADE, 0.5)
    for x, y, rx, ry, strength in (
        (MIDDLE - 16, 168, 52, 24, 0.75),
        (MIDDLE - 52, 284, 24, 17, 0.8),
        (MIDDLE + 48, 284, 20, 14, 0.5),
        (MIDDLE - 3, 361, 15, 8, 0.6),
    ):
        canvas.paint(face * canvas.blurred(canvas.ellipse(x, y, rx, ry), 14), palette.SKIN_LIGHT, strength)
    for side in (-1, 1):
        blush = canvas.blurred(canvas.ellipse(MIDDLE + side * 58, 290, 21, 14, side * -14), 11)
        canvas.paint(face * blush, palette.BLUSH, 0.36)
        temple = canvas.blurred(canvas.ellipse(MIDDLE + side * 92, 214, 14, 40), 10)
        canvas.paint(face * temple, palette.SKIN_SHADE, 0.4)
    return face
