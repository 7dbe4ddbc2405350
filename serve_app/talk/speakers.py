"""Where the assistant's voice goes: a WAV file, a loudspeaker or nowhere."""

import wave
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from deployments.media.audio import BYTES_PER_SAMPLE, VOICE_RATE_HZ


class Speaker(Protocol):
    """Takes 24 kHz PCM."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def play(self, pcm: bytes) -> None:
        """Sound comes in; returns at once."""
        ...

    def drop(self) -> None:
        """The user interrupts: what has not been played is not wanted."""
        ...


class Nowhere:
    """Sound is counted by the conversation only."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to close."""

    def play(self, pcm: bytes) -> None:
        """Not heard."""

    def drop(self) -> None:
        """Nothing waits."""


class WavFile(Nowhere):
    """Everything that was sent, one reply after the other."""

    def __init__(self, path: Path) -> None:
        self._file = wave.open(str(path), "wb")  # noqa: SIM115 - closed by __exit__
        self._file.setnchannels(1)
        self._file.setsampwidth(BYTES_PER_SAMPLE)
        self._file.setframerate(VOICE_RATE_HZ)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def play(self, pcm: bytes) -> None:
        """Write it."""
        self._file.writeframesraw(pcm)


class Loudspeaker(Nowhere):
    """The default output device."""

    def __init__(self, sounddevice: Any) -> None:
        self._waiting = bytearray()
        self._stream = sounddevice.RawOutputStream(
            samplerate=VOICE_RATE_HZ, channels=1, dtype="int16", callback=self._fill
        )

    def __enter__(self) -> Self:
        self._stream.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def play(self, pcm: bytes) -> None:
        """Queue it; the server sends no more than its lead ahead."""
        self._waiting += pcm

    def drop(self) -> None:
        """Forget what waits."""
        self._waiting.clear()

    def _fill(self, out: Any, *_: object) -> None:
        taken = bytes(self._waiting[: len(out)])
        del self._waiting[: len(out)]
        out[:] = taken + bytes(len(out) - len(taken))


def open_loudspeaker(*, silent: bool) -> Nowhere:
    """The default loudspeaker where there is one and it is wanted."""
    if silent:
        return Nowhere()
    try:
        import sounddevice

        sounddevice.query_devices(kind="output")
    except (ImportError, OSError, ValueError):
        return Nowhere()
    return Loudspeaker(sounddevice)
