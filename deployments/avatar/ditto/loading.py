"""From paths to a stage that is ready: everything heavy, in the thread that owns the device."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deployments.avatar.ditto.checkout import Checkout
from deployments.avatar.ditto.disk_cache import DiskCache
from deployments.avatar.ditto.law import Law
from deployments.avatar.ditto.networks import Hearing, torch_network
from deployments.avatar.ditto.painter import Painter
from deployments.avatar.ditto.registrar import Registrar
from deployments.avatar.ditto.sampler import Sampler
from deployments.avatar.ditto.session import SessionParts
from deployments.avatar.ditto.settings import Settings, read_settings
from deployments.avatar.ditto.sound import PIECE_SAMPLES
from deployments.avatar.ditto.stage import Stage
from deployments.avatar.ditto.tensorrt_builder import TensorRtBuilder
from deployments.avatar.ditto.tensorrt_choice import EngineUnusable, TensorRtChoice
from deployments.runtime.engines import missing_package
from deployments.runtime.errors import ConfigError

logger = logging.getLogger(__name__)

_MASK_SHARE = 0.9
"""Of the painted square's sides that the mask leaves whole, as upstream."""


@dataclass(frozen=True)
class LoadOptions:
    """What the engine's configuration says about loading."""

    checkout: Path
    weights: Path
    cfg_pkl: Path
    device: str
    """`auto`, `cuda` or `cpu`."""
    backend: str
    """`auto`, `pytorch` or `tensorrt`."""
    onnx: Path | None
    cache: Path
    law: Law
    sampling_timesteps: int
    seed: int
    emotion: int
    max_batch: int
    putback: str
    """`auto`, `cpu` or `device`."""


@dataclass(frozen=True)
class Loaded:
    """What the engine works with."""

    stage: Stage
    parts: SessionParts
    registrar: Registrar
    settings: Settings
    device: str


def load(options: LoadOptions) -> Loaded:
    """Raises ConfigError for whatever is missing or does not fit. Takes seconds."""
    device = _device(options.device)
    checkout = Checkout(options.checkout)
    settings = read_settings(options.cfg_pkl, options.weights, device)
    components = checkout.components()
    hearing = Hearing(checkout, settings.networks["hubert_cfg"])
    stage = Stage(
        hearing,
        _sampler(checkout, settings, options, device),
        _painter(checkout, settings, options, device),
        _mask_of(checkout),
        device,
        _on_device(options.putback, device),
        options.max_batch,
    )
    silence = hearing(np.zeros(PIECE_SAMPLES, np.float32))
    parts = SessionParts(
        components, settings.conditions, settings.defaults, options.law, silence, options.emotion, options.seed
    )
    return Loaded(stage, parts, Registrar(checkout, settings), settings, device)


def _device(wanted: str) -> str:
    try:
        import torch
    except ImportError as error:
        raise missing_package(error, "ditto") from error
    if wanted == "cpu":
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    if wanted == "cuda":
        raise ConfigError("avatar engine 'ditto': device 'cuda' is asked for and torch finds no GPU")
    logger.warning("Ditto runs on the processor, far slower than speech: torch finds no GPU")
    return "cpu"


def _sampler(checkout: Checkout, settings: Settings, options: LoadOptions, device: str) -> Sampler:
    model = torch_network(checkout, settings.networks["lmdm_cfg"], "LMDM")
    return Sampler(model, options.sampling_timesteps, options.seed, device)


def _painter(checkout: Checkout, settings: Settings, options: LoadOptions, device: str) -> Painter:
    stitch = None
    if settings.defaults.get("flag_stitching", True):
        stitch = torch_network(checkout, settings.networks["stitch_network_cfg"], "StitchingNetwork")
    warp: Any = torch_network(checkout, settings.networks["warp_network_cfg"], "WarpingNetwork")
    decode: Any = torch_network(checkout, settings.networks["decoder_cfg"], "SPADEDecoder")
    choice = tensorrt_choice(options, device)
    if choice is not None:
        warp = choice.choose("warp_network", warp)
        decode = choice.choose("decoder", decode)
    return Painter(stitch, warp, decode, device, options.max_batch)


def tensorrt_choice(options: LoadOptions, device: str) -> TensorRtChoice | None:
    """None where PyTorch is asked for, or TensorRT cannot be had. `auto` takes it where ONNX files are named."""
    if options.backend == "pytorch" or (options.backend == "auto" and (device == "cpu" or options.onnx is None)):
        return None
    try:
        if device == "cpu":
            raise EngineUnusable("it needs a GPU")
        if options.onnx is None:
            raise EngineUnusable("the option 'onnx' does not say where the ONNX files are")
        return TensorRtChoice(
            TensorRtBuilder(options.onnx), DiskCache(options.cache / "tensorrt", ".engine"), options.onnx
        )
    except EngineUnusable as error:
        logger.warning("Ditto runs in PyTorch, not in TensorRT: %s", error)
        return None


def _mask_of(checkout: Checkout) -> Any:
    get_mask = checkout.load("utils.get_mask").get_mask
    return lambda side: np.asarray(get_mask(side, side, _MASK_SHARE, _MASK_SHARE)[:, :, 0], np.float32)


def _on_device(putback: str, device: str) -> bool:
    return putback == "device" or (putback == "auto" and device != "cpu")
