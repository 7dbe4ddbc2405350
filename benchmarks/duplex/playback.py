"""The client's loudspeaker: plays what arrives at once and without a gap, and drops the rest when told."""

from dataclasses import dataclass

import numpy as np

from benchmarks.speech_scenes import Samples
from deployments.media.audio import VOICE_RATE_HZ, samples_of


@dataclass(slots=True)
class Block:
    """A piece of a reply's sound."""

    at_s: float
    """When it arrived."""
    response_id: str
    item_id: str
    pcm: bytes
    start_s: float
    """When its first sample is played."""
    played: int
    """How many of its samples are."""

    @property
    def samples(self) -> int:
        """Its length."""
        return samples_of(self.pcm)

    @property
    def end_s(self) -> float:
        """When it has been played, as far as it is."""
        return self.start_s + self.played / VOICE_RATE_HZ


class Playback:
    """All blocks, and when each is played. 24 kHz."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []

    def play(self, pcm: bytes, response_id: str, item_id: str, now_s: float) -> None:
        """A block arrives."""
        start_s = max(now_s, self.blocks[-1].end_s) if self.blocks else now_s
        self.blocks.append(Block(now_s, response_id, item_id, pcm, start_s, samples_of(pcm)))

    def flush(self, now_s: float) -> None:
        """Drop what has not been played."""
        for block in reversed(self.blocks):
            if block.end_s <= now_s:
                return
            block.played = max(0, min(block.played, round((now_s - block.start_s) * VOICE_RATE_HZ)))
            block.start_s = min(block.start_s, now_s)

    def heard(self, end_s: float, count: int) -> Samples:
        """The last samples that were played by then, with silence where nothing was."""
        out: Samples = np.zeros(count)
        begin_s = end_s - count / VOICE_RATE_HZ
        for block in reversed(self.blocks):
            if block.end_s <= begin_s:
                break
            at = round((block.start_s - begin_s) * VOICE_RATE_HZ)
            first, last = max(0, -at), min(block.played, count - at)
            if first < last:
                out[at + first : at + last] = np.frombuffer(block.pcm, "<i2")[first:last]
        return out
