"""Where the parts of a face lie in its picture: what an engine must know to move them.

Points are in pixels of the picture, x to the right and y down; left and right are as one sees the picture.
"""

import math
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from deployments.runtime.errors import InvalidRequest

MAX_PICTURE_SIDE_PX = 8192
"""Of a picture that is described; an engine makes it smaller."""
Coordinate = Annotated[float, Field(ge=0, le=MAX_PICTURE_SIDE_PX, allow_inf_nan=False)]
Point = tuple[Coordinate, Coordinate]
"""x and y, px."""
Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]
"""Red, green and blue in hexadecimal."""

MIN_MOUTH_PX = 12
"""A narrower mouth has too few pixels to be moved."""
MAX_TILT_DEG = 40.0
"""Of the line through the corners of the mouth."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Mouth(_Part):
    """Corners, and the middle of both lips: outer edges against the skin, inner ones where they meet."""

    left: Point
    right: Point
    upper_outer: Point
    upper_inner: Point
    lower_inner: Point
    lower_outer: Point

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.right[0] - self.left[0] < MIN_MOUTH_PX:
            raise ValueError(f"mouth.right must lie at least {MIN_MOUTH_PX} px to the right of mouth.left")
        if abs(self.tilt_rad) > math.radians(MAX_TILT_DEG):
            raise ValueError(f"the mouth is tilted by more than {MAX_TILT_DEG:.0f}°; send an upright picture")
        heights = [self.upper_outer[1], self.upper_inner[1], self.lower_inner[1], self.lower_outer[1]]
        if heights != sorted(heights) or heights[0] == heights[1] or heights[2] == heights[3]:
            raise ValueError(
                "the lips must be in the order upper_outer, upper_inner, lower_inner, lower_outer from top to bottom"
            )
        middles = (self.upper_outer, self.upper_inner, self.lower_inner, self.lower_outer)
        if any(not self.left[0] < point[0] < self.right[0] for point in middles):
            raise ValueError("the middle of the lips must lie between the corners of the mouth")
        if heights[3] - heights[0] > 2.0 * (self.right[0] - self.left[0]):
            raise ValueError("the mouth is higher than twice its width")
        return self

    @property
    def centre(self) -> tuple[float, float]:
        """Midway between the corners."""
        return (self.left[0] + self.right[0]) / 2, (self.left[1] + self.right[1]) / 2

    @property
    def half_width_px(self) -> float:
        """Half the distance of the corners: the unit that mouth shapes are measured in."""
        return math.dist(self.left, self.right) / 2

    @property
    def tilt_rad(self) -> float:
        """Of the line through the corners; positive: the right one is lower."""
        return math.atan2(self.right[1] - self.left[1], self.right[0] - self.left[0])


class Eye(_Part):
    """Corners, the middle of both lids' edges, and the iris."""

    left: Point
    right: Point
    upper_lid: Point
    lower_lid: Point
    iris: Point
    """Its centre."""
    iris_radius_px: float = Field(gt=0.5, le=MAX_PICTURE_SIDE_PX / 8)
    free_above_px: float | None = Field(default=None, ge=0, le=MAX_PICTURE_SIDE_PX / 8)
    """How far above the upper lid's edge there is nothing but skin, neither brow nor glasses: what a blink may draw
    down. None: little, to be safe."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.right[0] - self.left[0] < 4:
            raise ValueError("an eye's right corner must lie at least 4 px to the right of its left one")
        if not self.upper_lid[1] < self.iris[1] < self.lower_lid[1]:
            raise ValueError("an eye's iris must lie between its upper and its lower lid")
        if not self.left[0] < self.iris[0] < self.right[0]:
            raise ValueError("an eye's iris must lie between its corners")
        return self

    @property
    def width_px(self) -> float:
        return math.dist(self.left, self.right)


class Colours(_Part):
    """Of what the picture may not show. None: taken from the picture, or usual ones."""

    lip: Colour | None = None
    inner_mouth: Colour | None = None
    teeth: Colour | None = None
    skin: Colour | None = None


class AvatarDescription(_Part):
    """The anchors of a face in its picture."""

    version: Literal[1] = 1
    width_px: int = Field(ge=64, le=MAX_PICTURE_SIDE_PX)
    height_px: int = Field(ge=64, le=MAX_PICTURE_SIDE_PX)
    mouth: Mouth
    chin: Point
    jaw_left: Point
    """Where the outline of the jaw is level with the mouth."""
    jaw_right: Point
    left_eye: Eye
    right_eye: Eye
    outline: tuple[Point, ...] = Field(min_length=3, max_length=256)
    """The face without hair, as a polygon."""
    colours: Colours = Colours()

    @model_validator(mode="after")
    def _makes_a_face(self) -> Self:
        for name, point in self._named_points():
            if not (0 <= point[0] < self.width_px and 0 <= point[1] < self.height_px):
                raise ValueError(f"{name} lies outside the picture of {self.width_px}×{self.height_px} px")
        mouth, chin = self.mouth, self.chin
        if chin[1] <= mouth.lower_outer[1]:
            raise ValueError("chin must lie below the lower lip")
        if not self.jaw_left[0] < mouth.left[0] < mouth.right[0] < self.jaw_right[0]:
            raise ValueError("jaw_left and jaw_right must lie outside the corners of the mouth")
        if self.left_eye.right[0] >= self.right_eye.left[0]:
            raise ValueError("left_eye must lie to the left of right_eye")
        if max(self.left_eye.lower_lid[1], self.right_eye.lower_lid[1]) >= mouth.upper_outer[1]:
            raise ValueError("the eyes must lie above the mouth")
        return self

    def _named_points(self) -> list[tuple[str, tuple[float, float]]]:
        points = [("chin", self.chin), ("jaw_left", self.jaw_left), ("jaw_right", self.jaw_right)]
        points += [(f"mouth.{name}", getattr(self.mouth, name)) for name in Mouth.model_fields]
        for side in ("left_eye", "right_eye"):
            names = (name for name in Eye.model_fields if not name.endswith("_px"))
            points += [(f"{side}.{name}", getattr(getattr(self, side), name)) for name in names]
        return points + [(f"outline[{index}]", point) for index, point in enumerate(self.outline)]

    def to_json(self) -> bytes:
        """As `Portrait.description` carries it."""
        return self.model_dump_json().encode()

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Raises InvalidRequest naming what is wrong."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, e['loc'])) or 'description'}: {e['msg']}" for e in error.errors()[:5]
            )
            raise InvalidRequest(f"the avatar's description is wrong: {problems}", param="description") from error

    def scaled(self, factor: float, width_px: int, height_px: int) -> Self:
        """The same face in the picture scaled by `factor` to `width_px` × `height_px`."""

        def moved(value: object) -> object:
            if isinstance(value, dict):
                return {
                    key: item * factor
                    if key.endswith("_px") and isinstance(item, float)
                    else item
                    if key == "colours"
                    else moved(item)
                    for key, item in value.items()
                }
            if isinstance(value, list | tuple):
                if len(value) == 2 and all(isinstance(item, int | float) for item in value):
                    x, y = value
                    return (min(x * factor, width_px - 0.01), min(y * factor, height_px - 0.01))
                return [moved(item) for item in value]
            return value

        fields = moved(self.model_dump())
        assert isinstance(fields, dict)
        return type(self).model_validate({**fields, "width_px": width_px, "height_px": height_px})
