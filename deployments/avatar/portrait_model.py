"""A picture that can move: everything about it that faces share, and one face's next frame."""

import cv2
import numpy as np
import numpy.typing as npt

from deployments.avatar.contract import Mood
from deployments.avatar.description import AvatarDescription
from deployments.avatar.eye_atlas import EyeAtlas
from deployments.avatar.head_warp import HeadWarp
from deployments.avatar.motion import Motion
from deployments.avatar.mouth import MouthPose
from deployments.avatar.mouth_atlas import MouthAtlas

Picture = npt.NDArray[np.uint8]
"""Blue, green, red. Shape: (height, width, 3)."""


def even(length_px: int) -> int:
    """The side that is shown: H.264 takes even ones."""
    return length_px + length_px % 2


class PortraitModel:
    """One picture's mouth, eyes and head. Not changed by the faces that show it."""

    def __init__(self, picture: Picture, description: AvatarDescription) -> None:
        """Works all shapes out; odd sizes grow by a row or column that repeats the edge."""
        height, width = picture.shape[:2]
        self.picture = np.asarray(
            cv2.copyMakeBorder(picture, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE), np.uint8
        )
        self.description = description
        self.mouth = MouthAtlas(picture, description)
        self.eyes = (EyeAtlas(picture, description.left_eye), EyeAtlas(picture, description.right_eye))
        self.head = HeadWarp(description, self.width_px, self.height_px)

    @property
    def width_px(self) -> int:
        return int(self.picture.shape[1])

    @property
    def height_px(self) -> int:
        return int(self.picture.shape[0])


class Performer:
    """One face: its movements, and the picture it draws them into. Not to be used by two threads at once."""

    def __init__(self, model: PortraitModel, seed: str) -> None:
        self._model = model
        self._motion = Motion(seed)
        self._canvas = model.picture.copy()

    def frame(self, number: int, mouth: MouthPose, mood: Mood) -> Picture:
        """The picture at a frame's number: a new one."""
        model, canvas = self._model, self._canvas
        pose = self._motion.frame(number, mood, mouth.aperture)
        for eye in model.eyes:
            canvas[eye.region.slices] = eye.at(pose.closure, pose.gaze_x, pose.gaze_y)
        canvas[model.mouth.region.slices] = model.mouth.at(mouth)
        return model.head.moved(canvas, pose)
