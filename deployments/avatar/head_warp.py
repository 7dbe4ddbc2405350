"""The whole picture moved with the head: one `remap` from a few smooth fields, weighted by the head's pose.

The head moves, the shoulders breathe, the wall stands still. Turning and nodding shift what is near (the nose) more
than what is far (the ears), which looks like depth.
"""

import cv2
import numpy as np
import numpy.typing as npt

from deployments.avatar.description import AvatarDescription
from deployments.avatar.motion import HeadPose
from deployments.avatar.warping import warped

Field = npt.NDArray[np.float32]

CELL_PX = 8
"""The fields are worked out for every eighth pixel and enlarged: they are smooth, and this costs a fifth."""
_CHANNELS = 8


class HeadWarp:
    """The fields of one picture. Shared by all faces that show it."""

    def __init__(self, description: AvatarDescription, width_px: int, height_px: int) -> None:
        self._size = width_px, height_px
        # One more cell all around, because enlarging repeats the last value at the edges.
        columns, rows = -(-width_px // CELL_PX) + 2, -(-height_px // CELL_PX) + 2
        offset = (CELL_PX - 1) / 2 - CELL_PX
        self._x = np.broadcast_to(np.arange(columns, dtype=np.float32) * CELL_PX + offset, (rows, columns))
        self._y = np.broadcast_to((np.arange(rows, dtype=np.float32) * CELL_PX + offset)[:, None], (rows, columns))
        self._places = np.stack([self._x, self._y], axis=-1)
        self._fields = self._worked_out(description)

    def moved(self, picture: npt.NDArray[np.uint8], pose: HeadPose) -> npt.NDArray[np.uint8]:
        """The picture with the head in this pose: a new one. Shape of both: (height, width, 3)."""
        amounts = np.array(
            [pose.x, pose.y, pose.roll, pose.yaw, pose.pitch, pose.breath, pose.brow, pose.smile], np.float32
        )
        moves = (amounts @ self._fields).reshape(self._places.shape)
        width, height = self._size
        enlarged = cv2.resize(self._places - moves, None, fx=CELL_PX, fy=CELL_PX, interpolation=cv2.INTER_LINEAR)
        source = enlarged[CELL_PX : CELL_PX + height, CELL_PX : CELL_PX + width]
        return warped(picture, source)

    def _worked_out(self, description: AvatarDescription) -> Field:
        """Movement in pixels for an amount of 1 of each part of the pose. Shape: (channels, cells × 2)."""
        x, y, none = self._x, self._y, np.zeros_like(self._x)
        unit = (description.jaw_right[0] - description.jaw_left[0]) / 2
        outline = np.array(description.outline)
        left, top = outline.min(axis=0)
        right, bottom = outline.max(axis=0)
        middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
        half_width, half_height = (right - left) / 2, (bottom - top) / 2
        chin_x, chin_y = description.chin
        # The head with its hair is wider and higher than the face.
        radius = np.hypot(
            (x - middle_x) / (1.3 * half_width), (y - middle_y + 0.12 * half_height) / (1.3 * half_height)
        )
        neck = _rising(y, chin_y + 0.1 * unit, chin_y + 1.3 * unit)
        head = (1 - _rising(radius, 1.0, 1.7)) * (1 - 0.93 * neck)
        depth = (
            unit * np.clip(1 - np.hypot((x - middle_x) / half_width, (y - middle_y) / half_height) ** 2, 0, 1) * head
        )
        turn_x, turn_y = x - chin_x, y - (chin_y + 0.4 * unit)
        body = _rising(y, chin_y - 0.1 * unit, chin_y + 1.6 * unit)
        eyes = [np.array(eye.iris) for eye in (description.left_eye, description.right_eye)]
        apart = float(np.linalg.norm(eyes[1] - eyes[0]))
        brows = sum(_spot(x, y, eye[0], eye[1] - 0.36 * apart, 0.30 * apart, 0.15 * apart) for eye in eyes)
        mouth = description.mouth
        corners = [
            _spot(x, y, *point, 0.42 * mouth.half_width_px, 0.42 * mouth.half_width_px)
            for point in (mouth.left, mouth.right)
        ]
        fields = [
            (unit * head, none),
            (none, unit * head),
            (-turn_y * head, turn_x * head),
            (depth + 0.25 * unit * head, none),
            (none, depth + 0.15 * unit * head),
            (none, -unit * (0.030 * body + 0.012 * head)),
            (none, -0.05 * unit * brows),
            (0.05 * unit * (corners[1] - corners[0]), -0.09 * unit * (corners[0] + corners[1])),
        ]
        return np.stack([np.stack(field, axis=-1).ravel() for field in fields]).astype(np.float32)


def _rising(value: Field, start: float, end: float) -> Field:
    """0 up to `start`, 1 from `end` on, smoothly in between."""
    t = np.clip((value - start) / (end - start), 0, 1)
    rise: Field = t * t * (3 - 2 * t)
    return rise


def _spot(x: Field, y: Field, centre_x: float, centre_y: float, wide: float, high: float) -> Field:
    """1 in the middle, fading to nothing."""
    spot: Field = np.exp(-(((x - centre_x) / wide) ** 2) - ((y - centre_y) / high) ** 2)
    return spot
