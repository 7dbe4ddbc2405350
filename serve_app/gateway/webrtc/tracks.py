"""What a call sends, as aiortc takes it: a track of encoded packets, which its sender passes on as they are."""

import asyncio
from fractions import Fraction
from typing import Any

from aiortc import MediaStreamTrack
from av.packet import Packet

_MOST_PACKETS = 64
"""Taken by the sender at once while it runs; it does not before the call is connected, or where nothing is wanted."""


class PacketTrack(MediaStreamTrack):
    """Sound or picture of a call. Belongs to one event loop."""

    def __init__(self, kind: str, rate_hz: int) -> None:
        super().__init__()
        self.kind = kind
        self._time_base = Fraction(1, rate_hz)
        self._packets: asyncio.Queue[Packet[Any]] = asyncio.Queue(_MOST_PACKETS)

    def send(self, data: bytes, timestamp: int) -> None:
        """Send a packet (an Opus packet, an access unit); `timestamp` in the track's rate."""
        if self._packets.full():
            self._packets.get_nowait()
        packet = Packet(data)
        packet.pts = timestamp
        packet.time_base = self._time_base
        self._packets.put_nowait(packet)

    async def recv(self) -> "Packet[Any]":
        """For aiortc."""
        return await self._packets.get()
