"""The client's microphone: the room, the user, and the loudspeaker's echo, in frames of 20 ms at 24 kHz."""

import base64

import numpy as np

from benchmarks.duplex.playback import Playback
from benchmarks.speech_scenes import Samples, pcm_of
from deployments.media.audio import VOICE_RATE_HZ, ms_to_samples

FRAME_SAMPLES = ms_to_samples(20, VOICE_RATE_HZ)
FRAME_S = FRAME_SAMPLES / VOICE_RATE_HZ


class Microphone:
    """Its first sample is recorded at `began_s`."""

    def __init__(
        self, room: Samples, playback: Playback, began_s: float, *, echo_db: float | None, echo_delay_ms: float
    ) -> None:
        """`room` is heard round and round."""
        self.began_s = began_s
        self._room = room
        self._playback = playback
        self._echo = 0.0 if echo_db is None else 10 ** (echo_db / 20)
        self._echo_delay_s = echo_delay_ms / 1000
        self._sounds: list[tuple[int, Samples]] = []
        self._at = 0

    def add(self, sound: Samples, start_s: float) -> float:
        """Somebody begins to sound then, or with the next frame if that is later; when it is."""
        start = max(self._at, round((start_s - self.began_s) * VOICE_RATE_HZ))
        self._sounds.append((start, sound))
        return self.began_s + start / VOICE_RATE_HZ

    @property
    def next_frame_s(self) -> float:
        """When the next frame's last sample has been recorded."""
        return self.began_s + (self._at + FRAME_SAMPLES) / VOICE_RATE_HZ

    def frame(self) -> str:
        """The next one, in base64."""
        places = np.arange(self._at, self._at + FRAME_SAMPLES) % self._room.size
        mixed: Samples = self._room[places].copy()
        for start, sound in self._sounds:
            first, last = max(start, self._at), min(start + sound.size, self._at + FRAME_SAMPLES)
            if first < last:
                mixed[first - self._at : last - self._at] += sound[first - start : last - start]
        if self._echo:
            mixed += self._echo * self._playback.heard(self.next_frame_s - self._echo_delay_s, FRAME_SAMPLES)
        self._at += FRAME_SAMPLES
        return base64.b64encode(pcm_of(mixed)).decode()
