"""What the two clients of a face have in common: one by WebRTC (`call_viewer.py`), one by the WebSocket."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from av import VideoFrame

from benchmarks.in_step import Heard, Shown
from deployments.avatar.test_pattern import read_frame_number, read_openness

_DEADLINE_S = 15.0
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Received:
    """By a client, from its first picture on, in the order in which it is shown and heard."""

    pictures: list[Shown]
    sound: list[Heard]
    errors: list[str]
    """What the server reported, such as a picture that came too late."""


class Viewer(Protocol):
    """A client with a face. Times are those of `time.monotonic`."""

    async def ask(self) -> float:
        """Ask for a reply; when its first sound has come."""
        ...

    async def cancel(self) -> float:
        """Stop the reply; when that was asked."""
        ...

    def received(self) -> Received:
        """All so far."""
        ...


async def in_time(awaited: Awaitable[_T], what: str) -> _T:
    """Raises RuntimeError after 15 s."""
    try:
        async with asyncio.timeout(_DEADLINE_S):
            return await awaited
    except TimeoutError as error:
        raise RuntimeError(f"no {what} within {_DEADLINE_S:g} s") from error


def read(picture: VideoFrame) -> tuple[int | None, float]:
    """The number that it shows, and how far its mouth is open."""
    pixels = picture.to_ndarray(format="gray").astype(np.uint8, copy=False)
    return read_frame_number(pixels), read_openness(pixels)
