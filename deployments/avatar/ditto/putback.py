"""Puts the painted square back into the portrait: by the processor with OpenCV, or on the device.

What upstream's `PutBack` does, with what does not change for a portrait prepared once: its blend is Cython that it
compiles on import, over the whole picture for each frame.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from deployments.avatar.ditto.identity import Identity

if TYPE_CHECKING:
    import torch

Floats = npt.NDArray[np.float32]
Pictures = list[npt.NDArray[np.uint8]]
"""RGB. Shape of each: (height, width, 3)."""


class Putback(Protocol):
    """For one portrait."""

    def __call__(self, squares: Sequence["torch.Tensor"]) -> Pictures:
        """Whole pictures from painted squares. Shape of each: (3, side, side), 0 to 1, on the device."""
        ...


class CpuPutback:
    """Blends only where the mask is not zero. `mask`: weights over the square. Shape: (side, side)."""

    def __init__(self, identity: Identity, mask: Floats) -> None:
        self._picture = identity.picture
        size = (identity.width, identity.height)
        affine = identity.crop_to_picture[:2].astype(np.float64)
        weights = cv2.warpAffine(mask, affine, size, flags=cv2.INTER_LINEAR).clip(0.0, 1.0)
        rows, columns = np.flatnonzero(weights.any(axis=1)), np.flatnonzero(weights.any(axis=0))
        if not rows.size:
            raise ValueError("the painted square lies outside the picture")
        self._place = (slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))
        self._size = (int(columns[-1] - columns[0]) + 1, int(rows[-1] - rows[0]) + 1)
        self._affine = affine - np.array([[0.0, 0.0, columns[0]], [0.0, 0.0, rows[0]]])
        self._weights = weights[self._place][:, :, None].astype(np.float32)
        self._rest = (1.0 - self._weights) * self._picture[self._place]

    def __call__(self, squares: Sequence["torch.Tensor"]) -> Pictures:
        return [self._one(square.permute(1, 2, 0).cpu().numpy()) for square in squares]

    def _one(self, square: Floats) -> npt.NDArray[np.uint8]:
        warped = cv2.warpAffine(np.ascontiguousarray(square) * 255.0, self._affine, self._size, flags=cv2.INTER_LINEAR)
        picture = self._picture.copy()
        picture[self._place] = np.clip(self._weights * warped + self._rest, 0.0, 255.0).astype(np.uint8)
        return picture


class DevicePutback:
    """The same with `grid_sample` on the device: what is copied to the processor are finished pictures."""

    def __init__(self, identity: Identity, mask: Floats, device: str) -> None:
        import torch

        inverse = np.linalg.inv(identity.crop_to_picture.astype(np.float64))
        across, down = np.meshgrid(np.arange(identity.width), np.arange(identity.height))
        points = np.stack([across, down, np.ones_like(across)], axis=-1) @ inverse.T  # (h, w, 3)
        side = np.array([mask.shape[1] - 1, mask.shape[0] - 1])
        grid = (2.0 * points[..., :2] / side - 1.0).astype(np.float32)
        with torch.inference_mode():
            self._grid = torch.from_numpy(grid)[None].to(device)
            edge = self._sampled(torch.from_numpy(mask)[None, None].to(device))
            self._weights = edge.clamp(0.0, 1.0)  # (1, 1, h, w)
            background = torch.from_numpy(identity.picture).to(device).permute(2, 0, 1)[None].float()
            self._rest = (1.0 - self._weights) * background

    def __call__(self, squares: Sequence["torch.Tensor"]) -> Pictures:
        import torch

        with torch.inference_mode():
            warped = self._sampled(torch.stack(list(squares)) * 255.0)
            blended = (self._weights * warped + self._rest).clamp(0.0, 255.0)
            pictures = blended.to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
        return list(pictures)

    def _sampled(self, values: "torch.Tensor") -> "torch.Tensor":
        from torch.nn.functional import grid_sample

        grid = self._grid.expand(values.shape[0], -1, -1, -1)
        return grid_sample(values, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
