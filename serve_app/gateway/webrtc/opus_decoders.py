"""Decoders of one Opus stream, to mono at 48 kHz: libopus itself, and `av`'s, which cannot say what it has lost.

FFmpeg reaches neither libopus' concealment nor the copy of the packet before that a packet carries (in-band FEC). Both
are one call of its C interface, `opus_decode` (opus-codec.org/docs/opus_api-1.5), and the library is in `av`'s wheel.
"""

import ctypes
import ctypes.util
import functools
import logging
import weakref
from pathlib import Path
from typing import Protocol

import av

log = logging.getLogger(__name__)

RATE_HZ = 48_000
STEP_SAMPLES = RATE_HZ // 400
"""2.5 ms: what is concealed is a multiple of it."""
_MOST_SAMPLES = 120 * RATE_HZ // 1000
"""The longest packet."""


class OpusDecoder(Protocol):
    """Sound is 16-bit mono at 48 kHz."""

    def decode(self, payload: bytes) -> bytes:
        """A packet's sound; empty for one that is damaged."""
        ...

    def conceal(self, samples: int) -> bytes:
        """So many samples, multiples of `STEP_SAMPLES`, as the sound may have gone on."""
        ...

    def recover(self, following: bytes, samples: int) -> bytes:
        """The last samples of what is missing, from the copy in the packet behind it; concealed where it has none."""
        ...


def new_decoder() -> OpusDecoder:
    """The best that there is here."""
    library = _libopus()
    return PlainDecoder() if library is None else LibOpusDecoder(library)


class LibOpusDecoder:
    """libopus by its own interface: some 30 µs a packet."""

    def __init__(self, library: ctypes.CDLL) -> None:
        error = ctypes.c_int()
        self._decode = library.opus_decode
        self._state = ctypes.c_void_p(library.opus_decoder_create(RATE_HZ, 1, ctypes.byref(error)))
        if error.value or not self._state.value:
            raise MemoryError(f"libopus gave no decoder (error {error.value})")
        self._sound = (ctypes.c_int16 * _MOST_SAMPLES)()
        weakref.finalize(self, library.opus_decoder_destroy, self._state)

    def decode(self, payload: bytes) -> bytes:
        return self._call(payload, _MOST_SAMPLES, 0) if payload else b""

    def conceal(self, samples: int) -> bytes:
        parts = []
        while samples > 0:
            step = min(samples, _MOST_SAMPLES)
            parts.append(self._call(None, step, 0).ljust(2 * step, b"\0"))
            samples -= step
        return b"".join(parts)

    def recover(self, following: bytes, samples: int) -> bytes:
        return self._call(following, samples, 1).ljust(2 * samples, b"\0")

    def _call(self, payload: bytes | None, samples: int, fec: int) -> bytes:
        got = self._decode(self._state, payload, len(payload or b""), self._sound, samples, fec)
        return bytes(memoryview(self._sound).cast("B")[: 2 * max(0, got)])


class PlainDecoder:
    """FFmpeg's: what is missing is silence."""

    def __init__(self) -> None:
        codec = av.CodecContext.create("libopus", "r")
        assert isinstance(codec, av.AudioCodecContext)
        codec.format = "s16"
        codec.layout = "mono"
        codec.sample_rate = RATE_HZ
        self._codec = codec

    def decode(self, payload: bytes) -> bytes:
        try:
            return b"".join(frame.to_ndarray().tobytes() for frame in self._codec.decode(av.Packet(payload)))
        except av.FFmpegError:
            return b""

    def conceal(self, samples: int) -> bytes:
        return bytes(2 * samples)

    def recover(self, following: bytes, samples: int) -> bytes:
        return bytes(2 * samples)


@functools.cache
def _libopus() -> ctypes.CDLL | None:
    """The library that `av` brought, or the system's."""
    package = Path(av.__file__).parent
    brought = [*package.parent.glob("av.libs/*opus*"), *package.glob(".dylibs/*opus*")]
    for name in [*map(str, brought), ctypes.util.find_library("opus")]:
        if name is None:
            continue
        try:
            library = ctypes.CDLL(name)
            library.opus_decoder_create.restype = ctypes.c_void_p
            library.opus_decoder_create.argtypes = (ctypes.c_int32, ctypes.c_int, ctypes.c_void_p)
            library.opus_decoder_destroy.restype = None
            library.opus_decoder_destroy.argtypes = (ctypes.c_void_p,)
            library.opus_decode.argtypes = (
                ctypes.c_void_p,
                ctypes.c_char_p,
                ctypes.c_int32,
                ctypes.c_void_p,
                ctypes.c_int,
                ctypes.c_int,
            )
        except (OSError, AttributeError) as error:
            log.info("%s cannot be used: %s", name, error)
            continue
        return library
    log.warning("libopus was not found beside av or in the system: lost packets of calls are heard as silence")
    return None
