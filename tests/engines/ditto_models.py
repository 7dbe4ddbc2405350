"""A checkpoint for the real Ditto code, with small random weights: it proves the path, never the picture.

The motion model, the stitching network and the appearance extractor have their true shapes. The renderer's channels are
a quarter of upstream's and it paints from a quarter of the volume (256 × 256 pixels), because at its true shapes one
frame takes 13 to 15 s of CPU time. HuBERT, of which the checkout has no code, is one random convolution with HuBERT's
stride and width.
"""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from deployments.avatar.ditto.checkout import Checkout
from deployments.avatar.ditto.identity import MOTION_SHAPES, Identity

SEED = 7
SIDE = 256
"""Of the painted square."""
CONDITIONS = 1024 + 8 + 2 + 6 + 63
WARP = {"block_expansion": 16}
DECODER = {"block_expansion": 16, "out_channels": 16, "max_features": 64}


@dataclass(frozen=True)
class Checkpoint:
    """Paths as a user configures them, and a face."""

    checkout: Path
    weights: Path
    cfg_pkl: Path
    identity: Identity
    picture: bytes
    """PNG."""


def make_checkpoint(checkout: Checkout, folder: Path, place: Path) -> Checkpoint:
    """Write it. Takes some seconds."""
    import torch

    torch.manual_seed(SEED)
    modules = checkout.load("models.modules")
    weights = place / "weights"
    weights.mkdir()
    torch.save({"retarget_shoulder": modules.StitchingNetwork().state_dict()}, weights / "stitch_network.pth")
    torch.save(modules.WarpingNetwork(**WARP).state_dict(), weights / "warp_network.pth")
    torch.save(modules.SPADEDecoder(**DECODER).state_dict(), weights / "decoder.pth")
    motion = modules.LMDM(motion_feat_dim=265, audio_feat_dim=CONDITIONS, seq_frames=80)
    torch.save({"model_state_dict": motion.model.state_dict()}, weights / "lmdm.pth")
    _write_hearing(weights / "hubert.onnx")
    for name in ("det", "lmk106", "lmk203", "task", "appearance", "motion"):
        (weights / name).write_bytes(b"never opened: the face is prepared")
    cfg_pkl = place / "cfg.pkl"
    cfg_pkl.write_bytes(pickle.dumps(_configuration()))
    picture = _picture()
    identity = _identity(modules, picture)
    encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]
    return Checkpoint(folder, weights, cfg_pkl, identity, encoded.tobytes())


def _configuration() -> dict[str, Any]:
    """As upstream's pickles are built: data and NumPy arrays."""
    draw = np.random.default_rng(SEED)
    models: dict[str, dict[str, Any]] = {
        "insightface_det_cfg": {"model_path": "det"},
        "landmark106_cfg": {"model_path": "lmk106"},
        "landmark203_cfg": {"model_path": "lmk203"},
        "landmark478_cfg": {"task_path": "task", "force_ori_type": True},
        "appearance_extractor_cfg": {"model_path": "appearance"},
        "motion_extractor_cfg": {"model_path": "motion"},
        "stitch_network_cfg": {"model_path": "stitch_network.pth"},
        "warp_network_cfg": {"model_path": "warp_network.pth", **WARP},
        "decoder_cfg": {"model_path": "decoder.pth", **DECODER},
        "hubert_cfg": {"model_path": "hubert.onnx"},
    }
    flags = dict.fromkeys(("use_emo", "use_sc", "use_eye_open", "use_eye_ball"), True)
    return {
        "base_cfg": {name: {**section, "device": "cuda"} for name, section in models.items()},
        "audio2motion_cfg": {
            "model_path": "lmdm.pth",
            "device": "cuda",
            "motion_feat_dim": 265,
            "audio_feat_dim": CONDITIONS,
            "seq_frames": 80,
            "w2f_type": "hubert",
            **flags,
        },
        "default_kwargs": {
            "v_min_max_for_clip": [np.full(265, -2.0, np.float32), np.full(265, 2.0, np.float32)],
            "use_d_keys": {"exp": 1.0, "pitch": 1.0, "yaw": 1.0, "roll": 1.0, "t": 1.0},
            "delta_eye_arr": draw.normal(0.0, 0.01, (15, 63)).astype(np.float32),
            "delta_eye_open_n": 0,
            "smo_k_d": 3,
        },
    }


def _write_hearing(path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    draw = np.random.default_rng(SEED)
    filters = numpy_helper.from_array(draw.normal(0.0, 0.3, (1024, 1, 400)).astype(np.float32), "filters")
    row = numpy_helper.from_array(np.array([1, 1, -1], np.int64), "row")
    rows = numpy_helper.from_array(np.array([1024, -1], np.int64), "rows")
    nodes = [
        helper.make_node("Reshape", ["input_values", "row"], ["sound"]),
        helper.make_node("Conv", ["sound", "filters"], ["felt"], strides=[320], kernel_shape=[400]),
        helper.make_node("Tanh", ["felt"], ["bounded"]),
        helper.make_node("Reshape", ["bounded", "rows"], ["table"]),
        helper.make_node("Transpose", ["table"], ["encoding_out"], perm=[1, 0]),
    ]
    graph = helper.make_graph(
        nodes,
        "hearing",
        [helper.make_tensor_value_info("input_values", TensorProto.FLOAT, [1, "samples"])],
        [helper.make_tensor_value_info("encoding_out", TensorProto.FLOAT, ["rows", 1024])],
        [filters, row, rows],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save(model, str(path))


def _picture() -> npt.NDArray[np.uint8]:
    """Shape: (150, 100, 3)."""
    draw = np.random.default_rng(SEED)
    coarse = draw.integers(0, 256, (15, 10, 3), dtype=np.uint8)
    return np.ascontiguousarray(cv2.resize(coarse, (100, 150), interpolation=cv2.INTER_CUBIC), np.uint8)


def _identity(modules: Any, picture: npt.NDArray[np.uint8]) -> Identity:
    """The extractors' real code; in the place of the detectors, which need real weights, a known square."""
    import torch

    square = np.ascontiguousarray(picture[30:130, :])
    small = cv2.resize(square, (SIDE // 2, SIDE // 2)).astype(np.float32) / 255.0
    image = torch.from_numpy(small.transpose(2, 0, 1).copy())[None]
    with torch.inference_mode():
        appearance = modules.AppearanceFeatureExtractor().eval()(image).numpy()
        pitch, yaw, roll, t, exp, scale, kp = modules.MotionExtractor().eval()(image)
    seen = {"pitch": pitch, "yaw": yaw, "roll": roll, "t": t, "exp": exp, "scale": scale.abs() * 0 + 1.0, "kp": kp}
    motion = {name: seen[name].numpy().reshape(shape).astype(np.float32) for name, shape in MOTION_SHAPES.items()}
    factor = 100.0 / SIDE
    place = np.array([[factor, 0.0, 0.0], [0.0, factor, 30.0], [0.0, 0.0, 1.0]], np.float32)
    return Identity(
        picture, motion, appearance, place, np.full((1, 2), 0.4, np.float32), np.full((1, 6), 0.1, np.float32)
    )
