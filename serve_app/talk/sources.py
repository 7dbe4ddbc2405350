"""Where the user's part comes from: a recording, a microphone or the keyboard."""

import asyncio
import sys
import wave
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from deployments.media.audio import BYTES_PER_SAMPLE, VOICE_RATE_HZ, ms_to_samples
from deployments.media.resample import Resampler

FRAME_MS = 20
_FRAME_BYTES = BYTES_PER_SAMPLE * ms_to_samples(FRAME_MS, VOICE_RATE_HZ)


class NothingToSay(Exception):
    """The user's part cannot be had; the message says what to do."""


class Source(Protocol):
    """The user's part of a conversation."""

    ends: bool
    """It ends by itself, and the conversation with it when the last answer was heard."""
    finished: asyncio.Event
    """It has said all it has to say; silence may follow."""

    def frames(self) -> AsyncGenerator[bytes | str, None]:
        """24 kHz PCM in real time, or typed lines."""
        ...


class RecordingSource:
    """A WAV file (16-bit PCM, any rate, any channels), then silence."""

    ends = True

    def __init__(self, path: Path) -> None:
        """Read it. Raises NothingToSay for a file that is no such recording."""
        try:
            with wave.open(str(path)) as file:
                if file.getsampwidth() != BYTES_PER_SAMPLE:
                    raise NothingToSay(f"{path} is not 16-bit PCM: convert it with `sox {path} -b 16 out.wav`")
                samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
                mono = samples.reshape(-1, file.getnchannels()).mean(axis=1).astype("<i2").tobytes()
                rate_hz = file.getframerate()
        except (wave.Error, EOFError, OSError) as error:
            raise NothingToSay(f"cannot read {path} as a WAV file: {error}") from error
        self._pcm = Resampler(rate_hz, VOICE_RATE_HZ).push(mono, last=True)
        self.finished = asyncio.Event()
        """All of the recording was sent; what follows is silence."""

    async def frames(self) -> AsyncGenerator[bytes | str, None]:
        """Frames of 20 ms in real time, for ever."""
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        at = 0
        while True:
            frame = self._pcm[at : at + _FRAME_BYTES]
            at += _FRAME_BYTES
            if at >= len(self._pcm):
                self.finished.set()
            yield frame + bytes(_FRAME_BYTES - len(frame))
            await asyncio.sleep(started_s + at / BYTES_PER_SAMPLE / VOICE_RATE_HZ - loop.time())


class KeyboardSource:
    """Lines that are typed."""

    ends = True

    def __init__(self) -> None:
        self.finished = asyncio.Event()

    async def frames(self) -> AsyncGenerator[bytes | str, None]:
        """One line after the other."""
        while line := await asyncio.to_thread(sys.stdin.readline):
            if line.strip():
                yield line.strip()
        self.finished.set()


class MicrophoneSource:
    """What the default microphone hears. There is no echo cancellation here: use headphones."""

    ends = False

    def __init__(self, sounddevice: Any) -> None:
        self._sounddevice = sounddevice
        self.finished = asyncio.Event()

    async def frames(self) -> AsyncGenerator[bytes | str, None]:
        """Blocks of 20 ms as they are recorded."""
        loop = asyncio.get_running_loop()
        heard: asyncio.Queue[bytes] = asyncio.Queue(maxsize=250)

        def keep(block: Any, *_: object) -> None:
            loop.call_soon_threadsafe(lambda: None if heard.full() else heard.put_nowait(bytes(block)))

        samples = ms_to_samples(FRAME_MS, VOICE_RATE_HZ)
        stream = self._sounddevice.RawInputStream(
            samplerate=VOICE_RATE_HZ, blocksize=samples, channels=1, dtype="int16", callback=keep
        )
        with stream:
            while True:
                yield await heard.get()


def open_microphone() -> MicrophoneSource | None:
    """The default microphone, where there is one and the `microphone` extra is installed."""
    try:
        import sounddevice
    except (ImportError, OSError):  # OSError: the package is there, PortAudio is not
        return None
    try:
        sounddevice.query_devices(kind="input")
    except (ValueError, sounddevice.PortAudioError):
        return None
    return MicrophoneSource(sounddevice)
