"""Ditto's networks, loaded by the user's own checkout from the user's own weights."""

import logging
from typing import Any

import numpy as np
import numpy.typing as npt

from deployments.avatar.ditto.checkout import Checkout
from deployments.avatar.ditto.law import FEATURES
from deployments.media.video import FRAMES_PER_BLOCK
from deployments.runtime.errors import ConfigError

Floats = npt.NDArray[np.float32]

logger = logging.getLogger(__name__)

_OWN_KEYS = ("model_path", "device", "force_ori_type")
_ROWS = slice(-14, -4)
"""Of HuBERT's 20 rows for a piece: those of the block itself, two for each frame."""


def torch_network(checkout: Checkout, section: dict[str, Any], kind: str) -> Any:
    """A `torch.nn.Module` of the checkout's class `kind`, on its device. Raises ConfigError.

    What a section of the configuration says beyond its path goes to the class.
    """
    path = section["model_path"]
    if not path.endswith((".pt", ".pth")):
        raise ConfigError(
            f"avatar engine 'ditto': {path} is not a PyTorch network; take v0.4_hubert_cfg_pytorch.pkl "
            "(TensorRT engines are built from ONNX: option 'onnx')"
        )
    load_model = checkout.load("utils.load_model").load_model
    options = {name: value for name, value in section.items() if name not in _OWN_KEYS}
    try:
        model, _ = load_model(path, device=section["device"], module_name=kind, **options)
    except ConfigError:
        raise
    except Exception as error:  # torch, pickle and zipfile each have their own
        raise ConfigError(f"avatar engine 'ditto': {kind} cannot be loaded from {path}: {error}") from error
    return model.eval()


class Hearing:
    """HuBERT. Its graph takes one piece at a time."""

    def __init__(self, checkout: Checkout, section: dict[str, Any]) -> None:
        try:
            self._hubert = checkout.load("aux_models.hubert_stream").HubertStreaming(**section)
        except ConfigError:
            raise
        except Exception as error:  # onnxruntime's errors have no common base
            raise ConfigError(f"avatar engine 'ditto': HuBERT cannot be loaded: {error}") from error
        self.calls = 0
        self._warn_of_processor(section["device"])

    def _warn_of_processor(self, device: str) -> None:
        """onnxruntime falls back without a word where its CUDA libraries do not fit."""
        model = self._hubert.model
        session = getattr(model, "session", model)
        if device.startswith("cuda") and hasattr(session, "get_providers"):
            providers = session.get_providers()
            if "CUDAExecutionProvider" not in providers:
                logger.warning("HuBERT runs on the processor: onnxruntime offers %s", ", ".join(providers))

    def __call__(self, sound: Floats) -> Floats:
        """Features of a block. Shapes: (6480,) at 16 kHz → (5, 1024)."""
        self.calls += 1
        encoding = np.asarray(self._hubert(sound), np.float32)[_ROWS]
        rows: Floats = encoding.reshape(FRAMES_PER_BLOCK, 2, FEATURES).mean(axis=1)
        return rows
