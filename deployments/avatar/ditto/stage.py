"""One step of the device: the next block of several faces, each network run once for all of them.

Everything here runs in the one thread that owns the device.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from deployments.avatar.contract import FaceBlock
from deployments.avatar.ditto.identity import Identity
from deployments.avatar.ditto.motion import Window
from deployments.avatar.ditto.networks import Hearing
from deployments.avatar.ditto.painter import Painter, Row
from deployments.avatar.ditto.putback import CpuPutback, DevicePutback, Pictures, Putback
from deployments.avatar.ditto.replay import batch_sizes, split
from deployments.avatar.ditto.sampler import Sampler
from deployments.avatar.ditto.session import FaceSession, KeyPoints
from deployments.avatar.ditto.sound import heard
from deployments.runtime.errors import EngineFailed

if TYPE_CHECKING:
    import torch

Floats = npt.NDArray[np.float32]

logger = logging.getLogger(__name__)

_FACES_KEPT = 32
"""On the device: 8.4 MB each, and their masks."""


@dataclass(frozen=True)
class Job:
    """A face's next block."""

    session: FaceSession
    block: FaceBlock


@dataclass(frozen=True)
class Placed:
    """An identity on the device."""

    identity: Identity
    appearance: "torch.Tensor"
    putback: Putback


class Stage:
    """`mask_of` gives the weights of a painted square of a side; `on_device` says where pictures are put together."""

    def __init__(
        self,
        hearing: Hearing,
        sampler: Sampler,
        painter: Painter,
        mask_of: Callable[[int], Floats],
        device: str,
        on_device: bool,
        max_batch: int,
    ) -> None:
        self.hearing = hearing
        self.sampler = sampler
        self.painter = painter
        self._mask_of = mask_of
        self._device = device
        self._on_device = on_device
        self._sizes = batch_sizes(max_batch)
        self._mask: Floats | None = None
        self._placed: OrderedDict[int, Placed] = OrderedDict()

    def step(self, jobs: Sequence[Job]) -> Sequence[Pictures | BaseException]:
        """The five pictures of each job's block. After an error its faces begin anew with their next blocks."""
        try:
            for job in jobs:
                job.session.begin(job.block)
            self._hear(jobs)
            self._move(jobs)
            return self._draw(jobs)
        except Exception as error:  # torch, onnxruntime and upstream each have their own
            logger.exception("A step of %d faces failed", len(jobs))
            for job in jobs:
                job.session.restart()
            failed = EngineFailed(f"Ditto failed: {error}")
            failed.__cause__ = error
            return [failed] * len(jobs)

    def _hear(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            for block, piece in job.session.stale():
                job.session.put_features(block, piece, self.hearing(heard(piece)))
            job.session.features_complete()

    def _move(self, jobs: Sequence[Job]) -> None:
        """Windows of a face follow from each other; those of different faces are run together."""
        while wanted := [(job.session, window) for job in jobs if (window := job.session.wanted()) is not None]:
            done = 0
            for size in split(len(wanted), self._sizes):
                self._run(wanted[done : done + size])
                done += size

    def _run(self, wanted: Sequence[tuple[FaceSession, Window]]) -> None:
        start = np.concatenate([window.start for _, window in wanted])
        cond = np.stack([session.condition(window) for session, window in wanted])
        moved = self.sampler.sample(start, cond, [window.index for _, window in wanted])
        for place, (session, window) in enumerate(wanted):
            session.put_motion(window, moved[place : place + 1])

    def _draw(self, jobs: Sequence[Job]) -> list[Pictures | BaseException]:
        faces = [(self.place(job.session.identity), job.session.key_points()) for job in jobs]
        squares = self.painter.paint([row for placed, points in faces for row in _rows(placed, points)])
        pictures: list[Pictures | BaseException] = []
        done = 0
        for placed, points in faces:
            count = len(points.driven)
            pictures.append(placed.putback(squares[done : done + count]))
            done += count
        return pictures

    def place(self, identity: Identity) -> Placed:
        """The identity on the device; what was not used for longest makes room."""
        key = id(identity)
        placed = self._placed.get(key)
        if placed is None:
            placed = self._put(identity)
            self._placed[key] = placed
            if len(self._placed) > _FACES_KEPT:
                self._placed.popitem(last=False)
        self._placed.move_to_end(key)
        return placed

    def _put(self, identity: Identity) -> Placed:
        import torch

        appearance = torch.from_numpy(identity.appearance).to(self._device)
        mask = self._square_mask(appearance)
        if self._on_device:
            return Placed(identity, appearance, DevicePutback(identity, mask, self._device))
        return Placed(identity, appearance, CpuPutback(identity, mask))

    def _square_mask(self, appearance: "torch.Tensor") -> Floats:
        """Painted once to see how large a square is: 512 with upstream's networks."""
        if self._mask is None:
            still = np.zeros((21, 3), np.float32)
            square = self.painter.paint([Row(appearance, still, still)])[0]
            self._mask = self._mask_of(int(square.shape[-1]))
        return self._mask

    def record(self, identity: Identity) -> None:
        """Record the CUDA graphs, before anybody waits."""
        self.sampler.record(self._sizes)
        self.painter.record(self.place(identity).appearance)


def _rows(placed: Placed, points: KeyPoints) -> list[Row]:
    return [Row(placed.appearance, points.source[0], driven) for driven in points.driven]
