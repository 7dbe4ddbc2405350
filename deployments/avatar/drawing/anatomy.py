"""Where everything is in the drawn portrait, in units: 384 × 579, the head upright in the middle."""

from deployments.avatar.drawing.canvas import Points

WIDTH, HEIGHT = 384.0, 579.0
MIDDLE = 192.0

EYE_Y = 238.0
EYE_X = 45.0
"""From the middle to the middle of an eye."""
EYE_HALF_WIDTH = 23.0
IRIS_RADIUS = 11.5
MOUTH_Y = 325.0
MOUTH_HALF_WIDTH = 36.0
CORNERS_Y = 322.0
UPPER_LIP_TOP = 314.5
LIPS_MEET = 326.0
LOWER_LIP_BOTTOM = 340.0
CHIN_Y = 382.0
JAW_X = 76.0
"""From the middle to the outline of the jaw, level with the mouth."""

_FACE_RIGHT: Points = (
    (0, 120), (48, 128), (82, 160), (97, 205), (97, 250), (90, 292), (74, 330), (49, 361), (20, 379), (0, CHIN_Y),
)  # fmt: skip
"""The right half of the face's outline from the forehead to the chin, x from the middle."""


def mirrored(half: Points) -> Points:
    """A closed outline from its right half, which begins and ends in the middle."""
    right = [(MIDDLE + x, y) for x, y in half]
    left = [(MIDDLE - x, y) for x, y in half[1:-1]]
    return [*right, *reversed(left)]


FACE = mirrored(_FACE_RIGHT)


def eye_outline(side: int, opened: float = 1.0) -> tuple[Points, Points]:
    """The upper and the lower lid's edge, from the inner to the outer corner. `side`: −1 left, 1 right."""
    x = MIDDLE + side * EYE_X
    inner, outer = (x - side * EYE_HALF_WIDTH, EYE_Y + 2.5), (x + side * EYE_HALF_WIDTH, EYE_Y - 1.5)
    upper = [inner, (x - side * 9, EYE_Y - 12 * opened), (x + side * 5, EYE_Y - 13 * opened), outer]
    lower = [inner, (x - side * 9, EYE_Y + 8.6), (x + side * 9, EYE_Y + 8.0), outer]
    return upper, lower
