"""A picture that says which frame it is and how loud its sound is, to be read back from any decoded video.

The upper half is a bar code of 8 × 4 cells: 24 bits of the frame's number and 8 of a checksum, white for 1. Cells are
big against H.264's 16 × 16 blocks, and only the middle of each is read, so it survives compression and scaling. The
lower half holds a mouth: a bright rectangle on grey whose height is the level of the frame's sound.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]

COLUMNS: Final = 8
ROWS: Final = 4
NUMBER_BITS: Final = 24
MIN_SIDE_PX: Final = 64
DARK, GREY, BRIGHT = 16, 96, 235
LOUDEST_DB: Final = -6.0
QUIETEST_DB: Final = -50.0
"""Levels of sound, in dB of full scale, that open the mouth wide and close it."""


def draw(number: int, openness: float, width_px: int, height_px: int) -> Picture:
    """Frame `number` (modulo 2^24) with a mouth that is `openness` (0 to 1) open. Shape: (height, width), grey."""
    number %= 1 << NUMBER_BITS
    code = number << 8 | _checksum(number)
    bits = np.array([code >> bit & 1 for bit in range(COLUMNS * ROWS)], dtype=bool).reshape(ROWS, COLUMNS)
    picture = np.full((height_px, width_px), GREY, dtype=np.uint8)
    for row, top, bottom in _spans(ROWS, height_px // 2):
        for column, left, right in _spans(COLUMNS, width_px):
            picture[top:bottom, left:right] = BRIGHT if bits[row, column] else DARK
    top, bottom, left, right = _mouth_box(width_px, height_px)
    picture[top:bottom, left:right] = DARK
    picture[bottom - round((bottom - top) * min(max(openness, 0.0), 1.0)) : bottom, left:right] = BRIGHT
    return picture


def read_frame_number(picture: npt.NDArray[np.uint8]) -> int | None:
    """The number in a picture of any size, grey or in colour; None where there is none or it cannot be trusted."""
    grey = _grey(picture)
    height_px, width_px = grey.shape
    if min(height_px, width_px) < MIN_SIDE_PX // 2:
        return None
    code = 0
    for row, top, bottom in _spans(ROWS, height_px // 2):
        for column, left, right in _spans(COLUMNS, width_px):
            inset_y, inset_x = (bottom - top) // 4, (right - left) // 4
            middle = grey[top + inset_y : bottom - inset_y, left + inset_x : right - inset_x]
            code |= int(middle.mean() > (DARK + BRIGHT) / 2) << (row * COLUMNS + column)
    number, checksum = code >> 8, code & 0xFF
    return number if checksum == _checksum(number) else None


def read_openness(picture: npt.NDArray[np.uint8]) -> float:
    """How far the mouth of a picture is open: 0 to 1."""
    grey = _grey(picture)
    top, bottom, left, right = _mouth_box(grey.shape[1], grey.shape[0])
    inset = (right - left) // 4
    return float((grey[top:bottom, left + inset : right - inset] > (DARK + BRIGHT) / 2).mean())


def openness_of(samples: npt.NDArray[np.float32]) -> float:
    """How far a mouth opens to sound. `samples` in [-1, 1), shape (samples,)."""
    power = float(np.dot(samples, samples)) / max(samples.size, 1)
    level_db = 10.0 * np.log10(max(power, 1e-12))
    return float(np.clip((level_db - QUIETEST_DB) / (LOUDEST_DB - QUIETEST_DB), 0.0, 1.0))


def _checksum(number: int) -> int:
    """CRC-8 with the polynomial x⁸+x²+x+1 (ITU-T I.432.1), begun with ones so that black is no number."""
    crc = 0xFF
    for byte in number.to_bytes(NUMBER_BITS // 8, "big"):
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07) & 0xFF if crc & 0x80 else crc << 1
    return crc


def _spans(count: int, length: int) -> list[tuple[int, int, int]]:
    """`length` divided into `count` parts: index, start, end."""
    return [(index, index * length // count, (index + 1) * length // count) for index in range(count)]


def _mouth_box(width_px: int, height_px: int) -> tuple[int, int, int, int]:
    """Top, bottom, left, right of the rectangle that the mouth moves in."""
    return height_px * 5 // 8, height_px * 7 // 8, width_px // 4, width_px * 3 // 4


def _grey(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    grey = picture.astype(np.float32)
    return grey if grey.ndim == 2 else grey[..., :3].mean(axis=2)
