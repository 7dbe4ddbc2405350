"""What a TensorRT engine belongs to. One that was built for anything else must not be used."""

from dataclasses import dataclass
from pathlib import Path

from deployments.avatar.ditto.disk_cache import digest_of, file_id

Shapes = tuple[tuple[str, tuple[int, ...]], ...]
"""(name of the input, its shape)."""

NETWORK_SHAPES: dict[str, Shapes] = {
    "warp_network": (
        ("feature_3d", (1, 32, 16, 64, 64)),
        ("kp_source", (1, 21, 3)),
        ("kp_driving", (1, 21, 3)),
    ),
    "decoder": (("feature", (1, 256, 64, 64)),),
}
"""The networks that can be replaced, with the inputs of upstream's ONNX exports: one frame at a time."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What an engine is bound to besides the network."""

    gpu: str
    driver: str
    tensorrt: str


@dataclass(frozen=True, slots=True)
class EngineKey:
    """One engine."""

    machine: Machine
    network: str
    shapes: Shapes
    model: str
    """Which ONNX file (`file_id`)."""
    half: bool = True
    """16-bit floats."""

    @property
    def digest(self) -> str:
        """Another one for another GPU, driver, TensorRT, network, shape, model or precision."""
        machine = self.machine
        parts = (
            machine.gpu,
            machine.driver,
            machine.tensorrt,
            self.network,
            repr(self.shapes),
            self.model,
            str(self.half),
        )
        return f"{self.network}-{digest_of(*parts)}"


def key_of(machine: Machine, network: str, onnx: Path) -> EngineKey:
    """Raises OSError for an ONNX file that cannot be read."""
    return EngineKey(machine, network, NETWORK_SHAPES[network], file_id(onnx))
