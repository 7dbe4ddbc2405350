"""Eyes, brows, nose and mouth."""

from deployments.avatar.drawing import palette
from deployments.avatar.drawing.anatomy import (
    CORNERS_Y,
    EYE_X,
    EYE_Y,
    IRIS_RADIUS,
    LIPS_MEET,
    LOWER_LIP_BOTTOM,
    MIDDLE,
    MOUTH_HALF_WIDTH,
    UPPER_LIP_TOP,
    eye_outline,
)
from deployments.avatar.drawing.canvas import Canvas, Mask, smooth


def paint_eyes(canvas: Canvas, face: Mask) -> None:
    for side in (-1, 1):
        _paint_socket(canvas, face, side)
        _paint_eye(canvas, side)
        _paint_lids(canvas, face, side)


def _paint_socket(canvas: Canvas, face: Mask, side: int) -> None:
    x = MIDDLE + side * EYE_X
    hollow = canvas.blurred(canvas.ellipse(x - side * 4, EYE_Y - 10, 28, 14, side * 5), 7)
    canvas.paint(face * hollow, palette.SKIN_SHADE, 0.42)
    inner = canvas.blurred(canvas.ellipse(x - side * 25, EYE_Y - 6, 6, 13), 6)
    canvas.paint(face * inner, palette.SKIN_DEEP, 0.26)
    below = canvas.stroke([(x - side * 18, EYE_Y + 12), (x, EYE_Y + 17), (x + side * 19, EYE_Y + 12)], [1, 5, 1])
    canvas.paint(face * canvas.blurred(below, 3), palette.SKIN_SHADE, 0.4)
    lid = canvas.blurred(canvas.ellipse(x + side * 2, EYE_Y - 16.5, 15, 4, side * 4), 3)
    canvas.paint(face * lid, palette.SKIN_LIGHT, 0.5)


def _paint_eye(canvas: Canvas, side: int) -> None:
    x = MIDDLE + side * EYE_X
    upper, lower = eye_outline(side)
    # As two curves: one closed curve would round the corners off.
    outline = [*map(tuple, smooth(upper, closed=False)), *map(tuple, smooth(lower, closed=False)[::-1])]
    white = canvas.area(outline, curved=False)
    canvas.paint(white, palette.EYE_WHITE)
    canvas.paint(white * canvas.slope((x, EYE_Y + 1), (x, EYE_Y - 14)), palette.EYE_SHADE, 0.9)
    for corner in (-22, 22):
        canvas.paint(white * canvas.blurred(canvas.ellipse(x + corner, EYE_Y, 6, 9), 4), palette.EYE_SHADE, 0.55)
    tear = canvas.blurred(canvas.ellipse(x - side * 20, EYE_Y + 2, 3, 2.6), 1)
    canvas.paint(white * tear, palette.BLUSH, 0.7)
    y = EYE_Y - 1.5
    iris = white * canvas.ellipse(x, y, IRIS_RADIUS, IRIS_RADIUS)
    canvas.paint(iris, palette.IRIS_DARK)
    canvas.paint(white * canvas.blurred(canvas.ellipse(x, y, 9.3, 9.3), 0.9), palette.IRIS)
    glow = canvas.blurred(canvas.ellipse(x, y + 5, 6.5, 3.6), 1.4)
    canvas.paint(iris * glow, palette.IRIS_LIGHT, 0.85)
    canvas.paint(white * canvas.blurred(canvas.ellipse(x, y, 4.9, 4.9), 0.4), palette.PUPIL)
    shade = canvas.slope((x, EYE_Y - 2), (x, EYE_Y - 12))
    canvas.paint(iris * shade, palette.PUPIL, 0.7)
    canvas.paint(white * canvas.blurred(canvas.ellipse(x - 3.4, y - 3.8, 2.5, 2.7), 0.3), palette.SPARK, 0.97)
    canvas.paint(white * canvas.blurred(canvas.ellipse(x + 3.6, y + 4.2, 1.3, 1.2), 0.4), palette.SPARK, 0.6)


def _paint_lids(canvas: Canvas, face: Mask, side: int) -> None:
    x = MIDDLE + side * EYE_X
    upper, lower = eye_outline(side)
    tip = (x + side * 26.5, EYE_Y - 5.5)
    canvas.paint(canvas.stroke([*upper[:-1], upper[-1], tip], [1.6, 3.2, 3.8, 3.0, 0.3]), palette.LASH, 0.96)
    canvas.paint(canvas.stroke(lower, [0.6, 1.2, 1.8, 1.4]), palette.SKIN_DEEP, 0.75)
    crease = [(px, py - 5.2) for px, py in upper]
    crease[0], crease[-1] = (upper[0][0] + side * 3, upper[0][1] - 7), (upper[-1][0] + side * 2, upper[-1][1] - 6)
    canvas.paint(face * canvas.stroke(crease, [0.6, 1.8, 2.2, 0.6]), palette.SKIN_DEEP, 0.7)


def paint_brows(canvas: Canvas) -> None:
    for side in (-1, 1):
        x = MIDDLE + side * EYE_X
        line = [
            (x - side * 22, EYE_Y - 28.5),
            (x - side * 8, EYE_Y - 34),
            (x + side * 10, EYE_Y - 37.5),
            (x + side * 28, EYE_Y - 28.5),
        ]
        brow = canvas.stroke(line, [3.4, 8.0, 6.4, 0.6])
        canvas.paint(canvas.blurred(brow, 2.0), palette.BROW, 0.55)
        canvas.paint(canvas.blurred(brow, 0.9), palette.BROW, 0.6)
        hairs = []
        for step in range(16):
            along = step / 15
            px = x + side * (-20 + 46 * along)
            py = EYE_Y - 29.5 - 8 * (1 - (2 * along - 1.1) ** 2) + 2 * along
            hairs.append([(px, py + 4), (px + side * (2 + 5 * along), py - 2.5 + 4 * along)])
        canvas.paint(brow * canvas.strokes(hairs, [1.1, 0.3], curved=False), palette.HAIR_DARK, 0.5)


