"""Where a container is written to while it is sent."""


class Sink:
    """What the library writes. It has no `seek`, so nothing that was taken is changed."""

    def __init__(self) -> None:
        self._written = bytearray()

    def write(self, data: bytes) -> int:
        """Called by the library."""
        self._written += data
        return len(data)

    def taken(self) -> bytes:
        """What was written since the last call."""
        taken, self._written = bytes(self._written), bytearray()
        return taken
