"""Puts a client's packets of sound into order, and gives up those that are lost.

aiortc's own buffer is made for playing: it holds back four packets (80 ms), and after one loss everything until 16 are
there (320 ms), a delay that stays. Nobody plays this sound: it is recognised, and the pause before an answer counts. So
a packet in order is given at once, and a gap is waited for as long as three more arrive (60 ms).
"""

from dataclasses import dataclass

_AHEAD = 3
"""So many packets behind a gap prove it: reordering over more is rare."""
_RESTARTED = 1000
"""Numbers that far apart are of another stream."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One packet."""

    number: int
    """RTP's sequence number, of 16 bits."""
    timestamp: int
    """RTP's, in samples at 48 kHz, of 32 bits."""
    payload: bytes


class Arrivals:
    """One stream of packets."""

    def __init__(self) -> None:
        self._next: int | None = None
        self._waiting: dict[int, Arrival] = {}
        self.lost = 0
        """Packets given up."""

    def push(self, arrival: Arrival) -> list[Arrival]:
        """A packet has come; those that are in order now."""
        if self._next is None or _RESTARTED < (arrival.number - self._next) % 2**16 < 2**16 - _RESTARTED:
            self._next = arrival.number
            self._waiting.clear()
        if (arrival.number - self._next) % 2**16 >= 2**15:
            return []  # too late, or for the second time
        self._waiting[arrival.number] = arrival
        if self._next not in self._waiting and len(self._waiting) > _AHEAD:
            first = min(self._waiting, key=self._distance)
            self.lost += self._distance(first)
            self._next = first
        ready: list[Arrival] = []
        while (following := self._waiting.pop(self._next, None)) is not None:
            ready.append(following)
            self._next = (self._next + 1) % 2**16
        return ready

    def _distance(self, number: int) -> int:
        assert self._next is not None
        return (number - self._next) % 2**16
