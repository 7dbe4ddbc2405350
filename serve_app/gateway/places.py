"""How many requests of a kind are worked on at a time."""

from collections.abc import Iterator
from contextlib import contextmanager

from deployments.runtime.errors import ServerFull


class Places:
    """At most so many. Belongs to one event loop."""

    def __init__(self, at_most: int) -> None:
        self._at_most = at_most
        self._taken = 0

    @property
    def taken(self) -> int:
        """How many are worked on now."""
        return self._taken

    @contextmanager
    def one(self) -> Iterator[None]:
        """A place while it lasts. Raises ServerFull."""
        if self._taken >= self._at_most:
            raise ServerFull(f"{self._at_most} requests of this kind are being worked on: try again later")
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1
