"""Opus (RFC 6716) to and from the PCM of a session, by libopus in `av`."""

from fractions import Fraction

import av
import numpy as np

from deployments.media.audio import SPEECH_RATE_HZ, VOICE_RATE_HZ, ms_to_samples
from deployments.media.resample import Resampler
from serve_app.gateway.webrtc.opus_decoders import STEP_SAMPLES, OpusDecoder, new_decoder

OPUS_RATE_HZ = 48_000
"""Of RTP's timestamps, whatever the sound has (RFC 7587 §4.1)."""
PACKET_MS = 20
PACKET_SAMPLES = ms_to_samples(PACKET_MS, VOICE_RATE_HZ)
_BIT_RATE = 32_000
"""Hybrid mode up to 12 kHz, all that speech at 24 kHz has; forward error correction needs its lower, SILK half."""
_OPTIONS = {
    "application": "voip",
    "frame_duration": str(PACKET_MS),
    # Each packet of speech carries the one before it once more, smaller, as if 10% were lost.
    "fec": "1",
    "packet_loss": "10",
    # CPU per packet of speech: 0.36 ms at 10, the default, 0.25 ms at 5, 0.22 ms at 3.
    "compression_level": "5",
}
_SILENT = bytes(2 * PACKET_SAMPLES)
_SETTLED = 10
"""Packets after which the encoder has nothing left to say about a silence."""
_COPY_SAMPLES = ms_to_samples(20, OPUS_RATE_HZ)
"""A packet carries a copy of one before it; browsers send 20 ms in each."""
_CONCEALED_SAMPLES = ms_to_samples(100, OPUS_RATE_HZ)
"""Longer than that nobody knows how the sound went on."""
_MAX_GAP_SAMPLES = OPUS_RATE_HZ
"""A longer gap in a stream's time is not loss: its sender was silent on purpose."""


class OpusWriter:
    """One stream of 24 kHz PCM into packets of 20 ms.

    The encoder takes 24 kHz as it is, so nothing is resampled. aiortc's own encoder is not used: it is a stereo one at
    96 kbit/s without error correction, and its options cannot be reached before it is open; encoded packets, though, it
    sends as they are.
    """

    def __init__(self) -> None:
        codec = av.CodecContext.create("libopus", "w")
        assert isinstance(codec, av.AudioCodecContext)
        codec.format = "s16"
        codec.layout = "mono"
        codec.sample_rate = VOICE_RATE_HZ
        codec.bit_rate = _BIT_RATE
        codec.time_base = Fraction(1, VOICE_RATE_HZ)
        codec.options = dict(_OPTIONS)
        self._codec = codec
        self._taken = 0
        self._silent = 0
        self._last = b""

    def write(self, pcm: bytes) -> bytes:
        """The packet of `PACKET_SAMPLES` samples.

        In a long silence the same packet again: encoding silence costs more than speech (0.45 ms).
        """
        self._silent = self._silent + 1 if pcm == _SILENT else 0
        if self._silent > _SETTLED:
            return self._last
        frame = av.AudioFrame.from_ndarray(np.frombuffer(pcm, "<i2").reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = VOICE_RATE_HZ
        frame.pts = self._taken
        self._taken += PACKET_SAMPLES
        # One frame in, one packet out: libopus holds nothing back but its look-ahead of 6.5 ms, which is samples.
        (packet,) = self._codec.encode(frame)
        self._last = bytes(packet)
        return self._last


class OpusReader:
    """One stream of packets into 16 kHz PCM, as long as the stream's own time: some 30 µs a packet, so it stays on the
    loop.

    What is missing is made up for: the packet before the one that came from the copy in it, where its sender sends
    copies; up to 100 ms before that as the sound may have gone on; the rest is silence.
    """

    def __init__(self, decoder: OpusDecoder | None = None) -> None:
        self._decoder = decoder or new_decoder()
        self._resampler = Resampler(OPUS_RATE_HZ, SPEECH_RATE_HZ)
        self._due: int | None = None

    def read(self, payload: bytes, timestamp: int) -> bytes:
        """The packet's sound, behind that of those that are missing before it; empty for one that is damaged."""
        gap = 0 if self._due is None else (timestamp - self._due) % 2**32
        missing = self._missing(payload, gap) if 0 < gap <= _MAX_GAP_SAMPLES else b""
        sound = self._decoder.decode(payload)
        if not sound:
            if missing and self._due is not None:
                self._due = (self._due + gap) % 2**32
            return self._resampler.push(missing)
        self._due = (timestamp + len(sound) // 2) % 2**32
        return self._resampler.push(missing + sound)

    def _missing(self, following: bytes, gap: int) -> bytes:
        """The sound of `gap` samples before a packet."""
        steps = gap // STEP_SAMPLES
        copied = min(steps, _COPY_SAMPLES // STEP_SAMPLES) * STEP_SAMPLES
        concealed = min(steps * STEP_SAMPLES - copied, _CONCEALED_SAMPLES)
        sound = self._decoder.conceal(concealed) + bytes(2 * (gap - concealed - copied))
        return sound + self._decoder.recover(following, copied) if copied else sound
