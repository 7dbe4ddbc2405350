"""A face's blocks as an MP4 that can be played while it is being made.

Fragmented (ISO/IEC 14496-12, 8.8): a fragment a block, so that a reader waits for no more than that. The pictures are
those of the Avatar stage, not encoded again; the sound is AAC. The head is written with the first fragment, and not
before it, because only then the length of the AAC encoder's silent start is known, which an edit list takes away:
written at once, the picture would begin 43 ms late.
"""

import io
from fractions import Fraction
from typing import Final

import av
import numpy as np
from av.audio.stream import AudioStream
from av.stream import Stream
from av.video.stream import VideoStream

from deployments.avatar.contract import AvatarReply
from deployments.media.audio import VOICE_RATE_HZ
from deployments.media.video import BLOCK_MS, FRAME_RATE_HZ, VideoFrame
from serve_app.gateway.sink import Sink

MEDIA_TYPE: Final = "video/mp4"
_OPTIONS: Final = {
    "movflags": "delay_moov+frag_keyframe+default_base_moof",
    "frag_duration": str(round(1000 * BLOCK_MS)),  # µs
}
_AUDIO_BITS_PER_S: Final = 64_000
_FRAME = Fraction(1, FRAME_RATE_HZ)


class Mp4Writer:
    """One film. Its methods encode sound, about 1 ms a block: call them in a worker thread, one at a time."""

    def __init__(self) -> None:
        self._sink = Sink()
        self._container = av.open(self._sink, "w", format="mp4", options=dict(_OPTIONS))
        self._video: VideoStream | None = None
        self._audio: AudioStream | None = None
        self._frames = 0
        self._samples = 0

    def add(self, block: AvatarReply) -> bytes:
        """The next 200 ms; gives the bytes that are ready, maybe none. The first block begins with a keyframe."""
        video, audio = self._streams(block)
        for frame in block.frames:
            self._container.mux(self._packet(frame, video))
        sound = av.AudioFrame.from_ndarray(np.frombuffer(block.pcm, "<i2")[None, :], format="s16", layout="mono")
        sound.sample_rate = VOICE_RATE_HZ
        sound.time_base = Fraction(1, VOICE_RATE_HZ)
        sound.pts = self._samples
        self._samples += sound.samples
        self._container.mux(audio.encode(sound))
        return self._sink.taken()

    def finish(self) -> bytes:
        """The rest of the file."""
        if self._audio is not None:
            self._container.mux(self._audio.encode(None))
        self._container.close()
        return self._sink.taken()

    def _streams(self, block: AvatarReply) -> tuple[VideoStream, AudioStream]:
        if self._video is None or self._audio is None:
            self._video = self._video_stream(block.frames[0])
            self._audio = self._container.add_stream("aac", rate=VOICE_RATE_HZ, layout="mono")
            self._audio.bit_rate = _AUDIO_BITS_PER_S
        return self._video, self._audio

    def _video_stream(self, first: VideoFrame) -> VideoStream:
        if not first.keyframe:
            raise ValueError("a film begins with a keyframe")
        # What the head says about the pictures (size, profile, parameter sets) is read from the first one.
        with av.open(io.BytesIO(first.data), "r", format="h264") as parsed:
            stream = self._container.add_stream_from_template(parsed.streams.video[0])
        stream.time_base = _FRAME
        return stream

    def _packet(self, frame: VideoFrame, stream: VideoStream) -> "av.Packet[Stream]":
        packet = av.Packet(frame.data)
        packet.stream = stream
        packet.time_base = _FRAME
        packet.pts = packet.dts = self._frames
        packet.duration = 1
        packet.is_keyframe = frame.keyframe
        self._frames += 1
        return packet
