"""Anchors of a face: what is taken and what is refused."""

import json
from typing import Any

import pytest

from deployments.avatar.description import AvatarDescription
from deployments.runtime.errors import InvalidRequest
from tests.portraits import drawn


def fields() -> dict[str, Any]:
    found = json.loads(drawn()[1].to_json())
    assert isinstance(found, dict)
    return found


def test_a_description_survives_json() -> None:
    description = drawn()[1]
    assert AvatarDescription.from_json(description.to_json()) == description


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("mouth", "left"), [228.0, 322.0], "mouth.right"),
        (("mouth", "upper_inner"), [192.0, 345.0], "order"),
        (("mouth", "lower_outer"), [20.0, 340.0], "between the corners"),
        (("mouth", "right"), [200.0, 360.0], "tilted"),
        (("mouth", "left"), [-3.0, 322.0], "greater than or equal to 0"),
        (("mouth", "left"), [float("nan"), 322.0], "mouth"),
        (("chin",), [192.0, 330.0], "below the lower lip"),
        (("chin",), [192.0, 600.0], "outside the picture"),
        (("jaw_left",), [160.0, 325.0], "jaw_left"),
        (("left_eye", "iris"), [147.0, 200.0], "between its upper and its lower lid"),
        (("left_eye", "left"), [168.0, 236.0], "right corner"),
        (("left_eye", "iris_radius_px"), 0.0, "iris_radius_px"),
        (("outline",), [[1.0, 1.0], [5.0, 5.0]], "outline"),
        (("outline",), [[1.0, 1.0], [5.0, 5.0], [400.0, 5.0]], "outline[2]"),
        (("colours", "lip"), "red", "colours.lip"),
        (("width_px",), 20, "width_px"),
        (("nose",), [192.0, 300.0], "nose"),
        (("version",), 2, "version"),
    ],
)
def test_what_makes_no_face_is_refused_with_its_name(path: tuple[str, ...], value: object, said: str) -> None:
    changed = fields()
    part = changed
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value
    with pytest.raises(InvalidRequest) as error:
        AvatarDescription.from_json(json.dumps(changed).encode())
    assert said in str(error.value)
    assert error.value.param == "description"


def test_eyes_on_the_wrong_side_are_refused() -> None:
    changed = fields()
    changed["left_eye"], changed["right_eye"] = changed["right_eye"], changed["left_eye"]
    with pytest.raises(InvalidRequest, match="to the left of right_eye"):
        AvatarDescription.from_json(json.dumps(changed).encode())


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"no json", b"\xff\xfe"])
def test_what_is_no_description_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidRequest):
        AvatarDescription.from_json(text)


def test_scaling_moves_every_anchor() -> None:
    description = drawn()[1]
    half = description.scaled(0.5, 192, 290)
    assert (half.width_px, half.height_px) == (192, 290)
    assert half.mouth.left == (description.mouth.left[0] / 2, description.mouth.left[1] / 2)
    assert half.right_eye.iris_radius_px == description.right_eye.iris_radius_px / 2
    assert half.mouth.half_width_px == pytest.approx(description.mouth.half_width_px / 2)
    assert half.colours == description.colours
    assert len(half.outline) == len(description.outline)
