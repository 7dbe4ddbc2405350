"""A picture becomes an identity: upstream's detectors and extractors, run once for each face."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from deployments.avatar.contract import MAX_SIDE_PX
from deployments.avatar.ditto.checkout import Checkout
from deployments.avatar.ditto.identity import MOTION_SHAPES, Identity
from deployments.avatar.ditto.settings import Settings
from deployments.avatar.picture import decoded
from deployments.runtime.errors import ConfigError, EngineFailed, InvalidRequest

Picture = npt.NDArray[np.uint8]

_CROP = {"crop_scale": 2.3, "crop_vx_ratio": 0, "crop_vy_ratio": -0.125, "crop_flag_do_rot": True}


def read_picture(data: bytes) -> Picture:
    """PNG or JPEG as RGB with even sides of at most `MAX_SIDE_PX`. Raises InvalidRequest. Shape: (height, width, 3)."""
    picture = decoded(data)
    height, width = picture.shape[:2]
    factor = min(1.0, MAX_SIDE_PX / max(height, width))
    size = (max(2, int(width * factor) & ~1), max(2, int(height * factor) & ~1))
    if size != (width, height):
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    return np.ascontiguousarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


class Registrar:
    """Loads its models with the first picture: a face that is in the cache needs none of them."""

    def __init__(self, checkout: Checkout, settings: Settings) -> None:
        self._checkout = checkout
        self._settings = settings
        self._reader: Any = None

    @property
    def crop(self) -> dict[str, Any]:
        """How the face is cut out."""
        return {name: self._settings.defaults.get(name, value) for name, value in _CROP.items()}

    def identity(self, picture: Picture) -> Identity:
        """Raises InvalidRequest where no face is found, ConfigError where a model is missing, EngineFailed."""
        reader = self._loaded()
        try:
            if len(reader.insightface_det(picture)[0]) == 0:
                raise InvalidRequest("no face was found in the picture", code="no_face", param="picture")
            seen = reader(picture, None, **self.crop)
        except InvalidRequest:
            raise
        except (AttributeError, TypeError) as error:
            # The detectors answer None for a face that they cannot measure, and upstream goes on with it.
            raise InvalidRequest(
                "the face in the picture cannot be measured", code="no_face", param="picture"
            ) from error
        except Exception as error:  # ONNX and torch
            raise EngineFailed(f"the face could not be prepared: {error}") from error
        return Identity(
            picture,
            {name: _shaped(seen["x_s_info"][name], shape) for name, shape in MOTION_SHAPES.items()},
            np.asarray(seen["f_s"], np.float32),
            _shaped(seen["M_c2o"], (3, 3)),
            _shaped(seen["eye_open"], (1, 2)),
            _shaped(seen["eye_ball"], (1, 6)),
        )

    def _loaded(self) -> Any:
        if self._reader is None:
            kind = self._checkout.load("atomic_components.source2info").Source2Info
            try:
                self._reader = kind(**self._settings.detectors)
            except ImportError as error:
                raise ConfigError(f"avatar engine 'ditto': preparing a face needs a package: {error}") from error
            except Exception as error:  # ONNX, torch and mediapipe each have their own
                raise ConfigError(f"avatar engine 'ditto': the face detectors cannot be loaded: {error}") from error
        return self._reader


def _shaped(values: Any, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    return np.asarray(values, np.float32).reshape(shape)
