"""What a call asks of the one who draws the face."""

from typing import Protocol


class FaceControl(Protocol):
    """Takes effect with the next block."""

    def request_keyframe(self) -> None:
        """The receiver has lost the picture: the next block must begin with a keyframe. May be asked repeatedly."""
        ...

    def set_bitrate(self, kbps: int) -> None:
        """Draw for so many bits from now on."""
        ...


class NoFace:
    """Where nobody draws."""

    def request_keyframe(self) -> None:
        """Nothing to do."""

    def set_bitrate(self, kbps: int) -> None:
        """Nothing to do."""
