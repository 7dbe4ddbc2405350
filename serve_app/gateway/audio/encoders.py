"""Speech as a file that is sent while it is spoken, in the formats of OpenAI's API.

Frames and pages are short, so that little of the sound waits for a full one. Of the first 50 ms, MP3 and Opus give
bytes at once; FLAC (frames of 96 ms) and AAC (two frames of 43 ms) with the next block. CPU for the first second of
sound, with the start: MP3 24 ms, AAC 18, Opus 11, FLAC 3.
"""

import struct
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final, Literal, Protocol

import av
import numpy as np
from av.audio.stream import AudioStream

from deployments.media.audio import BYTES_PER_SAMPLE, VOICE_RATE_HZ
from serve_app.gateway.sink import Sink

Format = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]

_UNKNOWN_LENGTH = 0xFFFFFFFF
"""What a WAV says that is not finished: players read on to the end."""
_BITS_PER_S = 64_000


@dataclass(frozen=True, slots=True)
class _Kind:
    """How `av` writes a format."""

    container: str
    codec: str
    container_options: dict[str, str] = field(default_factory=dict)
    codec_options: dict[str, str] = field(default_factory=dict)


_KINDS: Final[dict[str, _Kind]] = {
    # The Xing frame has the number of frames, and is written at the end; the reservoir lets a frame wait for others.
    "mp3": _Kind("mp3", "libmp3lame", {"write_xing": "0", "id3v2_version": "0"}, {"reservoir": "0"}),
    "opus": _Kind("ogg", "libopus", {"page_duration": "20000"}, {"application": "voip"}),  # µs
    "aac": _Kind("adts", "aac"),
    "flac": _Kind("flac", "flac"),
}

MEDIA_TYPES: Final[dict[Format, str]] = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}


class Encoder(Protocol):
    """One file. Blocks: call it in a worker thread, one call at a time."""

    def add(self, pcm: bytes) -> bytes:
        """Take the next sound, 24 kHz; the bytes that are ready, maybe none."""
        ...

    def finish(self) -> bytes:
        """The rest of the file."""
        ...


def encoder(format_: Format) -> Encoder:
    """For a new file."""
    if format_ == "pcm":
        return _Plain(b"")
    if format_ == "wav":
        return _Plain(_wav_head())
    return _Encoded(_KINDS[format_])


class _Plain:
    """The samples as they are, behind a head."""

    def __init__(self, head: bytes) -> None:
        self._head = head

    def add(self, pcm: bytes) -> bytes:
        head, self._head = self._head, b""
        return head + pcm

    def finish(self) -> bytes:
        return self.add(b"")


class _Encoded:
    """A file that `av` writes."""

    def __init__(self, kind: _Kind) -> None:
        self._sink = Sink()
        options = {**kind.container_options, "flush_packets": "1"}
        self._container = av.open(self._sink, "w", format=kind.container, options=options)
        stream = self._container.add_stream(
            kind.codec, rate=VOICE_RATE_HZ, layout="mono", options=dict(kind.codec_options)
        )
        assert isinstance(stream, AudioStream)
        stream.bit_rate = _BITS_PER_S
        self._stream = stream
        self._samples = 0

    def add(self, pcm: bytes) -> bytes:
        if pcm:
            frame = av.AudioFrame.from_ndarray(np.frombuffer(pcm, "<i2")[None, :], format="s16", layout="mono")
            frame.sample_rate = VOICE_RATE_HZ
            frame.time_base = Fraction(1, VOICE_RATE_HZ)
            frame.pts = self._samples
            self._samples += frame.samples
            self._container.mux(self._stream.encode(frame))
        return self._sink.taken()

    def finish(self) -> bytes:
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._sink.taken()


def _wav_head() -> bytes:
    """Of a mono 16-bit file whose length nobody knows yet."""
    rate = VOICE_RATE_HZ * BYTES_PER_SAMPLE
    format_ = struct.pack("<HHIIHH", 1, 1, VOICE_RATE_HZ, rate, BYTES_PER_SAMPLE, 8 * BYTES_PER_SAMPLE)
    head = b"WAVEfmt " + struct.pack("<I", len(format_)) + format_ + b"data" + struct.pack("<I", _UNKNOWN_LENGTH)
    return b"RIFF" + struct.pack("<I", _UNKNOWN_LENGTH) + head
