"""Reads video back, as a client does."""

from collections.abc import Iterable

import av
import numpy as np
import numpy.typing as npt

from deployments.media.video import VideoFrame


def decoded(frames: Iterable[VideoFrame]) -> list[npt.NDArray[np.uint8]]:
    """The pictures of an H.264 stream that begins with a keyframe. Shape of each: (height, width, 3), RGB."""
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    pictures = [picture for frame in frames for picture in decoder.decode(av.Packet(frame.data))]
    pictures += decoder.decode(None)
    return [picture.to_ndarray(format="rgb24").astype(np.uint8, copy=False) for picture in pictures]
