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

    In step with a face (`face.py`), which has the clock, it is not `run`, but asked for what comes next.

    The client is taken to play what it gets at once and without a gap: the playhead moves in real time, never past what
    was sent, and waits when nothing more came (an under-run) or playback is held. A reply that is held for longer than
    the client has sound ends in a fade of 10 ms, which counts as not sent, and goes on from the same sample with one.
    """

    def __init__(
        self, send: Callable[[bytes, int], None], *, lead_ms: float, block_ms: float, queue_ms: float | None = None
    ) -> None:
        """`send(pcm, end_sample)` is called with each block and the reply's length up to its end. `queue_ms` bounds
        what waits here: the lead, where it is None.
        """
        self._send = send
        self._lead_samples = ms_to_samples(lead_ms, VOICE_RATE_HZ)
        self._queue_samples = ms_to_samples(lead_ms if queue_ms is None else queue_ms, VOICE_RATE_HZ)
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
        self.watch: Callable[[], None] | None = None
        """Called at each `stir`."""
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
        """Queue sound; returns when less than the bound is queued, so that its caller fetches no more than that."""
        self._queue += pcm
        self.stir()
        await self.room()

    async def room(self, besides: Callable[[], int] = lambda: 0) -> None:
        """Return when less than the bound is queued, with what is held `besides` to be put in, or it is stopped."""
        while self._queued_samples + besides() >= self._queue_samples and self._stopped_at is None:
            await self._wait_for_move()

    def finish(self) -> None:
        """Nothing more will be put in."""
        self._complete = True
        self.stir()

    def hold(self) -> None:
        """Send nothing from now on."""
        self._held = self._was_held = True
        self._rests_until_s = 0.0
        self.stir()

    def release(self, *, late: bool = False) -> None:
        """Send on from the sample where it stopped; `late`: not before the client needs it."""
        self._held = False
        if late and self._origin_s is not None:
            self._rests_until_s = self._origin_s + self._sent_samples / VOICE_RATE_HZ - _CUSHION_S
        self.stir()

    def stop(self, now_s: float) -> int:
        """Drop what was not sent, for good; the samples that were heard."""
        self._stopped_at = self.heard_samples(now_s)
        self._queue.clear()
        self.stir()
        return self._stopped_at

    def due_samples(self, now_s: float) -> int:
        """How much could be sent now: none while it is held or rests."""
        return 0 if self._held or self._stopped_at is not None or now_s < self._rests_until_s else self._queued_samples

    def rests_for_s(self, now_s: float) -> float:
        """How long after a pause for nothing it still waits with its sound."""
        return 0.0 if self._held else max(0.0, self._rests_until_s - now_s)

    @property
    def lacks_sound(self) -> bool:
        """It has begun and is to go on, but less was put in than the client will have played."""
        return self._sent_samples > 0 and not (self._held or self._complete or self._stopped_at is not None)

    @property
    def complete(self) -> bool:
        """Everything has been put in."""
        return self._complete

    async def drained(self, unless: Callable[[], bool]) -> None:
        """Return when everything that was put in is sent by `send`, or it is stopped, or `unless` is so at a `stir`."""
        while self._stopped_at is None and not (self._complete and not self._queue) and not unless():
            await self._wait_for_move()

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
            self.send(self._block_bytes, clock.now_s())

    def _fade_in_s(self, now_s: float) -> float | None:
        """How long a held reply may still rest before its end must fade; None if it need not. Fades it when due."""
        if not self._held or not self._queue or self._faded or self._origin_s is None:
            return None
        rest_s = self._origin_s + self._sent_samples / VOICE_RATE_HZ - _FADE_AHEAD_S - now_s
        if rest_s > 0:
            return rest_s
        self.fade()
        return None

    def fade(self) -> bytes:
        """Send the end of a held reply, which counts as not sent; empty where it needs none or has one."""
        if not self._held or not self._queue or self._faded or self._origin_s is None:
            return b""
        self._faded = True
        end = fade_out(bytes(self._queue[:_FADE_BYTES]))
        self._send(end, self._sent_samples)
        return end

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

    def next_sound(self, most_bytes: int) -> bytes:
        """What `send` would send."""
        pcm = bytes(self._queue[:most_bytes])
        return fade_in(pcm[:_FADE_BYTES]) + pcm[_FADE_BYTES:] if self._faded else pcm

    def following(self, after_bytes: int, most_bytes: int) -> bytes:
        """The sound behind the next `after_bytes`, as far as it is there."""
        return bytes(self._queue[after_bytes : after_bytes + most_bytes])

    def send(self, most_bytes: int, now_s: float) -> None:
        """Send the next block, which the client plays behind what it has, or now."""
        played_out_s = now_s - self._sent_samples / VOICE_RATE_HZ
        if self._origin_s is None:
            self._origin_s = now_s
        elif played_out_s > self._origin_s:
            if not self._was_held:
                self.worst_gap_s = max(self.worst_gap_s, played_out_s - self._origin_s)
            self._origin_s = played_out_s
        self._was_held = False
        pcm = self.next_sound(most_bytes)
        self._faded = False
        del self._queue[: len(pcm)]
        self._sent_samples += samples_of(pcm)
        self.stir()
        self._send(pcm, self._sent_samples)

    def stir(self) -> None:
        """There is something new to look at."""
        self._moved.set()
        if self.watch is not None:
            self.watch()

    async def _wait_for_move(self, at_most_s: float | None = None) -> None:
        self._moved.clear()
        try:
            async with asyncio.timeout(at_most_s):
                await self._moved.wait()
        except TimeoutError:
            return
