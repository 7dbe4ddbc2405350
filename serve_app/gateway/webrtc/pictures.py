"""A face's access units between the session and the wire, each bound to a sample of the sound that belongs to it."""

from collections import deque
from collections.abc import Callable, Sequence

from deployments.media.audio import VOICE_RATE_HZ
from deployments.media.video import FRAME_RATE_HZ, VideoFrame

_FRAME_SAMPLES = VOICE_RATE_HZ // FRAME_RATE_HZ


class Pictures:
    """In order. After a frame was dropped nothing can be decoded before the next keyframe, so nothing is sent."""

    def __init__(self, request_keyframe: Callable[[], None]) -> None:
        self._request_keyframe = request_keyframe
        self._waiting: deque[tuple[int, VideoFrame]] = deque()
        self._broken = True

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, frames: Sequence[VideoFrame], begin_sample: int) -> None:
        """A block's frames; `begin_sample` is where its sound begins."""
        for index, frame in enumerate(frames):
            if frame.keyframe:
                self._broken = False
            if not self._broken:
                self._waiting.append((begin_sample + index * _FRAME_SAMPLES, frame))
        if self._broken and frames:
            self._request_keyframe()

    def cut(self, from_sample: int) -> None:
        """Drop what was not sent of the pictures from this sample of the sound on."""
        kept = [each for each in self._waiting if each[0] < from_sample]
        if len(kept) < len(self._waiting):
            self._broken = True
        self._waiting = deque(kept)

    def due(self, sample: int) -> list[VideoFrame]:
        """Those that are shown with the sound from `sample` on, or were before it."""
        frames = []
        while self._waiting and self._waiting[0][0] <= sample:
            frames.append(self._waiting.popleft()[1])
        return frames
