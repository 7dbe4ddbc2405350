"""The connection of a call: everything that is known of aiortc's `RTCPeerConnection`, and its errors translated."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCSessionDescription,
)

from deployments.runtime.errors import ParleyError
from serve_app.gateway.webrtc.arrivals import Arrival, Arrivals
from serve_app.gateway.webrtc.bitrate import Bitrate
from serve_app.gateway.webrtc.channel import EventChannel
from serve_app.gateway.webrtc.face import FaceControl, NoFace
from serve_app.gateway.webrtc.feedback import listen
from serve_app.gateway.webrtc.media_ports import MediaPorts
from serve_app.gateway.webrtc.offer import Offer, senseless
from serve_app.gateway.webrtc.opus import OPUS_RATE_HZ
from serve_app.gateway.webrtc.pacer import VIDEO_RATE_HZ
from serve_app.gateway.webrtc.tracks import PacketTrack

log = logging.getLogger(__name__)
# At INFO it tells of each check, with the addresses of clients.
logging.getLogger("aioice").setLevel(logging.WARNING)

_CLOSE_DEADLINE_S = 5.0
_PROFILES = ("42e01f", "42001f")
"""Of H.264: constrained baseline, which every client has, before baseline."""


class Peer:
    """One client's connection. `close` must be called."""

    def __init__(self, ports: MediaPorts, ice_servers: Sequence[tuple[str, str, str]]) -> None:
        """`ice_servers`: URL, user name and credential of each."""
        self.sound = PacketTrack("audio", OPUS_RATE_HZ)
        self.picture: PacketTrack | None = None
        """None where the client takes none."""
        self.channel = EventChannel()
        self.connected = asyncio.Event()
        self.gone = asyncio.Event()
        """The client has hung up, or cannot be reached."""
        self.on_sound: Callable[[Arrival], None] = _ignore
        """Called with each Opus packet of the client, in order."""
        self.face: FaceControl = NoFace()
        """Told of what the receiver of the picture reports."""
        self._ports = ports
        servers = [RTCIceServer(url, username or None, credential or None) for url, username, credential in ice_servers]
        # None instead of an empty list would mean a STUN server of Google's.
        configuration = RTCConfiguration(iceServers=servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        self._connection = RTCPeerConnection(configuration)
        self._connection.on("connectionstatechange", self._state_changed)
        self._connection.on("datachannel", self.channel.open)

    async def answer(self, offer: Offer) -> str:
        """The answer to an offer; from then on it connects. Raises InvalidRequest, ServerFull."""
        audio = self._connection.addTransceiver(self.sound)
        audio.setCodecPreferences(_codecs("audio", lambda codec: codec.mimeType == "audio/opus"))
        _take_arrivals(audio.receiver, lambda arrival: self.on_sound(arrival))
        if offer.video is not None:
            self.picture = PacketTrack("video", VIDEO_RATE_HZ)
            video = self._connection.addTransceiver(self.picture, "sendonly")
            video.setCodecPreferences([codec for profile in _PROFILES for codec in _h264(profile)] + _rtx())
            bitrate = Bitrate(lambda kbps: self.face.set_bitrate(kbps))
            listen(video.sender, lambda: self.face.request_keyframe(), bitrate)
        self._ports.confine(audio.sender.transport.transport.iceGatherer._connection)
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(offer.text, "offer"))
            await self._connection.setLocalDescription(await self._connection.createAnswer())
        except ParleyError:
            raise
        except Exception as error:  # its parser raises whatever the text leads it to
            raise senseless(str(error) or type(error).__name__) from error
        return offer.answer(self._connection.localDescription.sdp)

    async def received_packets(self) -> int:
        """How many datagrams of media, reports or events have come."""
        stats = await self._connection.getTransceivers()[0].sender.getStats()
        return next((entry.packetsReceived for entry in stats.values() if entry.type == "transport"), 0)

    async def close(self) -> None:
        """Say goodbye and free everything. May be called more than once."""
        try:
            async with asyncio.timeout(_CLOSE_DEADLINE_S):
                await self._connection.close()
        except TimeoutError:
            log.warning("a call's connection did not close within %.0f s", _CLOSE_DEADLINE_S)
        self.gone.set()

    def _state_changed(self) -> None:
        state = self._connection.connectionState
        if state == "connected":
            self.connected.set()
        elif state in ("failed", "closed"):
            self.gone.set()


def _ignore(_: Arrival) -> None:
    """Before there is a session."""


class _ArrivalBuffer:
    """In the place of aiortc's jitter buffer; its decoder gets nothing to do."""

    def __init__(self, on_sound: Callable[[Arrival], None]) -> None:
        self._arrivals = Arrivals()
        self._on_sound = on_sound

    def add(self, packet: Any) -> tuple[bool, None]:
        """No lost picture to report, and no frame for aiortc to decode."""
        for arrival in self._arrivals.push(Arrival(packet.sequence_number, packet.timestamp, packet._data)):
            self._on_sound(arrival)
        return False, None


def _take_arrivals(receiver: RTCRtpReceiver, on_sound: Callable[[Arrival], None]) -> None:
    """Take sound where it arrives: `arrivals.py` says why. The name is private, so a change of it must be noticed."""
    name = "_RTCRtpReceiver__jitter_buffer"
    if not hasattr(receiver, name):
        raise RuntimeError("this version of aiortc has no jitter buffer where 1.16 has it")
    setattr(receiver, name, _ArrivalBuffer(on_sound))


def _codecs(kind: str, wanted: Callable[[Any], bool]) -> list[Any]:
    return [codec for codec in RTCRtpSender.getCapabilities(kind).codecs if wanted(codec)]


def _h264(profile: str) -> list[Any]:
    return _codecs("video", lambda codec: codec.parameters.get("profile-level-id") == profile)


def _rtx() -> list[Any]:
    return _codecs("video", lambda codec: codec.mimeType == "video/rtx")
