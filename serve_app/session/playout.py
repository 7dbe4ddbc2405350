"""Sends a reply's sound at most a lead ahead of real time, and knows how much of it has been heard."""

import asyncio
from collections.abc import Callable

from deployments.media.audio import BYTES_PER_SAMPLE, VOICE_RATE_HZ, fade_in, fade_out, ms_to_samples, samples_of
from deployments.runtime import clock

_FADE_BYTES = BYTES_PER_SAMPLE * ms_to_samples(10, VOICE_RATE_HZ)
_CUSHION_S = 0.06
"""After a pause that was for nothing, sound goes out again when the client has so little left: the user who was heard
indistinctly may yet be heard plainly, and what was not sent need not be dropped.
"""
_FADE_AHEAD_S = 0.06
"""A held reply fades out this long before the client has played all that was sent: time for the way to it."""


class Playout:
    """One reply's way out. `put` is called by one task, `run` by another; hold, release and stop by anyone.

    The client is taken to play what it gets at once and without a gap: the playhead moves in real time, never past what
    was sent, and waits when nothing more came (an under-run) or playback is held. A reply that is held for longer than
    the client has sound ends in a fade of 10 ms, which counts as not sent, and goes on from the same sample with one.
    """

    def __init__(self, send: Callable[[bytes, int], None], *, lead_ms: float, block_ms: float) -> None:
        """`send(pcm, end_sample)` is called with each block and the reply's length up to its end."""
        self._send = send
        self._lead_samples = ms_to_samples(lead_ms, VOICE_RATE_HZ)
        self._block_bytes = BYTES_PER_SAMPLE * ms_to_samples(block_ms, VOICE_RATE_HZ)
        self._queue = bytearray()
        self._sent_samples = 0
        self._origin_s: float | None = None
        self._complete = False
        self._held = False
        self._was_held = False
        """Since the last block: what the client lacked is no under-run."""
        self._faded = False
        self._rests_until_s = 0.0
        self._stopped_at: int | None = None
        self._moved = asyncio.Event()
        self.worst_gap_s = 0.0
        """Longest under-run after the first sound: how long the client had nothing to play."""

    @property
    def put_samples(self) -> int:
        """Length of the reply as far as it was put in."""
        return self._sent_samples + self._queued_samples

    @property
    def _queued_samples(self) -> int:
        return len(self._queue) // BYTES_PER_SAMPLE

    @property
    def sent_samples(self) -> int:
        """Length of the reply as far as it was sent."""
        return self._sent_samples

    def heard_samples(self, now_s: float) -> int:
        """The playhead: how much of the reply has been played by now."""
        if self._stopped_at is not None:
            return self._stopped_at
        if self._origin_s is None:
            return 0
        return min(self._sent_samples, int((now_s - self._origin_s) * VOICE_RATE_HZ))

    async def put(self, pcm: bytes) -> None:
        """Queue sound; returns when less than the lead is queued, so that its caller fetches no more than that."""
        self._queue += pcm
        self._moved.set()
        while self._queued_samples >= self._lead_samples and self._stopped_at is None:
            await self._wait_for_move()

    def finish(self) -> None:
        """Nothing more will be put in."""
        self._complete = True
        self._moved.set()

    def hold(self) -> None:
        """Send nothing from now on."""
        self._held = self._was_held = True
        self._rests_until_s = 0.0
        self._moved.set()

    def release(self, *, late: bool = False) -> None:
        """Send on from the sample where it stopped; `late`: not before the client needs it."""
        self._held = False
        if late and self._origin_s is not None:
            self._rests_until_s = self._origin_s + self._sent_samples / VOICE_RATE_HZ - _CUSHION_S
        self._moved.set()

    def stop(self, now_s: float) -> int:
        """Drop what was not sent, for good; the samples that were heard."""
        self._stopped_at = self.heard_samples(now_s)
        self._queue.clear()
        self._moved.set()
        return self._stopped_at

    async def run(self) -> None:
        """Send until everything that was put in is sent, or it is stopped."""
        while self._stopped_at is None:
            if self._held or not self._queue:
                if self._complete and not self._queue:
                    return
                await self._wait_for_move(self._fade_in_s(clock.now_s()))
                continue
            wait_s = self._due_in_s(clock.now_s())
            if wait_s > 0:
                await asyncio.sleep(wait_s)
                continue
            self._send_next(clock.now_s())

    def _fade_in_s(self, now_s: float) -> float | None:
        """How long a held reply may still rest before its end must fade; None if it need not. Fades it when due."""
        if not self._held or not self._queue or self._faded or self._origin_s is None:
            return None
        rest_s = self._origin_s + self._sent_samples / VOICE_RATE_HZ - _FADE_AHEAD_S - now_s
        if rest_s > 0:
            return rest_s
        self._faded = True
        self._send(fade_out(bytes(self._queue[:_FADE_BYTES])), self._sent_samples)
        return None

    async def played(self) -> None:
        """Return when all that was sent has been played."""
        while self._stopped_at is None and self._origin_s is not None:
            rest_s = self._origin_s + self._sent_samples / VOICE_RATE_HZ - clock.now_s()
            if rest_s <= 0:
                return
            await asyncio.sleep(rest_s)

    def _due_in_s(self, now_s: float) -> float:
        if self._origin_s is None:
            return 0.0
        end = self._sent_samples + min(len(self._queue), self._block_bytes) // BYTES_PER_SAMPLE
        return max(self._origin_s + (end - self._lead_samples) / VOICE_RATE_HZ, self._rests_until_s) - now_s

    def _send_next(self, now_s: float) -> None:
        played_out_s = now_s - self._sent_samples / VOICE_RATE_HZ
        if self._origin_s is None:
            self._origin_s = now_s
        elif played_out_s > self._origin_s:
            if not self._was_held:
                self.worst_gap_s = max(self.worst_gap_s, played_out_s - self._origin_s)
            self._origin_s = played_out_s
        self._was_held = False
        pcm = bytes(self._queue[: self._block_bytes])
        del self._queue[: self._block_bytes]
        self._sent_samples += samples_of(pcm)
        self._moved.set()
        if self._faded:
            self._faded = False
            pcm = fade_in(pcm[:_FADE_BYTES]) + pcm[_FADE_BYTES:]
        self._send(pcm, self._sent_samples)

    async def _wait_for_move(self, at_most_s: float | None = None) -> None:
        self._moved.clear()
        try:
            async with asyncio.timeout(at_most_s):
                await self._moved.wait()
        except TimeoutError:
            return
