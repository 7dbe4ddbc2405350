"""What tests of the portrait share: the drawn one, its model, and a scripted mouth."""

import functools
import math

import cv2
import numpy as np

from deployments.avatar.contract import BLOCK_SAMPLES, FaceBlock, Mood
from deployments.avatar.description import AvatarDescription
from deployments.avatar.drawing.portrait import drawn_portrait
from deployments.avatar.mouth import MouthPose
from deployments.avatar.picture import Picture
from deployments.avatar.portrait_model import PortraitModel
from deployments.media.timing import PhonemeTime
from deployments.media.video import FRAMES_PER_BLOCK

SILENT_BLOCK = bytes(2 * BLOCK_SAMPLES)


@functools.cache
def drawn() -> tuple[Picture, AvatarDescription]:
    """Drawn once: it takes a second."""
    return drawn_portrait()


@functools.cache
def small_drawn() -> tuple[Picture, AvatarDescription]:
    """Where the size does not matter: a quarter of the work."""
    return drawn_portrait(192, 290)


@functools.cache
def drawn_model() -> PortraitModel:
    return PortraitModel(*drawn())


def talking(number: int) -> MouthPose:
    """A mouth that goes through all it can do."""
    return MouthPose(
        jaw=max(0.0, 0.42 + 0.4 * math.sin(0.7 * number)),
        width=0.6 * math.sin(0.31 * number),
        rounding=max(0.0, math.sin(0.23 * number)),
        press=max(0.0, math.sin(0.41 * number)) ** 4,
        bite=max(0.0, math.sin(0.27 * number + 1)) ** 8,
        tongue=max(0.0, math.sin(0.19 * number + 2)) ** 8,
    )


class ScriptedMouth:
    """Says what the script says, whatever the sound is."""

    def __init__(self) -> None:
        self._number = 0

    def block(self, pcm: bytes, ahead: bytes, phonemes: tuple[PhonemeTime, ...] | None) -> tuple[MouthPose, ...]:
        poses = tuple(talking(self._number + index) for index in range(FRAMES_PER_BLOCK))
        self._number += FRAMES_PER_BLOCK
        return poses


def block(n: int, mood: Mood = "speaking", keyframe: bool = False, bitrate_kbps: int = 800) -> FaceBlock:
    return FaceBlock(n, SILENT_BLOCK, mood=mood, keyframe=keyframe, bitrate_kbps=bitrate_kbps)


def png(picture: Picture) -> bytes:
    done, data = cv2.imencode(".png", picture)
    assert done
    return bytes(data)


def jpeg(picture: Picture) -> bytes:
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 92])
    assert done
    return bytes(data)


def noise_picture(width: int = 320, height: int = 400) -> Picture:
    """Soft clouds: no face in it."""
    noise = np.random.default_rng(3).integers(0, 255, (height // 20, width // 20, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
