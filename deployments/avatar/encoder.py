"""H.264 for talking: each picture comes out as it goes in, any one can be a keyframe, the bitrate moves while it runs.

libx264 in its fastest preset, or NVENC where there is one. Baseline, so that every browser's WebRTC takes it.
"""

import logging
from fractions import Fraction
from typing import Literal

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from deployments.media.video import FRAME_RATE_HZ, VideoFrame
from deployments.runtime.errors import ConfigError, EngineFailed

logger = logging.getLogger(__name__)

Encoder = Literal["auto", "libx264", "h264_nvenc"]

KEYFRAME_EVERY = 2 * FRAME_RATE_HZ
"""Frames: a receiver that lost something sees a whole picture again within 2 s."""
BUFFER_KBIT = 320
"""What one picture may take at most: 40 kB, ten times the usual size at 800 kbit/s."""
MIN_BITRATE_KBPS, MAX_BITRATE_KBPS = 100, 8_000

_OPTIONS = {
    # Sharper than q 20 nobody sees at this size: a face that hardly moves then stays below its bitrate. Smoothed block
    # edges and half-pixel motion cost 0.7 ms a picture more than the preset alone (2.0 ms at 384 × 580) and give 25 %
    # fewer bits, or 1.8 dB at 400 kbit/s.
    "libx264": {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "forced-idr": "1",
        "x264-params": "qpmin=20:deblock=0,0:subme=1",
    },
    "h264_nvenc": {
        "preset": "p3",
        "tune": "ull",
        "rc": "cbr",
        "delay": "0",
        "zerolatency": "1",
        "forced-idr": "1",
    },
}


class H264Encoder:
    """One face's stream. Not to be used by two threads at once."""

    def __init__(self, width_px: int, height_px: int, encoder: Encoder = "auto", bitrate_kbps: int = 800) -> None:
        """For pictures of that size; odd ones grow by a row or column that repeats their edge. Raises EngineFailed."""
        self.width_px, self.height_px = width_px + width_px % 2, height_px + height_px % 2
        self._codec: VideoCodecContext | None = None
        self._bitrate_kbps = _allowed(bitrate_kbps)
        self._encoded = 0
        self._since_keyframe = KEYFRAME_EVERY
        self._codec = self._opened(encoder)
        self._frame = av.VideoFrame(self.width_px, self.height_px, "yuv420p")

    @property
    def name(self) -> str:
        """Of the codec in use."""
        return self._codec.name if self._codec is not None else ""

    def encode(
        self, picture: npt.NDArray[np.uint8], keyframe: bool = False, bitrate_kbps: int | None = None
    ) -> VideoFrame:
        """The picture's access unit. Blue, green, red; shape: (height, width, 3). Raises EngineFailed once closed."""
        if self._codec is None:
            raise EngineFailed("the encoder is closed")
        if bitrate_kbps is not None and _allowed(bitrate_kbps) != self._bitrate_kbps:
            self._bitrate_kbps = _allowed(bitrate_kbps)
            self._codec.bit_rate = 1000 * self._bitrate_kbps
        whole = keyframe or self._since_keyframe >= KEYFRAME_EVERY
        self._fill(picture)
        self._frame.pts = self._encoded
        self._frame.pict_type = PictureType.I if whole else PictureType.NONE
        try:
            packets = self._codec.encode(self._frame)
        except av.FFmpegError as error:
            raise EngineFailed(f"{self._codec.name} did not encode a picture: {error}") from error
        self._encoded += 1
        is_keyframe = any(packet.is_keyframe for packet in packets)
        self._since_keyframe = 1 if is_keyframe else self._since_keyframe + 1
        return VideoFrame(b"".join(map(bytes, packets)), is_keyframe)

    def close(self) -> None:
        """Free the codec. May be called more than once."""
        self._codec = None

    def _fill(self, picture: npt.NDArray[np.uint8]) -> None:
        """Write the picture into the frame's planes, which the codec has copied by the time it is called again."""
        height, width = picture.shape[:2]
        if (width, height) != (self.width_px, self.height_px):
            down, right = self.height_px - height, self.width_px - width
            if not (0 <= down <= 1 and 0 <= right <= 1):
                raise EngineFailed(f"a picture of {width}×{height} px for a stream of {self.width_px}×{self.height_px}")
            picture = np.asarray(cv2.copyMakeBorder(picture, 0, down, 0, right, cv2.BORDER_REPLICATE), np.uint8)
        planes = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420).reshape(-1)
        start = 0
        for plane, (columns, rows) in zip(
            self._frame.planes,
            ((self.width_px, self.height_px), *[(self.width_px // 2, self.height_px // 2)] * 2),
            strict=True,
        ):
            target = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
            target[:rows, :columns] = planes[start : start + rows * columns].reshape(rows, columns)
            start += rows * columns

    def _opened(self, encoder: Encoder) -> VideoCodecContext:
        name = chosen(encoder)
        try:
            return self._open(name)
        except av.FFmpegError as error:
            if encoder != "auto" or name == "libx264":
                raise EngineFailed(f"{name} does not open for {self.width_px}×{self.height_px}: {error}") from error
            # A graphics card takes a limited number of streams.
            logger.warning("%s takes no further stream (%s): libx264 encodes this one", name, error)
            return self._open("libx264")

    def _open(self, name: str) -> VideoCodecContext:
        codec = av.CodecContext.create(name, "w")
        assert isinstance(codec, VideoCodecContext)
        codec.width, codec.height, codec.pix_fmt = self.width_px, self.height_px, "yuv420p"
        codec.framerate, codec.time_base = Fraction(FRAME_RATE_HZ), Fraction(1, FRAME_RATE_HZ)
        codec.gop_size, codec.max_b_frames, codec.thread_count = KEYFRAME_EVERY, 0, 1
        codec.profile = "Baseline"
        # cvtColor gives BT.601 in the narrow range.
        codec.color_range, codec.colorspace, codec.color_primaries, codec.color_trc = 1, 6, 6, 6
        # x264 changes the bitrate of a running stream only where it began as a constant one, and only to below what it
        # began with.
        codec.bit_rate = 1000 * MAX_BITRATE_KBPS
        codec.options = {**_OPTIONS[name], "maxrate": f"{MAX_BITRATE_KBPS}k", "bufsize": f"{BUFFER_KBIT}k"}
        codec.open()
        codec.bit_rate = 1000 * self._bitrate_kbps
        return codec


_works: dict[str, bool] = {}
"""Whether a hardware encoder encoded a picture in this process."""


def chosen(encoder: Encoder) -> str:
    """The codec that a setting stands for on this machine."""
    if encoder != "auto":
        return encoder
    if "h264_nvenc" not in _works:
        _works["h264_nvenc"] = _tried("h264_nvenc")
    return "h264_nvenc" if _works["h264_nvenc"] else "libx264"


def check(encoder: Encoder) -> None:
    """Encode a picture. Raises ConfigError where the encoder that is asked for does not work here."""
    try:
        stream = H264Encoder(256, 256, encoder)
        stream.encode(np.zeros((256, 256, 3), np.uint8))
        stream.close()
    except (EngineFailed, av.FFmpegError, ValueError) as error:
        raise ConfigError(f"the video encoder {encoder!r} does not work here: {error}") from error


def _tried(name: Encoder) -> bool:
    try:
        check(name)
    except ConfigError as error:
        logger.info("pictures are encoded by libx264, on the processor: %s", error)
        return False
    return True


def _allowed(bitrate_kbps: int) -> int:
    return min(MAX_BITRATE_KBPS, max(MIN_BITRATE_KBPS, bitrate_kbps))
