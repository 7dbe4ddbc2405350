"""What becomes of a picture that somebody sends."""

import struct
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.runtime.errors import InvalidRequest, ParleyError, TooLarge
from serve_app.gateway.picture import KEPT_SIDE_PX, MAX_KEPT_BYTES, normalised
from tests.files_scene import picture


def pixels_of(encoded: bytes) -> npt.NDArray[np.uint8]:
    decoded = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(decoded, np.uint8)


def test_a_small_png_stays_exact() -> None:
    kept = normalised(picture(), keep_size=False)
    assert kept.startswith(b"\x89PNG")
    assert np.array_equal(pixels_of(kept), pixels_of(picture()))


def test_a_large_one_is_made_smaller_unless_its_pixels_are_numbered() -> None:
    large = picture(3000, 4000, ".jpg")
    assert pixels_of(normalised(large, keep_size=False)).shape == (KEPT_SIDE_PX, 1536, 3)
    assert pixels_of(normalised(large, keep_size=True)).shape == (4000, 3000, 3)


def test_what_is_kept_fits_into_a_message() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (1400, 1400, 3)).astype(np.uint8)
    png = cv2.imencode(".png", noise)[1].tobytes()
    assert len(png) > MAX_KEPT_BYTES
    kept = normalised(png, keep_size=True)
    assert len(kept) <= MAX_KEPT_BYTES
    assert kept.startswith(b"\xff\xd8")


def test_what_stays_too_large_is_refused() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (4000, 4000, 3)).astype(np.uint8)
    jpeg = cv2.imencode(".jpg", noise, [cv2.IMWRITE_JPEG_QUALITY, 50])[1].tobytes()
    with pytest.raises(TooLarge, match="smaller"):
        normalised(jpeg, keep_size=True)


def exif(orientation: int) -> bytes:
    """The segment of a JPEG that says how the camera was held (EXIF 2.3, tag 0x0112)."""
    tiff = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    return b"\xff\xe1" + struct.pack(">H", len(tiff) + 8) + b"Exif\0\0" + tiff


def test_it_is_upright_and_says_nothing_of_its_camera() -> None:
    plain = picture(96, 128, ".jpg")
    turned = plain[:2] + exif(6) + plain[2:]
    kept = normalised(turned, keep_size=True)
    assert pixels_of(kept).shape == (96, 128, 3)
    assert b"Exif" not in kept


@pytest.mark.parametrize("side_px", [(8193, 10), (8000, 8000), (2**31, 2**31)])
def test_one_that_would_fill_the_memory_is_refused_unread(side_px: tuple[int, int]) -> None:
    head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", *side_px)
    with pytest.raises(TooLarge, match="pixels"):
        normalised(head + b"\x08\x06\0\0\0" + bytes(64), keep_size=False)


def test_a_size_hidden_behind_other_segments_is_found() -> None:
    plain = picture(40, 30, ".jpg")
    frame = next(at for at, (a, b) in enumerate(pairwise(plain)) if a == 0xFF and b == 0xC0)
    huge = bytearray(plain)
    huge[frame + 5 : frame + 9] = struct.pack(">HH", 60_000, 60_000)
    decoy = b"\xff\xe2\x00\x0d\xff\xc0\x00\x11\x08\x00\x01\x00\x01\x00\x00"
    with pytest.raises(TooLarge):
        normalised(bytes(huge[:2]) + decoy + bytes(huge[2:]), keep_size=False)


@given(st.binary(max_size=64), st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b""]))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_a_picture_or_refused(rest: bytes, head: bytes) -> None:
    with pytest.raises(ParleyError) as refused:
        normalised(head + rest, keep_size=False)
    assert isinstance(refused.value, InvalidRequest | TooLarge)
    assert refused.value.param == "picture"
