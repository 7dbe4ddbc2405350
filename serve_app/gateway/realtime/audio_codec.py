"""Sound as clients send and want it: base64 of 24 kHz PCM, or of G.711 at 8 kHz."""

import binascii
from collections.abc import Callable
from dataclasses import dataclass

from deployments.media import g711
from deployments.media.audio import SPEECH_RATE_HZ, VOICE_RATE_HZ
from deployments.media.resample import Resampler
from deployments.runtime.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class _Format:
    """`to_pcm` and `from_pcm` convert without changing the rate."""

    rate_hz: int
    bytes_per_sample: int
    to_pcm: Callable[[bytes], bytes]
    from_pcm: Callable[[bytes], bytes]


_FORMATS = {
    "audio/pcm": _Format(24_000, 2, bytes, bytes),
    "audio/pcmu": _Format(8_000, 1, g711.ulaw_decode, g711.ulaw_encode),
    "audio/pcma": _Format(8_000, 1, g711.alaw_decode, g711.alaw_encode),
}


class AudioDecoder:
    """One stream of a client's sound, to 16 kHz PCM."""

    def __init__(self, audio_format: str) -> None:
        self.format = audio_format
        self._format = _FORMATS[audio_format]
        self._resampler = Resampler(self._format.rate_hz, SPEECH_RATE_HZ)

    def bytes_of(self, duration_ms: int) -> int:
        """Bytes of this format that last `duration_ms`."""
        return self._format.rate_hz * duration_ms // 1000 * self._format.bytes_per_sample

    def check(self, sound: bytes) -> None:
        """Raise InvalidRequest for a part of a sample."""
        if len(sound) % self._format.bytes_per_sample:
            raise InvalidRequest(f"audio: {len(sound)} bytes are not whole 16-bit samples", param="audio")

    def decode(self, sound: bytes) -> bytes:
        """The next stretch; the filter holds back 2 ms."""
        return self._resampler.push(self._format.to_pcm(sound))

    def flush(self) -> bytes:
        """What was held back. What is decoded next is a new stream."""
        return self._resampler.push(b"", last=True)


class AudioEncoder:
    """One stream of 24 kHz PCM, to base64 in a client's format."""

    def __init__(self, audio_format: str) -> None:
        self._format = _FORMATS[audio_format]
        self._resampler = Resampler(VOICE_RATE_HZ, self._format.rate_hz)

    def encode(self, pcm: bytes, last: bool = False) -> str:
        """The next stretch, maybe nothing yet; `last` also gives what was held back."""
        sound = self._format.from_pcm(self._resampler.push(pcm, last))
        return binascii.b2a_base64(sound, newline=False).decode("ascii")


def decode_base64(text: str, param: str) -> bytes:
    """Bytes of a base64 text. Raises InvalidRequest."""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise InvalidRequest(f"{param} is not valid base64: {error}", param=param) from error


def decode_whole(audio: str, audio_format: str, param: str) -> bytes:
    """A recording in base64, as 16 kHz PCM. Raises InvalidRequest."""
    sound = decode_base64(audio, param)
    decoder = AudioDecoder(audio_format)
    decoder.check(sound)
    return decoder.decode(sound) + decoder.flush()
