"""The shapes of the mouth and the eyes, as they are drawn."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from deployments.avatar.eye_atlas import EyeAtlas
from deployments.avatar.mouth import MouthPose
from deployments.avatar.mouth_atlas import APERTURES, MouthAtlas
from deployments.avatar.mouth_shape import ShapeKey
from deployments.avatar.picture import Picture
from tests.portraits import drawn, drawn_model

JAWS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)


def atlas() -> MouthAtlas:
    return drawn_model().mouth


def inner_mouth(region: Picture) -> npt.NDArray[np.bool_]:
    """Where there is the dark between the lips, or teeth: neither skin nor lips are so. Shape: (height, width)."""
    lips = region[8:70, 45:135].astype(int)  # around the mouth, away from hair and neck
    return np.asarray((lips.max(axis=2) < 105) | (lips.min(axis=2) > 205), np.bool_)


def widths(region: Picture) -> int:
    """Columns with inner mouth in them."""
    return int(inner_mouth(region).any(axis=0).sum())


def test_at_rest_the_picture_is_as_it_was() -> None:
    picture, _ = drawn()
    rest = atlas().at(MouthPose())
    assert np.abs(rest.astype(int) - picture[atlas().region.slices]).max() <= 1


def test_the_mouth_opens_with_the_jaw() -> None:
    seen = [int(inner_mouth(atlas().at(MouthPose(jaw=jaw))).sum()) for jaw in (0.0, 0.25, 0.4, 0.55, 0.7, 0.85, 1.0)]
    assert seen[0] == 0
    assert all(later > earlier for earlier, later in pairwise(seen)), seen
    worked_out = [atlas().opening(ShapeKey(aperture)) for aperture in APERTURES]
    assert worked_out[0] == 0
    assert all(later > earlier for earlier, later in pairwise(worked_out))


@pytest.mark.parametrize("width", [-1.0, 0.0, 1.0])
def test_pressed_lips_are_closed_whatever_the_jaw_does(width: float) -> None:
    shapes = [atlas().at(MouthPose(jaw=jaw, width=width, press=1.0)) for jaw in JAWS]
    for shape in shapes:
        assert not inner_mouth(shape).any()
        assert np.array_equal(shape, shapes[0])


def test_the_mouth_closes_on_the_way_to_pressed_lips() -> None:
    seen = [
        int(inner_mouth(atlas().at(MouthPose(jaw=0.7, press=press))).sum()) for press in (0.0, 0.3, 0.6, 0.8, 0.95, 1.0)
    ]
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] == 0


def test_rounding_narrows_and_spreading_widens() -> None:
    neutral = widths(atlas().at(MouthPose(jaw=0.5)))
    rounded = widths(atlas().at(MouthPose(jaw=0.5, rounding=1.0)))
    drawn_in = widths(atlas().at(MouthPose(jaw=0.5, width=-1.0)))
    spread = widths(atlas().at(MouthPose(jaw=0.5, width=1.0)))
    assert rounded == drawn_in
    assert rounded < 0.8 * neutral
    assert spread > 1.05 * neutral


def test_a_bite_shows_teeth_on_the_lip_and_no_dark() -> None:
    lips = atlas().at(MouthPose(jaw=0.4, bite=1.0))[8:70, 45:135].astype(int)
    teeth, dark = lips.min(axis=2) > 190, lips.max(axis=2) < 90
    assert teeth.sum() > 40
    assert dark.sum() < 0.2 * teeth.sum()


def test_the_tongue_takes_the_place_of_the_dark() -> None:
    def dark(pose: MouthPose) -> int:
        return int((atlas().at(pose)[8:70, 45:135].max(axis=2) < 100).sum())

    assert dark(MouthPose(jaw=0.7, tongue=1.0)) < 0.5 * dark(MouthPose(jaw=0.7))


def test_the_region_has_no_seam() -> None:
    """Its outermost pixels are those of the picture, in every shape."""
    picture = drawn()[0][atlas().region.slices].astype(int)
    for pose in (MouthPose(jaw=1.0), MouthPose(jaw=1.0, width=1.0), MouthPose(jaw=0.6, rounding=1.0)):
        change = np.abs(atlas().at(pose).astype(int) - picture)
        for edge in (change[0], change[-1], change[:, 0], change[:, -1]):
            assert edge.max() <= 2


def test_neighbouring_poses_look_alike() -> None:
    """No step where one shape of the atlas gives way to the next."""
    levels = np.linspace(0, 1, 201)
    for poses in (
        [MouthPose(jaw=float(level)) for level in levels],
        [MouthPose(jaw=0.5, width=float(2 * level - 1)) for level in levels],
        [MouthPose(jaw=0.5, press=float(level)) for level in levels],
        [MouthPose(jaw=0.5, bite=float(level)) for level in levels],
    ):
        shapes = [atlas().at(pose).astype(int) for pose in poses]
        steps = [float(np.abs(later - earlier).mean()) for earlier, later in pairwise(shapes)]
        assert max(steps) < 1.0


def test_poses_beyond_their_range_are_taken_as_its_ends() -> None:
    assert np.array_equal(atlas().at(MouthPose(jaw=3, width=5)), atlas().at(MouthPose(jaw=1, width=1)))
    assert np.array_equal(atlas().at(MouthPose(jaw=-1, press=-1)), atlas().at(MouthPose()))


def test_lids_close_over_the_iris() -> None:
    picture, description = drawn()
    eye = EyeAtlas(picture, description.left_eye)

    def iris(closure: float) -> int:
        blue, green, red = np.moveaxis(eye.at(closure, 0.0, 0.0).astype(int), 2, 0)
        return int(((green > red + 12) & (green > blue + 8)).sum())

    seen = [iris(closure) for closure in (0.0, 0.3, 0.6, 0.8, 1.0)]
    assert seen[0] > 100
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] == 0


def test_the_iris_goes_where_the_face_looks() -> None:
    picture, description = drawn()
    eye = EyeAtlas(picture, description.right_eye)

    def middle(gaze_x: float, gaze_y: float) -> tuple[float, float]:
        blue, green, red = np.moveaxis(eye.at(0.0, gaze_x, gaze_y).astype(int), 2, 0)
        rows, columns = np.nonzero((green > red + 12) & (green > blue + 8))
        return float(columns.mean()), float(rows.mean())

    ahead = middle(0, 0)
    assert middle(1, 0)[0] > ahead[0] + 3
    assert middle(-1, 0)[0] < ahead[0] - 3
    assert middle(0, 1)[1] > ahead[1] + 1
    assert middle(0, -1)[1] < ahead[1] - 0.8
