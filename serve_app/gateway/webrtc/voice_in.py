"""From the client's Opus packets to the session: 16 kHz PCM in pieces as they come, 20 ms as a rule, without base64."""

import asyncio

from serve_app.gateway.sessions import LiveSession
from serve_app.gateway.webrtc.arrivals import Arrival
from serve_app.gateway.webrtc.opus import OpusReader
from serve_app.session.commands import Append

_MOST_PIECES = 50
"""That wait for a session that is busy, a second; then the oldest are lost, so that it hears the present."""


class VoiceIn:
    """Of one call."""

    def __init__(self, session: LiveSession) -> None:
        self._session = session
        self._opus = OpusReader()
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue(_MOST_PIECES)

    def arrived(self, arrival: Arrival) -> None:
        """The next packet, in order."""
        pcm = self._opus.read(arrival.payload, arrival.timestamp)
        if not pcm:
            return
        if self._pieces.full():
            self._pieces.get_nowait()
        self._pieces.put_nowait(pcm)

    async def run(self) -> None:
        """Tell the session until cancelled."""
        while True:
            await self._session.submit(Append(await self._pieces.get()))
