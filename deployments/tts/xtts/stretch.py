"""Linear interpolation along time, in a stream."""

import math
from typing import Any


class LinearStretch:
    """What `torch.nn.functional.interpolate(mode="linear", scale_factor=scale)` makes of all frames, as they come.

    Output k sits at the place (k + ½) / scale - ½ of the input (half-pixel centres, no aligned corners).
    """

    def __init__(self, scale: float) -> None:
        self._scale = scale
        self._kept: Any = None
        """Frames that later outputs may need. Shape: (frames, channels)."""
        self._first = 0
        """Place of the first kept frame among all."""
        self._given = 0

    def push(self, frames: Any, *, last: bool = False) -> Any:
        """The outputs that are certain now; with `last` the rest. Shapes: (frames, channels)."""
        import torch

        self._kept = frames if self._kept is None else torch.cat((self._kept, frames))
        total = self._first + len(self._kept)
        end = math.floor(total * self._scale)
        if not last:
            # Those between two frames that are there.
            end = min(end, math.ceil((total - 0.5) * self._scale - 0.5))
        end = max(end, self._given)
        places = torch.arange(self._given, end, dtype=torch.float64)
        places = ((places + 0.5) / self._scale - 0.5).clamp(min=0)
        left = places.floor().to(torch.int64)
        right = (left + 1).clamp(max=total - 1)
        weight = (places - left).to(frames.dtype).to(frames.device)[:, None]
        at_left, at_right = (left - self._first).to(frames.device), (right - self._first).to(frames.device)
        stretched = self._kept[at_left] * (1 - weight) + self._kept[at_right] * weight
        self._given = end
        needed = max(0, math.floor((end + 0.5) / self._scale - 0.5))
        drop = min(max(0, needed - self._first), len(self._kept))
        self._kept, self._first = self._kept[drop:], self._first + drop
        return stretched
