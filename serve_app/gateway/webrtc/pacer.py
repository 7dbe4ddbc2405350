"""The one clock of a call: every 20 ms the next sound goes out, with the pictures that belong to it.

RTP's timestamps of both are this clock's time, so a receiver that plays by them has picture and sound in step, and
neither can drift: an access unit goes out with the very sample at which its block said it begins.
"""

import asyncio
from collections.abc import Callable

from deployments.media.video import VideoFrame
from deployments.runtime import clock
from serve_app.gateway.webrtc.opus import OPUS_RATE_HZ, PACKET_MS, PACKET_SAMPLES, OpusWriter
from serve_app.gateway.webrtc.output_buffer import OutputBuffer
from serve_app.gateway.webrtc.pictures import Pictures

VIDEO_RATE_HZ = 90_000
"""Of RTP's timestamps of video (RFC 6184 §8.2.1)."""
_TICK_S = PACKET_MS / 1000
_SKIP_S = 0.2
"""Who is later than that (the process was stopped, say) sends no burst that would fill the client's buffer for good."""


class Pacer:
    """Runs for as long as the call does."""

    def __init__(
        self,
        sound: OutputBuffer,
        pictures: Pictures,
        *,
        send_sound: Callable[[bytes, int], None],
        send_picture: Callable[[VideoFrame, int], None],
        after: Callable[[], None],
    ) -> None:
        """`send_…(packet, RTP timestamp)`; `after` is called behind each tick."""
        self._sound = sound
        self._pictures = pictures
        self._send_sound = send_sound
        self._send_picture = send_picture
        self._after = after
        self._opus = OpusWriter()

    async def run(self) -> None:
        """Tick until cancelled."""
        origin_s = clock.now_s()
        tick = 0
        while True:
            wait_s = origin_s + tick * _TICK_S - clock.now_s()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            elif wait_s < -_SKIP_S:
                tick += int(-wait_s / _TICK_S)
            self._tick(tick)
            tick += 1
            if wait_s <= 0:
                await asyncio.sleep(0)

    def _tick(self, tick: int) -> None:
        face_at = self._sound.face_at
        frames = [] if face_at is None else self._pictures.due(face_at)
        packet = self._opus.write(self._sound.take(PACKET_SAMPLES))
        self._send_sound(packet, tick * PACKET_MS * OPUS_RATE_HZ // 1000)
        for frame in frames:
            self._send_picture(frame, tick * PACKET_MS * VIDEO_RATE_HZ // 1000)
        self._after()
