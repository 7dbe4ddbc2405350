"""A block's pictures to its access units, with the encoder that every engine uses."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from deployments.avatar.encoder import H264Encoder
from deployments.media.video import VideoFrame


def encoded(
    encoder: H264Encoder, pictures: Sequence[npt.NDArray[np.uint8]], keyframe: bool, bitrate_kbps: int
) -> tuple[VideoFrame, ...]:
    """RGB in. `keyframe` asks for one first. Raises EngineFailed."""
    turned = [np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), np.uint8) for picture in pictures]
    return tuple(encoder.encode(picture, keyframe and place == 0, bitrate_kbps) for place, picture in enumerate(turned))
