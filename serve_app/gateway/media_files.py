"""Recordings that somebody sent, in whatever container, as plain sound; and sound as a WAV file."""

import asyncio
import io
import struct
from collections.abc import Iterator
from typing import Final

import av
from av.audio.resampler import AudioResampler

from deployments.media.audio import BYTES_PER_SAMPLE
from deployments.runtime.errors import InvalidRequest, TooLarge

FORMATS: Final = "wav,w64,aiff,au,caf,flac,mp3,aac,amr,ogg,matroska,webm,mov,mp4,m4a,3gp,avi"
"""Those that hold their sound themselves. A playlist (HLS, concat) would have the library open files and addresses of
this machine that its author names.
"""


async def decoded(recording: bytes, rate_hz: int, max_s: float, param: str) -> bytes:
    """The sound of a recording, mono 16-bit PCM at `rate_hz`.

    Holds no more than `max_s` of it. Raises TooLarge where it is longer, InvalidRequest where there is none; `param`
    names the file.
    """
    return await asyncio.to_thread(_decode, recording, rate_hz, max_s, param)


def wav(pcm: bytes, rate_hz: int) -> bytes:
    """Mono 16-bit PCM as a WAV file."""
    format_ = struct.pack("<HHIIHH", 1, 1, rate_hz, rate_hz * BYTES_PER_SAMPLE, BYTES_PER_SAMPLE, 8 * BYTES_PER_SAMPLE)
    chunks = b"WAVEfmt " + struct.pack("<I", len(format_)) + format_ + b"data" + struct.pack("<I", len(pcm)) + pcm
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


def _decode(recording: bytes, rate_hz: int, max_s: float, param: str) -> bytes:
    sound = bytearray()
    most_bytes = BYTES_PER_SAMPLE * int(max_s * rate_hz)
    try:
        for pcm in _pieces(recording, rate_hz, param):
            sound += pcm
            if len(sound) > most_bytes:
                raise TooLarge(f"The recording is longer than {max_s:g} s.", param=param)
    except (av.error.FFmpegError, ValueError) as error:  # ValueError: parameters that no decoder takes
        raise InvalidRequest(f"The recording cannot be read: {error}.", "invalid_audio", param) from error
    if not sound:
        raise InvalidRequest("There is no sound in the recording.", "invalid_audio", param)
    return bytes(sound)


def _pieces(recording: bytes, rate_hz: int, param: str) -> Iterator[bytes]:
    if not recording:
        raise InvalidRequest("The recording is empty.", "invalid_audio", param)
    with av.open(io.BytesIO(recording), "r", options={"format_whitelist": FORMATS}) as container:
        if not container.streams.audio:
            raise InvalidRequest("There is no sound in the recording.", "invalid_audio", param)
        resampler = AudioResampler(format="s16", layout="mono", rate=rate_hz)
        for frame in container.decode(container.streams.audio[0]):
            for piece in resampler.resample(frame):
                yield piece.to_ndarray().tobytes()
        for piece in resampler.resample(None):
            yield piece.to_ndarray().tobytes()
