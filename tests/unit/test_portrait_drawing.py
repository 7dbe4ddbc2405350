"""The drawn portrait, and finding faces in pictures."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from deployments.avatar.anchors import found_anchors
from deployments.avatar.description import AvatarDescription
from deployments.avatar.drawing.portrait import drawn_portrait
from deployments.avatar.picture import Picture
from deployments.runtime.errors import InvalidRequest
from tests.portraits import drawn, noise_picture


def resized(picture: Picture, factor: float) -> Picture:
    return np.asarray(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)


def brightened(picture: Picture, gain: float, lift: float) -> Picture:
    return np.asarray(cv2.convertScaleAbs(picture, alpha=gain, beta=lift), np.uint8)


def test_it_is_drawn_the_same_every_time() -> None:
    picture, description = drawn_portrait()
    assert picture.shape == (579, 384, 3)
    assert np.array_equal(picture, drawn()[0])
    assert description == drawn()[1]


@pytest.mark.parametrize(("width", "height"), [(160, 240), (400, 200), (129, 301)])
def test_it_is_drawn_in_other_sizes(width: int, height: int) -> None:
    picture, description = drawn_portrait(width, height)
    assert picture.shape == (height, width, 3)
    assert (description.width_px, description.height_px) == (width, height)
    # The same face at the same proportions, standing on the lower edge.
    usual = drawn()[1]
    scale = min(width / 384, height / 579)
    assert description.mouth.half_width_px == pytest.approx(usual.mouth.half_width_px * scale, abs=0.02)
    assert height - description.chin[1] == pytest.approx((579 - usual.chin[1]) * scale, abs=0.02)


@pytest.mark.parametrize(("width", "height"), [(90, 400), (384, 1025)])
def test_other_sizes_are_refused(width: int, height: int) -> None:
    with pytest.raises(ValueError, match="96 to 1024"):
        drawn_portrait(width, height)


@pytest.mark.parametrize(
    "change",
    [
        lambda picture: picture,
        lambda picture: resized(picture, 0.6),
        lambda picture: resized(picture, 1.7),
        lambda picture: brightened(picture, 0.45, 0),
        lambda picture: brightened(picture, 0.7, 75),
        lambda picture: np.asarray(cv2.copyMakeBorder(picture, 60, 40, 200, 90, cv2.BORDER_REPLICATE), np.uint8),
    ],
    ids=["as it is", "smaller", "larger", "dark", "pale", "to the side"],
)
def test_the_cascades_find_the_drawn_face(change: Callable[[Picture], Picture]) -> None:
    picture = change(drawn()[0])
    found = found_anchors(picture)
    expected = expected_in(picture)
    unit = expected.right_eye.iris[0] - expected.left_eye.iris[0]
    for name, one, other in (
        ("left iris", found.left_eye.iris, expected.left_eye.iris),
        ("right iris", found.right_eye.iris, expected.right_eye.iris),
        ("left corner", found.mouth.left, expected.mouth.left),
        ("right corner", found.mouth.right, expected.mouth.right),
        ("line of the lips", found.mouth.upper_inner, expected.mouth.upper_inner),
        ("chin", found.chin, expected.chin),
    ):
        assert np.hypot(one[0] - other[0], one[1] - other[1]) < 0.12 * unit, name
    assert found.jaw_left[0] == pytest.approx(expected.jaw_left[0], abs=0.15 * unit)


def expected_in(picture: Picture) -> AvatarDescription:
    """Of the drawn face in a picture changed as above."""
    height, width = picture.shape[:2]
    description = drawn()[1]
    if (width, height) == (384 + 290, 579 + 100):
        moved = description.scaled(1.0, width, height).model_dump()

        def shifted(value: object) -> object:
            if isinstance(value, dict):
                return {key: shifted(item) for key, item in value.items()}
            if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], float):
                return value[0] + 200, value[1] + 60
            return tuple(shifted(item) for item in value) if isinstance(value, tuple) else value

        return AvatarDescription.model_validate(shifted(moved))
    return description.scaled(width / 384, width, height)


def test_a_photograph_of_a_face_is_found() -> None:
    """matplotlib brings one: Grace Hopper, 1983, in the public domain."""
    cbook = pytest.importorskip("matplotlib.cbook")
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        picture = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_COLOR)
    found = found_anchors(np.asarray(picture, np.uint8))
    assert found.mouth.centre == pytest.approx((266, 278), abs=8)
    assert found.left_eye.iris == pytest.approx((221, 190), abs=8)
    assert found.right_eye.iris == pytest.approx((306, 187), abs=8)
    assert found.chin[1] == pytest.approx(330, abs=12)


def test_a_picture_without_a_face_is_refused_with_advice() -> None:
    below_the_chin = drawn()[0][400:]
    for picture in (noise_picture(), np.zeros((300, 300, 3), np.uint8), below_the_chin):
        with pytest.raises(InvalidRequest, match="no face was found") as error:
            found_anchors(picture)
        assert (error.value.code, error.value.param) == ("no_face_found", "picture")


def test_a_face_that_is_cut_off_is_refused() -> None:
    """The face is there, its chin is not: the picture ends below the lips, or above them."""
    for height in (331, 345, 300):
        with pytest.raises(InvalidRequest, match="face was found") as error:
            found_anchors(drawn()[0][:height])
        assert error.value.param == "picture"
