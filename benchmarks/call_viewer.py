"""A client with a face by WebRTC: aiortc, and the presentation that it leaves to others.

Arrivals are taken where aiortc takes RTP packets off the wire. The sender's reports (RFC 3550 §6.4.1) put the time
stamps of sound and picture on one clock, the sender's; the sound that came the quickest way puts that on ours. Sound
plays 40 ms after that, the least that a client's jitter buffer holds, pictures with the sound of their time, or when
they arrive.
"""

import asyncio
import statistics
import time
import urllib.request
from collections.abc import Callable
from types import TracebackType
from typing import Any

import orjson
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError
from aiortc.rtp import AnyRtcpPacket, RtcpSrPacket, RtpPacket
from av import AudioFrame, VideoFrame

from benchmarks.in_step import Heard, Shown
from benchmarks.viewers import Received, in_time, read

BUFFER_S = 0.04
"""Between the quickest arrival and playing."""
_RATES_HZ = {"audio": 48_000, "video": 90_000}


class Arrivals:
    """What came for one of the two tracks. Ticks are RTP time stamps, counted from the first one."""

    def __init__(self, receiver: RTCRtpReceiver, kind: str) -> None:
        self.rate_hz = _RATES_HZ[kind]
        self.arrived_s: dict[int, float] = {}
        """When the last packet of a tick has come."""
        self.sent_s: list[float] = []
        """The sender's time of tick 0, by each of its reports."""
        self._first: int | None = None
        take, hear = receiver._handle_rtp_packet, receiver._handle_rtcp_packet

        async def taken(packet: RtpPacket, arrival_time_ms: int) -> None:
            if packet.payload:
                self._first = packet.timestamp if self._first is None else self._first
                self.arrived_s[self._tick(packet.timestamp)] = time.monotonic()
            await take(packet, arrival_time_ms)

        async def heard(packet: AnyRtcpPacket) -> None:
            if isinstance(packet, RtcpSrPacket) and self._first is not None:
                sender = packet.sender_info
                self.sent_s.append(sender.ntp_timestamp / 2**32 - self._tick(sender.rtp_timestamp) / self.rate_hz)
            await hear(packet)

        receiver._handle_rtp_packet = taken  # type: ignore[method-assign]  # aiortc tells nobody when a packet came
        receiver._handle_rtcp_packet = heard  # type: ignore[method-assign]  # nor what a report said

    @property
    def origin_s(self) -> float:
        """Tick 0 on the sender's clock. Raises RuntimeError where no report has come."""
        if not self.sent_s:
            raise RuntimeError("the server has sent no report of its clock")
        return statistics.median(self.sent_s)

    def _tick(self, timestamp: int) -> int:
        assert self._first is not None
        return (timestamp - self._first + 2**31) % 2**32 - 2**31


_MOST_EVENTS = 10_000
"""That nobody has read yet: more than ten minutes bring."""


class CallViewer:
    """One call, with a silent microphone."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue(_MOST_EVENTS)
        self._arrivals: dict[str, Arrivals] = {}
        self._pictures: list[tuple[int, int | None, float]] = []
        self._sound: list[tuple[int, Any]] = []
        self._reading: list[asyncio.Task[None]] = []
        self._errors: list[str] = []

    async def __aenter__(self) -> "CallViewer":
        connection = self._connection
        sound = connection.addTransceiver(AudioStreamTrack())
        picture = connection.addTransceiver("video", "recvonly")
        self._arrivals = {
            "audio": Arrivals(sound.receiver, "audio"),
            "video": Arrivals(picture.receiver, "video"),
        }
        self._channel = connection.createDataChannel("oai-events")
        self._channel.on("message", lambda text: self._events.put_nowait(orjson.loads(text)))
        connection.on("track", self._watch)
        await connection.setLocalDescription(await connection.createOffer())
        answer = await asyncio.to_thread(self._call, connection.localDescription.sdp)
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await self._event("session.created")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connection.close()
        for task in self._reading:
            task.cancel()
        if self._reading:
            await asyncio.wait(self._reading)

    async def ask(self) -> float:
        """Ask for a reply; when its first sound is sent, as the server says."""
        self._send("response.create")
        await self._event("output_audio_buffer.started")
        return time.monotonic()

    async def cancel(self) -> float:
        """Stop the reply."""
        now_s = time.monotonic()
        self._send("response.cancel")
        await self._event("response.done")
        return now_s

    def received(self) -> Received:
        """All so far, as it was shown and heard."""
        audio, video = self._arrivals["audio"], self._arrivals["video"]
        quickest_s = min(at_s - tick / audio.rate_hz - audio.origin_s for tick, at_s in audio.arrived_s.items())
        plays_s = quickest_s + BUFFER_S
        pictures = []
        for tick, number, openness in self._pictures:
            arrived_s, media_s = video.arrived_s[tick], tick / video.rate_hz
            shown_s = max(arrived_s, media_s + video.origin_s + plays_s)
            pictures.append(Shown(shown_s, arrived_s, media_s, number, openness))
        sound = []
        for tick, pcm in self._sound:
            media_s = tick / audio.rate_hz
            sound.append(Heard(media_s + audio.origin_s + plays_s, audio.arrived_s[tick], media_s, pcm, audio.rate_hz))
        return Received(pictures, sound, list(self._errors))

    def _call(self, offer: str) -> str:
        request = urllib.request.Request(
            f"{self._url}/v1/realtime/calls", offer.encode(), {"Content-Type": "application/sdp"}
        )
        with urllib.request.urlopen(request, timeout=20) as response:
            answer: str = response.read().decode()
        return answer

    async def _event(self, kind: str) -> dict[str, Any]:
        async def wanted() -> dict[str, Any]:
            while (event := await self._events.get())["type"] != kind:
                if event["type"] == "error":
                    self._errors.append(event["error"]["message"])
            return event

        return await in_time(wanted(), kind)

    def _send(self, kind: str) -> None:
        self._channel.send(orjson.dumps({"type": kind}).decode())

    def _watch(self, track: MediaStreamTrack) -> None:
        note: Callable[[Any], None] = self._hear if track.kind == "audio" else self._see
        self._reading.append(asyncio.create_task(_read(track, note)))

    def _hear(self, frame: AudioFrame) -> None:
        assert frame.pts is not None
        self._sound.append((frame.pts, frame.to_ndarray().reshape(-1, 2)[:, 0].copy()))

    def _see(self, frame: VideoFrame) -> None:
        assert frame.pts is not None
        self._pictures.append((frame.pts, *read(frame)))


async def _read(track: MediaStreamTrack, note: Callable[[Any], None]) -> None:
    try:
        while True:
            note(await track.recv())
    except MediaStreamError:
        return
