"""How many bits a face may take, from what its receiver reports.

The loss-based part of Google's congestion control (draft-ietf-rmcat-gcc-02 §6): over 10% lost, less by half of the
loss; under 2%, 5% more; in between as it is. Never more than the receiver's own estimate (REMB,
draft-alvestrand-rmcat-remb-03).
"""

from collections.abc import Callable

LEAST_KBPS = 150
MOST_KBPS = 2500
START_KBPS = 800
_TOLD_FROM = 0.1
"""An encoder is not bothered with a smaller change."""


class Bitrate:
    """Of one call."""

    def __init__(self, tell: Callable[[int], None]) -> None:
        """`tell(kbps)` is called when it has changed."""
        self._tell = tell
        self._by_loss_kbps = float(START_KBPS)
        self._estimate_kbps = float(MOST_KBPS)
        self._told_kbps = START_KBPS

    @property
    def kbps(self) -> int:
        """As it stands."""
        return round(min(max(min(self._by_loss_kbps, self._estimate_kbps), LEAST_KBPS), MOST_KBPS))

    def reported(self, lost: float) -> None:
        """A receiver report: the share of packets that were lost since the last one, 0 to 1."""
        if lost > 0.1:
            self._by_loss_kbps = max(LEAST_KBPS, self._by_loss_kbps * (1 - 0.5 * lost))
        elif lost < 0.02:
            self._by_loss_kbps = min(MOST_KBPS, self._by_loss_kbps * 1.05)
        self._changed()

    def estimated(self, kbps: float) -> None:
        """The receiver's estimate of what it can take."""
        self._estimate_kbps = kbps
        self._changed()

    def _changed(self) -> None:
        if abs(self.kbps - self._told_kbps) >= _TOLD_FROM * self._told_kbps:
            self._told_kbps = self.kbps
            self._tell(self.kbps)
