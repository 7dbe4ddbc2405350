"""A recording of any length and container, decoded piece by piece. Blocks: use it in a worker thread."""

import logging
from collections.abc import Iterator
from typing import BinaryIO, Final

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from deployments.media.audio import BYTES_PER_SAMPLE
from deployments.runtime.errors import InvalidRequest, TooLarge
from serve_app.gateway.media_files import FORMATS

log = logging.getLogger(__name__)

_LOWEST_RATE_HZ: Final = 1_000
"""One frame of FLAC with a rate of 1 Hz would be 18 hours of sound."""
_BAD_PACKETS: Final = 100
"""So many in a row, and the rest of a file is given up."""


class SoundFile:
    """Mono 16-bit PCM at `rate_hz`. What a damaged or cut file still has is taken; it is over where it breaks off."""

    def __init__(self, file: BinaryIO, rate_hz: int, max_s: float, param: str) -> None:
        """Open it. Raises InvalidRequest where there is no sound, TooLarge where the file says it is over `max_s`."""
        self._rate_hz = rate_hz
        self._max_s = max_s
        self._param = param
        try:
            self._container = av.open(file, "r", options={"format_whitelist": FORMATS})
        except (av.error.FFmpegError, ValueError) as error:
            raise InvalidRequest(f"The recording cannot be read: {error}.", "invalid_audio", param) from error
        if not self._container.streams.audio:
            self._container.close()
            raise InvalidRequest("There is no sound in the recording.", "invalid_audio", param)
        self._stream = self._container.streams.audio[0]
        duration = self._container.duration
        self.duration_s = None if duration is None or duration <= 0 else duration / av.time_base
        """As the file says; None where it does not."""
        if self.duration_s is not None and self.duration_s > max_s:
            self._container.close()
            raise self._too_long()

    def blocks(self, block_s: float) -> Iterator[bytes]:
        """All its sound in blocks of about so long. Raises TooLarge, and InvalidRequest where there is none."""
        held, given = bytearray(), 0
        full = BYTES_PER_SAMPLE * int(block_s * self._rate_hz)
        most = BYTES_PER_SAMPLE * int(self._max_s * self._rate_hz)
        for pcm in self._pieces():
            held += pcm
            if given + len(held) > most:
                raise self._too_long()
            while len(held) >= full:
                given += full
                yield bytes(held[:full])
                del held[:full]
        if held:
            given += len(held)
            yield bytes(held)
        if not given:
            raise InvalidRequest("There is no sound in the recording.", "invalid_audio", self._param)

    def close(self) -> None:
        """Let the file go. The file itself stays open."""
        self._container.close()

    def _too_long(self) -> TooLarge:
        return TooLarge(f"The recording is longer than {self._max_s:g} s.", param=self._param)

    def _pieces(self) -> Iterator[bytes]:
        resampler = AudioResampler(format="s16", layout="mono", rate=self._rate_hz)
        try:
            for frame in self._frames():
                if frame.sample_rate < _LOWEST_RATE_HZ:
                    message = f"The recording has a rate of {frame.sample_rate} Hz, which is no speech."
                    raise InvalidRequest(message, "invalid_audio", self._param)
                for piece in resampler.resample(frame):
                    yield piece.to_ndarray().tobytes()
            for piece in resampler.resample(None):
                yield piece.to_ndarray().tobytes()
        except (av.error.FFmpegError, ValueError) as error:  # ValueError: the sound changes its form on the way
            raise InvalidRequest(f"The recording cannot be read: {error}.", "invalid_audio", self._param) from error

    def _frames(self) -> Iterator[AudioFrame]:
        """What can be decoded: a file that was cut ends in an error."""
        bad = 0
        packets = self._container.demux(self._stream)
        while bad < _BAD_PACKETS:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                frames = packet.decode()
                bad = 0
            except av.error.EOFError:
                return
            except av.error.FFmpegError as error:
                bad += 1
                log.debug("a packet of a recording cannot be read: %s", error)
                continue
            for frame in frames:
                assert isinstance(frame, AudioFrame)
                yield frame
