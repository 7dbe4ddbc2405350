"""A face as Ditto knows it: what its networks saw in the picture, computed once."""

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

VERSION = 1
MOTION_SHAPES = {
    "scale": (1, 1),
    "pitch": (1, 66),
    "yaw": (1, 66),
    "roll": (1, 66),
    "t": (1, 3),
    "exp": (1, 63),
    "kp": (1, 63),
}
"""Of the source's motion (upstream's `x_s_info`)."""


@dataclass(frozen=True)
class Identity:
    """One face. Arrays are not to be changed."""

    picture: npt.NDArray[np.uint8]
    """RGB, sides even. Shape: (height, width, 3)."""
    motion: dict[str, Floats]
    """`MOTION_SHAPES`."""
    appearance: Floats
    """Shape: (1, 32, 16, 64, 64), 8.4 MB."""
    crop_to_picture: Floats
    """Affine, from pixels of the rendered square to the picture's. Shape: (3, 3)."""
    eye_open: Floats
    """Shape: (1, 2)."""
    eye_ball: Floats
    """Shape: (1, 6)."""

    @property
    def width(self) -> int:
        """In pixels."""
        return int(self.picture.shape[1])

    @property
    def height(self) -> int:
        """In pixels."""
        return int(self.picture.shape[0])

    def source_info(self) -> dict[str, object]:
        """What upstream's components are set up with (`AvatarRegistrar.register`)."""
        return {
            "x_s_info_lst": [self.motion],
            "f_s_lst": [self.appearance],
            "M_c2o_lst": [self.crop_to_picture],
            "eye_open_lst": [self.eye_open],
            "eye_ball_lst": [self.eye_ball],
            "sc": self.motion["kp"].flatten(),
            "is_image_flag": True,
            "img_rgb_lst": [self.picture],
        }

    def to_bytes(self) -> bytes:
        """As a NumPy archive without pickles."""
        out = io.BytesIO()
        arrays = {f"motion_{name}": values for name, values in self.motion.items()}
        np.savez(
            out,
            allow_pickle=False,
            version=np.array(VERSION),
            picture=self.picture,
            appearance=self.appearance,
            crop_to_picture=self.crop_to_picture,
            eye_open=self.eye_open,
            eye_ball=self.eye_ball,
            **arrays,
        )
        return out.getvalue()


def identity_from_bytes(data: bytes) -> Identity:
    """The other way round. Raises ValueError for anything that is not one."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # zipfile, zlib and numpy have many ways to say that it is broken
        raise ValueError(f"not an archive of arrays: {error}") from error
    try:
        if int(arrays["version"]) != VERSION:
            raise ValueError(f"version {int(arrays['version'])}, not {VERSION}")
        identity = Identity(
            arrays["picture"],
            {name: arrays[f"motion_{name}"] for name in MOTION_SHAPES},
            arrays["appearance"],
            arrays["crop_to_picture"],
            arrays["eye_open"],
            arrays["eye_ball"],
        )
    except KeyError as error:
        raise ValueError(f"{error} is missing") from error
    _check(identity)
    return identity


def _check(identity: Identity) -> None:
    """Raises ValueError for shapes that would fail later."""
    wanted: list[tuple[str, npt.NDArray[np.generic], tuple[int, ...]]] = [
        (name, identity.motion[name], shape) for name, shape in MOTION_SHAPES.items()
    ]
    wanted += [
        ("crop_to_picture", identity.crop_to_picture, (3, 3)),
        ("eye_open", identity.eye_open, (1, 2)),
        ("eye_ball", identity.eye_ball, (1, 6)),
    ]
    for name, array, shape in wanted:
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}, not {shape}")
    if identity.picture.ndim != 3 or identity.picture.dtype != np.uint8:
        raise ValueError("picture is not 8-bit RGB")
    if identity.appearance.ndim != 5:
        raise ValueError(f"appearance has shape {identity.appearance.shape}")
