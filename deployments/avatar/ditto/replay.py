"""A function of tensors, recorded once as a CUDA graph for each batch size and replayed.

Ditto's renderer launches about 2,000 kernels a frame, so without this the processor, not the GPU, sets the pace
(adamreading/ditto-talkinghead-blackwell, BLACKWELL.md: 24.1 → 14.2 ms a frame).
"""

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

_WARM_UP_RUNS = 3
"""Before recording: libraries choose their algorithms, and caches inside the networks fill."""


def batch_sizes(largest: int) -> tuple[int, ...]:
    """1, 2, 4 … `largest`: the sizes that are recorded."""
    return tuple(sorted({1 << power for power in range(largest.bit_length()) if 1 << power <= largest}))


def split(count: int, sizes: Sequence[int]) -> list[int]:
    """`count` as a sum of the sizes, largest first, so that nothing is computed for padding: 13 → 8, 4, 1."""
    parts = []
    for size in sorted(sizes, reverse=True):
        whole, count = divmod(count, size)
        parts += [size] * whole
    return parts


class Replay:
    """Calls `function` with tensors whose first dimension is the batch. Sizes not recorded run as they are."""

    def __init__(self, name: str, function: Callable[..., "torch.Tensor"]) -> None:
        self._name = name
        self._function = function
        self._pool: tuple[int, int] | None = None
        self._recorded: dict[int, tuple[torch.cuda.CUDAGraph, tuple[torch.Tensor, ...], torch.Tensor]] = {}

    @property
    def recorded(self) -> tuple[int, ...]:
        """Batch sizes that are replayed."""
        return tuple(sorted(self._recorded))

    def record(self, sizes: Sequence[int], *rows: "torch.Tensor") -> None:
        """Record for these batch sizes, from an example of one row. Where that fails it is said, and runs as it is."""
        # Largest first: the smaller ones then fit into the memory that it left.
        for size in sorted(sizes, reverse=True):
            try:
                self._record(size, rows)
            except Exception:  # whatever the driver or a network objects to, eager still works
                logger.warning(
                    "%s cannot be recorded for batches of %d; it runs eagerly", self._name, size, exc_info=True
                )

    def _record(self, size: int, rows: Sequence["torch.Tensor"]) -> None:
        import torch

        static = tuple(row.repeat(size, *[1] * (row.dim() - 1)).contiguous() for row in rows)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_WARM_UP_RUNS):
                self._function(*static)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # One pool for all sizes: no two run at once, and what one gives is copied before the next begins.
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        with torch.cuda.graph(graph, pool=self._pool):
            result = self._function(*static)
        self._recorded[size] = (graph, static, result)

    def __call__(self, *batch: "torch.Tensor") -> "torch.Tensor":
        """The function's result; it stays valid."""
        recorded = self._recorded.get(batch[0].shape[0])
        if recorded is None:
            return self._function(*batch)
        graph, static, result = recorded
        for place, values in zip(static, batch, strict=True):
            place.copy_(values)
        graph.replay()
        return result.clone()
