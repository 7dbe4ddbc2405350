"""Pictures that say which they are: a number in black and white squares, encoded by x264 in blocks of 200 ms."""

from fractions import Fraction

import av
import numpy as np
from av import VideoFrame as Picture

from deployments.media.audio import VOICE_RATE_HZ, silence
from deployments.media.video import BLOCK_MS, FRAME_RATE_HZ, FRAMES_PER_BLOCK, VideoFrame
from serve_app.session.events import VideoBlock

SIDE_PX = 128
_BITS = 16
_SQUARE_PX = SIDE_PX // 4


def numbered_blocks(count: int, sound: bytes | None = None, first: int = 0) -> list[VideoBlock]:
    """Blocks of numbered frames, of which the first is a keyframe; `sound` is heard with each (silence if None)."""
    codec = av.CodecContext.create("libx264", "w")
    assert isinstance(codec, av.VideoCodecContext)
    codec.width = codec.height = SIDE_PX
    codec.pix_fmt = "yuv420p"
    codec.framerate = Fraction(FRAME_RATE_HZ)
    codec.time_base = Fraction(1, FRAME_RATE_HZ)
    codec.options = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline", "g": "50"}
    blocks = []
    for block in range(count):
        frames = []
        for index in range(FRAMES_PER_BLOCK):
            (packet,) = codec.encode(_picture(first + block * FRAMES_PER_BLOCK + index))
            frames.append(VideoFrame(bytes(packet), packet.is_keyframe))
        pcm = silence(BLOCK_MS, VOICE_RATE_HZ) if sound is None else sound
        spoken_ms = BLOCK_MS if sound else 0.0
        blocks.append(VideoBlock(block * BLOCK_MS, tuple(frames), SIDE_PX, SIDE_PX, pcm, spoken_ms))
    return blocks


def number_of(picture: Picture) -> int:
    """The number in a decoded picture."""
    grey = picture.to_ndarray(format="gray")
    cells = grey.reshape(4, _SQUARE_PX, 4, _SQUARE_PX).mean(axis=(1, 3)).reshape(_BITS) > 128
    return int(sum(1 << bit for bit in range(_BITS) if cells[bit]))


def _picture(number: int) -> Picture:
    cells = np.array([(number >> bit) & 1 for bit in range(_BITS)], dtype=np.uint8).reshape(4, 4) * 255
    grey = cells.repeat(_SQUARE_PX, axis=0).repeat(_SQUARE_PX, axis=1)
    picture = Picture.from_ndarray(np.stack([grey] * 3, axis=-1), format="rgb24").reformat(format="yuv420p")
    picture.pts = number
    picture.time_base = Fraction(1, FRAME_RATE_HZ)
    return picture
