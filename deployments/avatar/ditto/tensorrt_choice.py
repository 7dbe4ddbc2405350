"""TensorRT for a network where it can be had, else PyTorch: always said, never silent."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from deployments.avatar.ditto.disk_cache import DiskCache
from deployments.avatar.ditto.tensorrt_key import EngineKey, Machine, key_of

logger = logging.getLogger(__name__)

Network = Callable[..., Any]


class EngineUnusable(Exception):
    """An engine cannot be built or loaded; the message says why."""


class Builder(Protocol):
    """What is used of TensorRT."""

    def machine(self) -> Machine:
        """Raises EngineUnusable where there is none."""
        ...

    def build(self, key: EngineKey, onnx: Path) -> bytes:
        """Takes minutes. Raises EngineUnusable."""
        ...

    def load(self, key: EngineKey, plan: bytes) -> Network:
        """Raises EngineUnusable for a plan that is not for this machine, or not with these inputs."""
        ...


class TensorRtChoice:
    """Replaces PyTorch networks by TensorRT engines that are cached by what they belong to."""

    def __init__(self, builder: Builder, cache: DiskCache, onnx: Path) -> None:
        self._builder = builder
        self._cache = cache
        self._onnx = onnx
        self.used: list[str] = []
        """Networks that run in TensorRT."""

    def choose(self, network: str, fallback: Network) -> Network:
        """The engine for a network; with a warning and the reason, `fallback` where there is none."""
        try:
            chosen = self._engine(network)
        except (EngineUnusable, OSError) as error:
            logger.warning("%s runs in PyTorch, not in TensorRT: %s", network, error)
            return fallback
        self.used.append(network)
        return chosen

    def _engine(self, network: str) -> Network:
        onnx = self._onnx / f"{network}.onnx"
        if not onnx.is_file():
            raise EngineUnusable(f"there is no {onnx} to build it from")
        key = key_of(self._builder.machine(), network, onnx)
        plan = self._cache.find(key.digest)
        if plan is not None:
            try:
                return self._builder.load(key, plan)
            except EngineUnusable as error:
                logger.warning("The cached TensorRT engine of %s is wrong and is built anew: %s", network, error)
                self._cache.forget(key.digest)
        logger.info("Building the TensorRT engine of %s: minutes", network)
        plan = self._builder.build(key, onnx)
        built = self._builder.load(key, plan)
        self._cache.store(key.digest, plan)
        return built