def paint_nose(canvas: Canvas, face: Mask) -> None:
    ridge = canvas.stroke([(MIDDLE - 2, 222), (MIDDLE - 3, 260), (MIDDLE - 2, 288)], [6, 7, 10])
    canvas.paint(face * canvas.blurred(ridge, 4), palette.SKIN_LIGHT, 0.75)
    flank = canvas.stroke([(MIDDLE + 13, 214), (MIDDLE + 10, 255), (MIDDLE + 17, 286)], [3, 5, 9])
    canvas.paint(face * canvas.blurred(flank, 4), palette.SKIN_SHADE, 0.7)
    far = canvas.stroke([(MIDDLE - 14, 216), (MIDDLE - 12, 255), (MIDDLE - 18, 284)], [2, 3, 6])
    canvas.paint(face * canvas.blurred(far, 4), palette.SKIN_SHADE, 0.35)
    below = canvas.blurred(canvas.ellipse(MIDDLE + 2, 303, 15, 4), 3.5)
    canvas.paint(face * below, palette.SKIN_DEEP, 0.42)
    for side in (-1, 1):
        wing = canvas.stroke(
            [(MIDDLE + side * 14, 283), (MIDDLE + side * 18.5, 291), (MIDDLE + side * 14, 298)], [0.6, 2.2, 1.2]
        )
        canvas.paint(canvas.blurred(wing, 0.9), palette.SKIN_DEEP, 0.6)
        hole = canvas.blurred(canvas.ellipse(MIDDLE + side * 8, 298.5, 4.2, 2.0, side * -14), 0.8)
        canvas.paint(hole, palette.SKIN_DEEP, 0.9)
    tip = canvas.blurred(canvas.ellipse(MIDDLE - 3, 285, 6, 5), 2.5)
    canvas.paint(face * tip, palette.SKIN_LIGHT, 0.9)


def paint_mouth(canvas: Canvas, face: Mask) -> None:
    """Closed, with a hint of a smile."""
    left, right = (MIDDLE - MOUTH_HALF_WIDTH, CORNERS_Y), (MIDDLE + MOUTH_HALF_WIDTH, CORNERS_Y)
    groove = canvas.stroke([(MIDDLE, 303), (MIDDLE, 312)], [5, 7], curved=False)
    canvas.paint(face * canvas.blurred(groove, 2.5), palette.SKIN_SHADE, 0.45)
    top = [left, (MIDDLE - 20, 319), (MIDDLE - 6.5, UPPER_LIP_TOP - 0.6), (MIDDLE, UPPER_LIP_TOP + 1.2)]
    top += [(MIDDLE + 6.5, UPPER_LIP_TOP - 0.6), (MIDDLE + 20, 319), right]
    meet = [left, (MIDDLE - 18, LIPS_MEET - 0.2), (MIDDLE, LIPS_MEET + 0.4), (MIDDLE + 18, LIPS_MEET - 0.2), right]
    bottom = [left, (MIDDLE - 20, 335.5), (MIDDLE, LOWER_LIP_BOTTOM), (MIDDLE + 20, 335.5), right]
    curves = [[*map(tuple, smooth(line, closed=False))] for line in (top, meet, bottom)]
    upper = canvas.area([*curves[0], *curves[1][::-1]], curved=False)
    lower = canvas.area([*curves[1], *curves[2][::-1]], curved=False)
    canvas.paint(canvas.blurred(upper + lower, 1.0), palette.LIP)
    canvas.paint(upper * canvas.slope((MIDDLE, 313), (MIDDLE, 330)), palette.LIP_DARK, 0.5)
    canvas.paint(lower * canvas.slope((MIDDLE, 334), (MIDDLE, 342)), palette.LIP_DARK, 0.32)
    shine = canvas.blurred(canvas.ellipse(MIDDLE - 5, 332, 14, 2.6), 2.2)
    canvas.paint(lower * shine, palette.LIP_LIGHT, 0.85)
    bow = canvas.blurred(canvas.stroke(top[1:-1], [0.5, 2, 2, 0.5]), 1.2)
    canvas.paint(face * bow, palette.LIP_LIGHT, 0.3)
    canvas.paint(canvas.stroke(meet, [0.8, 1.6, 1.9, 1.6, 0.8]), palette.LIP_DARK, 0.92)
    for side in (-1, 1):
        corner = canvas.blurred(
            canvas.ellipse(MIDDLE + side * (MOUTH_HALF_WIDTH + 1.5), CORNERS_Y - 0.5, 3.2, 2.6), 1.6
        )
        canvas.paint(face * corner, palette.SKIN_DEEP, 0.5)
        fold = canvas.stroke(
            [(MIDDLE + side * 28, 298), (MIDDLE + side * 42, 312), (MIDDLE + side * 47, 326)], [1, 3, 1]
        )
        canvas.paint(face * canvas.blurred(fold, 2.6), palette.SKIN_SHADE, 0.5)
    canvas.paint(face * canvas.blurred(canvas.ellipse(MIDDLE + 1, 347, 19, 4), 3.5), palette.SKIN_SHADE, 0.7)
