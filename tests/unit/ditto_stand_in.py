"""A folder that looks like a checkout of Ditto, with weights and a configuration, and needs no torch.

Written anew for each test: what the engine imports of a checkout stays in the process, so `released` lets it go.
"""

import pickle
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

_READER = '''
import numpy as np


class _Detector:
    def __call__(self, picture):
        """The darker the picture, the less there is of a face."""
        return np.zeros((int(picture.mean() > 20), 5)), None


class Source2Info:
    made = 0

    def __init__(self, **detectors):
        assert detectors["motion_extractor_cfg"]["device"] == "cpu"
        self.insightface_det = _Detector()

    def __call__(self, picture, last, crop_scale, crop_vx_ratio, crop_vy_ratio, crop_flag_do_rot):
        Source2Info.made += 1
        if picture.mean() > 200:
            raise TypeError("cannot unpack non-iterable NoneType object")
        if picture.mean() > 150:
            raise RuntimeError("out of memory")
        shapes = {"scale": 1, "pitch": 66, "yaw": 66, "roll": 66, "t": 3, "exp": 63, "kp": 63}
        return {
            "x_s_info": {name: np.full((1, size), 0.25, np.float32) for name, size in shapes.items()},
            "f_s": np.ones((1, 2, 4, 4, 4), np.float32),
            "M_c2o": np.eye(3),
            "eye_open": np.ones((1, 2)),
            "eye_ball": np.ones((1, 6)),
        }
'''
_SETUPS = {
    "audio2motion": (
        "class Audio2Motion:\n"
        "    def setup(self, x_s_info, overlap_v2, online_mode, sampling_timesteps, smo_k_d): ...\n"
    ),
    "motion_stitch": "class MotionStitch:\n    def setup(self, x_s_info, d0, is_image_flag, delta_eye_arr): ...\n",
    "condition_handler": "class ConditionHandler: ...\n",
}
_MODELS = ("det", "lmk106", "lmk203", "task", "appearance", "motion", "stitch", "warp", "decoder", "hubert", "lmdm")


@dataclass(frozen=True)
class StandIn:
    """Paths as a user configures them."""

    checkout: Path
    weights: Path
    cfg_pkl: Path

    def write(self, configuration: Any) -> None:
        """Another configuration."""
        self.cfg_pkl.write_bytes(pickle.dumps(configuration))


def configuration() -> dict[str, Any]:
    """As upstream's pickles are built."""
    names = ("stitch", "warp", "decoder", "hubert")
    sections = ("stitch_network_cfg", "warp_network_cfg", "decoder_cfg", "hubert_cfg")
    base: dict[str, dict[str, Any]] = {
        section: {"model_path": f"{name}.pth", "device": "cuda"} for section, name in zip(sections, names, strict=True)
    }
    for name in ("insightface_det", "landmark106", "landmark203", "appearance_extractor", "motion_extractor"):
        short = {"insightface_det": "det", "landmark106": "lmk106", "landmark203": "lmk203"}
        path = short.get(name, name.partition("_")[0])
        base[f"{name}_cfg"] = {"model_path": f"{path}.pth", "device": "cuda"}
    base["landmark478_cfg"] = {"task_path": "task.pth", "force_ori_type": True, "device": "cuda"}
    flags = dict.fromkeys(("use_emo", "use_sc", "use_eye_open", "use_eye_ball"), True)
    return {
        "base_cfg": base,
        "audio2motion_cfg": {
            "model_path": "lmdm.pth",
            "device": "cuda",
            "motion_feat_dim": 265,
            "audio_feat_dim": 1103,
            "seq_frames": 80,
            "w2f_type": "hubert",
            **flags,
        },
        "default_kwargs": {"v_min_max_for_clip": [np.zeros(265, np.float32)] * 2, "smo_k_d": 3},
    }


def stand_in(place: Path) -> StandIn:
    """Write all of it."""
    checkout = place / "ditto-talkinghead"
    parts = checkout / "core" / "atomic_components"
    for folder in (parts, checkout / "core" / "aux_models", checkout / "core" / "models" / "modules"):
        folder.mkdir(parents=True)
    (checkout / "core" / "utils").mkdir()
    for name, text in _SETUPS.items():
        (parts / f"{name}.py").write_text(text)
    (parts / "source2info.py").write_text(_READER)
    for name in ("aux_models/hubert_stream", "models/modules/__init__", "utils/get_mask", "utils/load_model"):
        (checkout / "core" / f"{name}.py").write_text("")
    weights = place / "ditto_pytorch"
    weights.mkdir()
    for name in _MODELS:
        (weights / f"{name}.pth").write_bytes(name.encode())
    made = StandIn(checkout, weights, place / "cfg.pkl")
    made.write(configuration())
    return made


def png(level: int, width: int = 120, height: int = 97) -> bytes:
    """A grey picture."""
    return cv2.imencode(".png", np.full((height, width, 3), level, np.uint8))[1].tobytes()


@contextmanager
def released() -> Generator[None]:
    """Afterwards, nothing of a checkout is left in the process."""
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name == "core" or name.startswith("core.")]:
            del sys.modules[name]
