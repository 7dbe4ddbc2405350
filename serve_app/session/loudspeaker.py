"""What the client's loudspeaker is taken to be playing: the sound of the last moments, on the server's clock."""

from collections import deque
from dataclasses import dataclass

from deployments.media.audio import BYTES_PER_SAMPLE, VOICE_RATE_HZ, samples_of

_KEPT_S = 2.0


@dataclass(frozen=True, slots=True)
class _Stretch:
    start_s: float
    pcm: bytes

    @property
    def end_s(self) -> float:
        return self.start_s + samples_of(self.pcm) / VOICE_RATE_HZ


class Loudspeaker:
    """Plays what it is sent at once and without a gap, as a client does. 24 kHz."""

    def __init__(self) -> None:
        self._stretches: deque[_Stretch] = deque()

    def send(self, pcm: bytes, now_s: float) -> None:
        """The client gets the next sound."""
        start_s = max(now_s, self._stretches[-1].end_s) if self._stretches else now_s
        self._stretches.append(_Stretch(start_s, pcm))
        while self._stretches[0].end_s < now_s - _KEPT_S:
            self._stretches.popleft()

    def clear(self, now_s: float) -> None:
        """The client drops what it has not played."""
        while self._stretches and self._stretches[-1].end_s > now_s:
            last = self._stretches.pop()
            played = max(0, round((now_s - last.start_s) * VOICE_RATE_HZ))
            if played:
                self._stretches.append(_Stretch(last.start_s, last.pcm[: BYTES_PER_SAMPLE * played]))
                return

    def played(self, now_s: float, duration_s: float) -> bytes:
        """What it has played in the last `duration_s`, with silence where it played nothing; empty if that is all."""
        size = round(duration_s * VOICE_RATE_HZ)
        out = bytearray(BYTES_PER_SAMPLE * size)
        anything = False
        for stretch in self._stretches:
            at = round((stretch.start_s - now_s) * VOICE_RATE_HZ) + size
            first, last = max(0, -at), min(samples_of(stretch.pcm), size - at)
            if first < last:
                anything = True
                out[2 * (at + first) : 2 * (at + last)] = stretch.pcm[2 * first : 2 * last]
        return bytes(out) if anything else b""
