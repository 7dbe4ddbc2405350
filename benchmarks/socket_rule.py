"""When a client of the WebSocket plays what it gets: the rule of docs/face.md, on any clock.

Sound plays at once, or behind the sound before it. A spoken block's pictures play with their sound, silent ones behind
what is shown, 25 a second. What is void is never shown. No jitter buffer: the server is ahead as it is.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from benchmarks.in_step import Heard
from deployments.media.audio import VOICE_RATE_HZ
from deployments.media.video import BLOCK_MS, FRAME_RATE_HZ

_FRAME_S = 1 / FRAME_RATE_HZ
_BLOCK_S = BLOCK_MS / 1000

Cut = Literal["silence", "all"] | None


@dataclass(frozen=True, slots=True)
class Place:
    """Of one frame."""

    index: int
    """Of all that were received, in order."""
    shown_s: float
    arrived_s: float
    at_s: float
    """On the face's own clock."""
    silent: bool


class SocketPlayer:
    """Told of each message in the order of arrival; says what was shown and heard."""

    def __init__(self) -> None:
        self.shown: list[Place] = []
        self.heard: list[Heard] = []
        self.received = 0
        """Frames, shown or not."""
        self._said = 0
        """Samples of sound so far."""
        self._shown_until_s = self._heard_until_s = 0.0
        self._sound_began_s = 0.0

    def sound(self, arrived_s: float, pcm: bytes) -> None:
        """`response.output_audio.delta`, at 24 kHz."""
        samples = np.frombuffer(pcm, "<i2")
        self._sound_began_s = max(arrived_s, self._heard_until_s)
        self.heard.append(Heard(self._sound_began_s, arrived_s, self._said / VOICE_RATE_HZ, samples, VOICE_RATE_HZ))
        self._said += samples.size
        self._heard_until_s = self._sound_began_s + samples.size / VOICE_RATE_HZ

    def block(self, arrived_s: float, at_ms: float, frames: int, spoken_ms: float, cut: Cut) -> None:
        """`parley.video.block`."""
        if cut is not None:
            self._void(arrived_s, silence_only=cut == "silence")
        begins_s = self._sound_began_s if spoken_ms else max(arrived_s, self._shown_until_s)
        for n in range(frames):
            place = Place(self.received, begins_s + n * _FRAME_S, arrived_s, at_ms / 1000 + n * _FRAME_S, not spoken_ms)
            self.shown.append(place)
            self.received += 1
        self._shown_until_s = begins_s + _BLOCK_S

    def drop(self, now_s: float) -> None:
        """The client itself has stopped the reply."""
        self._void(now_s, silence_only=False)
        while self.heard and self.heard[-1].heard_s >= now_s:
            self.heard.pop()
        if self.heard:
            last = self.heard[-1]
            self.heard[-1] = replace(last, pcm=last.pcm[: round((now_s - last.heard_s) * last.rate_hz)])
        self._heard_until_s = min(self._heard_until_s, now_s)

    def _void(self, now_s: float, *, silence_only: bool) -> None:
        while self.shown and self.shown[-1].shown_s > now_s and (self.shown[-1].silent or not silence_only):
            self.shown.pop()
        self._shown_until_s = self.shown[-1].shown_s + _FRAME_S if self.shown else now_s
