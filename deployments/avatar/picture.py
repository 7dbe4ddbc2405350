"""A picture that somebody sent, decoded with care: its size is read from its header before anything is unpacked."""

import struct

import cv2
import numpy as np
import numpy.typing as npt

from deployments.avatar.contract import MAX_SIDE_PX
from deployments.runtime.errors import InvalidRequest

Picture = npt.NDArray[np.uint8]
"""Blue, green, red. Shape: (height, width, 3)."""

MAX_BYTES = 3 * 1024 * 1024
MAX_PIXELS = 24_000_000
"""72 MB once unpacked."""
MIN_SIDE_PX = 96
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_WITH_ALPHA = (4, 6)
_JPEG_FRAMES = (0xC0, 0xC1, 0xC2)
"""Markers of the frames that the decoder knows: baseline, extended, progressive (ITU-T T.81, table B.1)."""
_JPEG_SCAN, _JPEG_END = 0xDA, b"\xff\xd9"
_BEHIND_TRANSPARENT = 232
"""Grey level."""


def decoded(data: bytes) -> Picture:
    """The picture in its own size, upright as its camera noted. Raises InvalidRequest saying what to send instead."""
    if len(data) > MAX_BYTES:
        raise _refused(f"the picture has {len(data)} bytes; at most {MAX_BYTES} are taken: make it smaller")
    width, height = _size(data)
    if width * height > MAX_PIXELS:
        raise _refused(f"the picture has {width}×{height} pixels; at most {MAX_PIXELS} are taken: make it smaller")
    if min(width, height) < MIN_SIDE_PX:
        raise _refused(f"the picture is {width}×{height} pixels; both sides must be at least {MIN_SIDE_PX}")
    has_alpha = data.startswith(_PNG) and data[25] in _PNG_WITH_ALPHA
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED if has_alpha else cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise _broken() from error
    if pixels is None:
        raise _broken()
    return _without_alpha(pixels) if has_alpha else np.asarray(pixels, np.uint8)


def fitted(picture: Picture, max_side_px: int = MAX_SIDE_PX) -> tuple[Picture, float]:
    """The picture, made smaller where its longer side is over the limit, and by which factor."""
    height, width = picture.shape[:2]
    factor = min(1.0, max_side_px / max(width, height))
    if factor == 1.0:
        return picture, 1.0
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8), factor


def _size(data: bytes) -> tuple[int, int]:
    """Width and height from the header; the end must be there too."""
    if data.startswith(_PNG):
        if len(data) < 33 or data[12:16] != b"IHDR" or b"IEND" not in data[-64:]:
            raise _broken()
        width, height = struct.unpack(">II", data[16:24])
        return width, height
    if data.startswith(b"\xff\xd8"):
        return _jpeg_size(data)
    raise _refused("the picture is neither PNG nor JPEG; send one of these")


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Walk along the markers (ITU-T T.81, B.1.1) to the frame's and the scan's."""
    place, size = 2, None
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # filling
            place += 1
            continue
        (length,) = struct.unpack(">H", data[place + 2 : place + 4])
        if marker in _JPEG_FRAMES and place + 9 <= len(data):
            height, width = struct.unpack(">HH", data[place + 5 : place + 9])
            size = width, height
        if marker == _JPEG_SCAN:
            if size is None or data.rfind(_JPEG_END) <= place:
                raise _broken()
            return size
        place += 2 + max(2, length)
    raise _broken()


def _without_alpha(pixels: npt.NDArray[np.generic]) -> Picture:
    """In front of light grey. Grey with alpha arrives from the decoder in colour."""
    deep = pixels.dtype == np.uint16
    shades = pixels.astype(np.float32) / (257.0 if deep else 1.0)
    alpha = shades[..., 3:] / 255.0
    return np.asarray(np.rint(shades[..., :3] * alpha + _BEHIND_TRANSPARENT * (1 - alpha)), np.uint8)


def _broken() -> InvalidRequest:
    return _refused("the picture is broken or of a kind that cannot be read; save it again as PNG or JPEG")


def _refused(message: str) -> InvalidRequest:
    return InvalidRequest(message, param="picture")
