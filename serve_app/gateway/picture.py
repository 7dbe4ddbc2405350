"""A picture that somebody sent, made into one that can be kept and sent on."""

import struct
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from deployments.runtime.errors import InvalidRequest, TooLarge

MAX_KEPT_BYTES: Final = 3 * 2**20
"""Of a picture that fits into one message to the Avatar stage."""
MAX_SIDE_PX: Final = 8192
MAX_PIXELS: Final = 50_000_000
"""Decoded they take 150 MB, for a moment."""
KEPT_SIDE_PX: Final = 2048
"""Twice that of the largest video: room for an engine that shows a part of it."""
_QUALITIES: Final = (95, 88, 75)

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
# ITU-T T.81, table B.1: the start of a frame, which has its size, and markers without a length.
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE = frozenset({0x01, *range(0xD0, 0xD9)})

Pixels = npt.NDArray[np.uint8]


def normalised(encoded: bytes, *, keep_size: bool) -> bytes:
    """The picture upright and without what a camera wrote beside it (place, owner), as PNG or JPEG of 3 MiB at most.

    `keep_size`: its pixels are numbered by somebody; else its longer side becomes `KEPT_SIDE_PX` at most. Blocks: call
    it in a worker thread. Raises InvalidRequest for what is no picture, TooLarge for what has too many pixels.
    """
    width_px, height_px = _size_px(encoded)
    if max(width_px, height_px) > MAX_SIDE_PX or width_px * height_px > MAX_PIXELS:
        raise TooLarge(
            f"The picture has {width_px} × {height_px} pixels: send one with at most {MAX_SIDE_PX} on its longer "
            f"side and {MAX_PIXELS // 10**6} million in all.",
            param="picture",
        )
    pixels = _decoded(encoded)
    longer_px = max(pixels.shape[:2])
    if not keep_size and longer_px > KEPT_SIDE_PX:
        scale = KEPT_SIDE_PX / longer_px
        pixels = np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    if encoded.startswith(_PNG):
        kept = _encoded(pixels, ".png", [])
        if len(kept) <= MAX_KEPT_BYTES:
            return kept
    for quality in _QUALITIES:
        kept = _encoded(pixels, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality])
        if len(kept) <= MAX_KEPT_BYTES:
            return kept
    raise TooLarge("The picture takes more than 3 MiB as a JPEG: send a smaller one.", param="picture")


def jpeg(pixels: Pixels) -> bytes:
    """A preview. Shape: (height, width, 3), blue, green, red."""
    return _encoded(pixels, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, 90])


def _size_px(encoded: bytes) -> tuple[int, int]:
    """Width and height as the file's head has them: what a decoder would make room for."""
    try:
        if encoded.startswith(_PNG) and encoded[12:16] == b"IHDR":
            width_px, height_px = struct.unpack_from(">II", encoded, 16)
            return width_px, height_px
        if encoded.startswith(_JPEG):
            return _jpeg_size_px(encoded)
    except (struct.error, IndexError) as error:
        raise _unreadable() from error
    raise InvalidRequest("The picture is neither a PNG nor a JPEG.", param="picture")


def _jpeg_size_px(encoded: bytes) -> tuple[int, int]:
    at = 2
    while True:
        if encoded[at] != 0xFF:
            raise _unreadable()
        marker = encoded[at + 1]
        if marker == 0xFF:  # padding
            at += 1
        elif marker in _SOF:
            height_px, width_px = struct.unpack_from(">HH", encoded, at + 5)
            return width_px, height_px
        elif marker in _BARE:
            at += 2
        else:
            (length,) = struct.unpack_from(">H", encoded, at + 2)
            at += 2 + length


def _decoded(encoded: bytes) -> Pixels:
    """Upright, as its EXIF says. Shape: (height, width, 3), blue, green, red."""
    try:
        pixels = cv2.imdecode(np.frombuffer(encoded, dtype=np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise _unreadable() from error
    if pixels is None:
        raise _unreadable()
    return np.asarray(pixels, np.uint8)


def _encoded(pixels: Pixels, kind: str, options: list[int]) -> bytes:
    done, encoded = cv2.imencode(kind, pixels, options)
    if not done:
        raise RuntimeError(f"OpenCV wrote no {kind}")
    return encoded.tobytes()


def _unreadable() -> InvalidRequest:
    return InvalidRequest(
        "The picture is broken: it cannot be read as the PNG or JPEG that it begins as.", param="picture"
    )
