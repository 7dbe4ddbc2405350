"""Pictures that people send: what is taken, and what is refused before it is unpacked."""

import contextlib
import struct
import zlib

import cv2
import numpy as np
import pytest

from deployments.avatar.picture import MAX_BYTES, decoded, fitted
from deployments.runtime.errors import InvalidRequest
from tests.portraits import drawn, jpeg, noise_picture, png


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def huge_png(width: int, height: int) -> bytes:
    """A few hundred bytes that claim to be a large picture."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def huge_jpeg(width: int, height: int) -> bytes:
    data = bytearray(jpeg(noise_picture()))
    place = data.index(b"\xff\xc0")
    data[place + 5 : place + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def test_png_and_jpeg_are_taken() -> None:
    picture = drawn()[0]
    assert np.array_equal(decoded(png(picture)), picture)
    assert np.abs(decoded(jpeg(picture)).astype(int) - picture).mean() < 3


def test_a_progressive_jpeg_is_taken() -> None:
    done, data = cv2.imencode(".jpg", drawn()[0], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    assert done
    assert decoded(bytes(data)).shape == (579, 384, 3)


def test_grey_and_transparent_pictures_become_coloured_ones() -> None:
    grey = np.asarray(cv2.cvtColor(drawn()[0], cv2.COLOR_BGR2GRAY), np.uint8)
    assert decoded(png(grey)).shape == (579, 384, 3)
    see_through = np.dstack([drawn()[0], np.zeros(grey.shape, np.uint8)])
    assert np.all(decoded(png(see_through)) == 232)
    deep = np.dstack([drawn()[0], np.full(grey.shape, 255, np.uint8)]).astype(np.uint16) * 257
    done, data = cv2.imencode(".png", deep)
    assert done
    assert np.array_equal(decoded(bytes(data)), drawn()[0])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "neither PNG nor JPEG"),
        (b"GIF89a" + bytes(100), "neither PNG nor JPEG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "neither PNG nor JPEG"),
        (b"\x89PNG\r\n\x1a\n", "broken"),
        (b"\xff\xd8", "broken"),
        (b"\xff\xd8\xff\xe0\x00", "broken"),
        (b"\xff\xd8" + b"\xff" * 500, "broken"),
        (huge_png(60_000, 60_000), "pixels; at most"),
        (huge_jpeg(65_000, 65_000), "pixels; at most"),
        (huge_png(500, 500), "broken"),
        (huge_png(0, 500), "at least"),
        (png(noise_picture(80, 300)), "at least"),
        (b"\xff\xd8" + bytes(MAX_BYTES), "bytes; at most"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} bytes",
)
def test_bad_pictures_are_refused_with_advice(data: bytes, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said) as error:
        decoded(data)
    assert error.value.param == "picture"


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_picture_that_ends_early_is_refused(share: float) -> None:
    for whole in (png(drawn()[0]), jpeg(drawn()[0])):
        with pytest.raises(InvalidRequest, match="broken"):
            decoded(whole[: int(share * len(whole))])


def test_damage_in_the_middle_does_no_harm() -> None:
    """It may be shown or refused, but nothing else may happen."""
    random = np.random.default_rng(5)
    for whole in (png(drawn()[0]), jpeg(drawn()[0])):
        for _ in range(40):
            data = bytearray(whole)
            for place in random.integers(20, len(data) - 20, 30):
                data[place] = random.integers(0, 256)
            with contextlib.suppress(InvalidRequest):
                assert decoded(bytes(data)).ndim == 3


def test_a_large_picture_is_made_smaller() -> None:
    picture = noise_picture(1400, 700)
    small, factor = fitted(picture, 1024)
    assert small.shape == (512, 1024, 3)
    assert factor == pytest.approx(1024 / 1400)
    same, factor = fitted(small, 1024)
    assert same is small
    assert factor == 1.0
