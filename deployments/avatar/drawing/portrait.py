"""The drawn portrait as a picture, and where its face is in it."""

import cv2
import numpy as np
import numpy.typing as npt

from deployments.avatar.contract import MAX_SIDE_PX
from deployments.avatar.description import AvatarDescription, Colours, Eye, Mouth, Point
from deployments.avatar.drawing import anatomy, palette
from deployments.avatar.drawing.anatomy import MIDDLE
from deployments.avatar.drawing.canvas import Canvas, Frame, smooth
from deployments.avatar.drawing.features import paint_brows, paint_eyes, paint_mouth, paint_nose
from deployments.avatar.drawing.figure import paint_background, paint_body, paint_ears, paint_head, paint_neck
from deployments.avatar.drawing.hair import paint_back_hair, paint_front_hair

DEFAULT_WIDTH_PX, DEFAULT_HEIGHT_PX = 384, 579
MIN_SIDE_PX = 96


def drawn_portrait(
    width_px: int = DEFAULT_WIDTH_PX, height_px: int = DEFAULT_HEIGHT_PX
) -> tuple[npt.NDArray[np.uint8], AvatarDescription]:
    """The picture, blue, green, red, and its description: the same every time. Shape: (height, width, 3).

    Another shape than 384 × 579 shows more of the wall and the shoulders. Raises ValueError for a side under
    `MIN_SIDE_PX` or over `MAX_SIDE_PX`.
    """
    if not MIN_SIDE_PX <= min(width_px, height_px) <= max(width_px, height_px) <= MAX_SIDE_PX:
        raise ValueError(f"a portrait is {MIN_SIDE_PX} to {MAX_SIDE_PX} px wide and high, not {width_px}×{height_px}")
    scale = min(width_px / anatomy.WIDTH, height_px / anatomy.HEIGHT)
    # In the middle, and standing on the lower edge.
    frame = Frame(scale, (width_px - anatomy.WIDTH * scale) / 2, height_px - anatomy.HEIGHT * scale)
    oversampling = 3 if max(width_px, height_px) <= 640 else 2
    canvas = Canvas(
        width_px * oversampling,
        height_px * oversampling,
        Frame(scale * oversampling, frame.left * oversampling, frame.top * oversampling),
    )
    _paint(canvas)
    pixels = cv2.resize(canvas.pixels, (width_px, height_px), interpolation=cv2.INTER_AREA)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8), _description(width_px, height_px, frame)


def _paint(canvas: Canvas) -> None:
    paint_background(canvas)
    paint_back_hair(canvas)
    paint_body(canvas)
    paint_neck(canvas)
    paint_ears(canvas)
    face = paint_head(canvas)
    paint_nose(canvas, face)
    paint_mouth(canvas, face)
    paint_eyes(canvas, face)
    paint_brows(canvas)
    paint_front_hair(canvas, face)


def _description(width_px: int, height_px: int, frame: Frame) -> AvatarDescription:
    def at(x: float, y: float) -> Point:
        place = frame.place(np.array([x, y], dtype=np.float64))
        return round(float(place[0]), 2), round(float(place[1]), 2)

    def eye(side: int) -> Eye:
        upper, lower = anatomy.eye_outline(side)
        x = MIDDLE + side * anatomy.EYE_X
        corners = sorted((upper[0], upper[-1]))
        return Eye(
            left=at(*corners[0]),
            right=at(*corners[1]),
            upper_lid=at(x, min(y for _, y in smooth(upper, closed=False))),
            lower_lid=at(x, max(y for _, y in smooth(lower, closed=False))),
            iris=at(x, anatomy.EYE_Y - 1.5),
            free_above_px=round(0.72 * anatomy.EYE_HALF_WIDTH * frame.scale, 2),
            iris_radius_px=round(anatomy.IRIS_RADIUS * frame.scale, 2),
        )

    return AvatarDescription(
        width_px=width_px,
        height_px=height_px,
        mouth=Mouth(
            left=at(MIDDLE - anatomy.MOUTH_HALF_WIDTH, anatomy.CORNERS_Y),
            right=at(MIDDLE + anatomy.MOUTH_HALF_WIDTH, anatomy.CORNERS_Y),
            upper_outer=at(MIDDLE, anatomy.UPPER_LIP_TOP),
            upper_inner=at(MIDDLE, anatomy.LIPS_MEET + 0.4),
            lower_inner=at(MIDDLE, anatomy.LIPS_MEET + 0.4),
            lower_outer=at(MIDDLE, anatomy.LOWER_LIP_BOTTOM),
        ),
        chin=at(MIDDLE, anatomy.CHIN_Y),
        jaw_left=at(MIDDLE - anatomy.JAW_X, anatomy.MOUTH_Y),
        jaw_right=at(MIDDLE + anatomy.JAW_X, anatomy.MOUTH_Y),
        left_eye=eye(-1),
        right_eye=eye(1),
        outline=tuple(at(x, y) for x, y in anatomy.FACE),
        colours=Colours(
            lip=palette.hexadecimal(palette.LIP),
            inner_mouth=palette.hexadecimal(palette.INNER_MOUTH),
            teeth=palette.hexadecimal(palette.TEETH),
            skin=palette.hexadecimal(palette.SKIN),
        ),
    )
