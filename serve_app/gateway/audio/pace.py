"""How fast speech is made, against how long it lasts."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from deployments.media.audio import VOICE_RATE_HZ, samples_of
from deployments.runtime.clock import now_s

_REMEMBERED_S = 120.0


class Pace:
    """The real-time factor of what was made lately: seconds of waiting for sound by seconds of sound."""

    def __init__(self) -> None:
        self._worked_s = 0.0
        self._sound_s = 0.0

    @property
    def factor(self) -> float | None:
        """None before the first."""
        return self._worked_s / self._sound_s if self._sound_s else None

    def add(self, worked_s: float, sound_s: float) -> None:
        """So much was made. What lies over two minutes of sound back counts for less and less."""
        self._worked_s += worked_s
        self._sound_s += sound_s
        if self._sound_s > _REMEMBERED_S:
            fading = _REMEMBERED_S / self._sound_s
            self._worked_s *= fading
            self._sound_s *= fading


class Stopwatch:
    """Measures one speech while it is made; the time in which its reader makes it wait does not count."""

    def __init__(self, began_s: float) -> None:
        """`began_s`: when the request came, by `now_s`."""
        self._began_s = began_s
        self.first_audio_ms: float | None = None
        self.worked_s = 0.0
        self.sound_s = 0.0

    @property
    def factor(self) -> float | None:
        """Real-time factor so far; None before there is sound."""
        return self.worked_s / self.sound_s if self.sound_s else None

    async def timed(self, sound: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """The same pieces of 24 kHz sound. Read it inside `aclosing`."""
        async with aclosing(sound):
            while True:
                begun_s = now_s()
                pcm = await anext(sound, None)
                self.worked_s += now_s() - begun_s
                if pcm is None:
                    return
                self.sound_s += samples_of(pcm) / VOICE_RATE_HZ
                if self.first_audio_ms is None and pcm:
                    self.first_audio_ms = 1000 * (now_s() - self._began_s)
                yield pcm
