"""Key points to pictures: stitch, warp and decode in one piece on the device, recorded as one CUDA graph."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from deployments.avatar.ditto.replay import Replay, batch_sizes, split

if TYPE_CHECKING:
    import torch

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Row:
    """One frame to paint."""

    appearance: "torch.Tensor"
    """On the device. Shape: (1, 32, 16, 64, 64)."""
    source: Floats
    """Shape: (21, 3)."""
    driven: Floats
    """Shape: (21, 3)."""


class Painter:
    """`stitch` may be None where the checkpoint does without it. The networks take and give batches."""

    def __init__(
        self,
        stitch: Callable[..., Any] | None,
        warp: Callable[..., Any],
        decode: Callable[..., Any],
        device: str,
        max_batch: int,
    ) -> None:
        self.stitch = stitch
        self._warp = warp
        self._decode = decode
        self._device = device
        self._sizes = batch_sizes(max_batch)
        self.paint_batch = Replay("Ditto's renderer", self._paint)
        self.batches: dict[int, int] = {}
        """How many batches there were of each size."""

    def record(self, appearance: "torch.Tensor") -> None:
        """As CUDA graphs, for every batch size."""
        import torch

        with torch.inference_mode():
            points = torch.zeros((1, 21, 3), device=self._device)
            self.paint_batch.record(self._sizes, appearance, points, points)

    def paint(self, rows: Sequence[Row]) -> list["torch.Tensor"]:
        """RGB of 0 to 1, on the device. Shape of each: (3, 512, 512)."""
        import torch

        painted: list[torch.Tensor] = []
        with torch.inference_mode():
            for size in split(len(rows), self._sizes):
                part = rows[len(painted) : len(painted) + size]
                self.batches[size] = self.batches.get(size, 0) + 1
                appearance = torch.cat([row.appearance for row in part])
                source = torch.from_numpy(np.stack([row.source for row in part])).to(self._device)
                driven = torch.from_numpy(np.stack([row.driven for row in part])).to(self._device)
                painted += self.paint_batch(appearance, source, driven).unbind(0)
        return painted

    def _paint(self, appearance: "torch.Tensor", source: "torch.Tensor", driven: "torch.Tensor") -> "torch.Tensor":
        import torch

        # The networks make some of their grids with no device given, on the processor; a copy from there cannot be
        # recorded. Inside this they are made where they are used.
        with torch.device(self._device):
            target = driven if self.stitch is None else self.stitch(source, driven)
            with self._half_precision():
                picture: torch.Tensor = self._decode(self._warp(appearance, source, target))
        return picture.float().clamp(0.0, 1.0)

    def _half_precision(self) -> AbstractContextManager[Any]:
        """As upstream, on a GPU. A processor is faster without."""
        import torch

        if self._device.startswith("cuda"):
            half: AbstractContextManager[Any] = torch.autocast(device_type="cuda", dtype=torch.float16)
            return half
        return nullcontext()
