"""What the user's Ditto checkpoint says about itself: its configuration pickle, read without running anything in it."""

import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments.avatar.ditto.law import WINDOW_FRAMES
from deployments.runtime.errors import ConfigError

_HARMLESS = {
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy.core.numeric", "_frombuffer"),
    ("collections", "OrderedDict"),
}
NETWORKS = ("stitch_network_cfg", "warp_network_cfg", "decoder_cfg", "hubert_cfg")
DETECTORS = (
    "insightface_det_cfg",
    "landmark106_cfg",
    "landmark203_cfg",
    "landmark478_cfg",
    "appearance_extractor_cfg",
    "motion_extractor_cfg",
)
_LANDMARK_PATHS = ("task_path", "blaze_face_model_path", "face_mesh_model_path")


@dataclass(frozen=True)
class Settings:
    """A checkpoint's configuration with whole paths, for one device."""

    networks: dict[str, dict[str, Any]]
    """By upstream's names: `NETWORKS` and `lmdm_cfg`, each with its `model_path`."""
    detectors: dict[str, dict[str, Any]]
    """What reads a picture: `DETECTORS`."""
    conditions: dict[str, Any]
    """Arguments of upstream's `ConditionHandler`."""
    defaults: dict[str, Any]
    """Upstream's `default_kwargs`: what its authors chose for this checkpoint."""

    @property
    def identity_files(self) -> tuple[Path, ...]:
        """The models that a prepared face comes from."""
        return tuple(path for section in self.detectors.values() for path in _paths(section))

    @property
    def files(self) -> tuple[Path, ...]:
        """Every model."""
        mine = tuple(path for section in self.networks.values() for path in _paths(section))
        return mine + self.identity_files


class _Plain(pickle.Unpickler):
    """Only data: a pickle can otherwise run any program."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _HARMLESS:
            raise ConfigError(f"it wants to load {module}.{name}, which no Ditto configuration needs")
        return super().find_class(module, name)


def read_settings(cfg_pkl: Path, weights: Path, device: str) -> Settings:
    """Raises ConfigError where the file is missing, not a Ditto configuration, or names a model that is not there."""
    config = _load(cfg_pkl)
    try:
        base, motion = config["base_cfg"], config["audio2motion_cfg"]
        settings = Settings(
            {name: _located(base[name], weights, device) for name in NETWORKS}
            | {"lmdm_cfg": _located(_motion_model(motion), weights, device)},
            {name: _located(base[name], weights, device) for name in DETECTORS},
            {name: motion[name] for name in ("use_emo", "use_sc", "use_eye_open", "use_eye_ball", "seq_frames")},
            dict(config["default_kwargs"]),
        )
        kind = motion["w2f_type"]
    except (KeyError, TypeError) as error:
        raise ConfigError(f"{cfg_pkl} is not a Ditto configuration: {error!r} is missing") from error
    if kind != "hubert":
        raise ConfigError(f"{cfg_pkl} hears with {kind!r}; only 'hubert' can be streamed")
    if motion["seq_frames"] != WINDOW_FRAMES:
        raise ConfigError(f"{cfg_pkl} has windows of {motion['seq_frames']} frames, not {WINDOW_FRAMES}")
    missing = [str(path) for path in settings.files if not path.is_file()]
    if missing:
        raise ConfigError(f"{cfg_pkl} names models that are not there: {', '.join(missing)}")
    return settings


def _load(cfg_pkl: Path) -> Any:
    try:
        return _Plain(io.BytesIO(cfg_pkl.read_bytes())).load()
    except ConfigError as error:
        raise ConfigError(f"{cfg_pkl} is refused: {error}") from error
    except OSError as error:
        raise ConfigError(f"Ditto's configuration cannot be read: {error}") from error
    except Exception as error:  # a broken pickle fails in any way
        raise ConfigError(f"{cfg_pkl} is not a pickle: {error}") from error


def _motion_model(motion: dict[str, Any]) -> dict[str, Any]:
    names = ("model_path", "device", "motion_feat_dim", "audio_feat_dim", "seq_frames")
    return {name: motion[name] for name in names}


def _located(section: dict[str, Any], weights: Path, device: str) -> dict[str, Any]:
    """As upstream's `parse_cfg`: a path that is no file as it stands lies in the folder of weights."""
    located = {**section, "device": device}
    for name in ("model_path", *_LANDMARK_PATHS):
        given = located.get(name)
        if given and not Path(given).is_file():
            located[name] = str(weights / given)
    return located


def _paths(section: dict[str, Any]) -> tuple[Path, ...]:
    names = ("task_path",) if section.get("force_ori_type") and section.get("task_path") else _LANDMARK_PATHS
    return tuple(Path(section[name]) for name in ("model_path", *names) if section.get(name))
