"""The one task that writes what the recorders of this process hold, behind the conversations.

recorder changes ──▶ dirty ──flush_ms──▶ one transaction for 32 conversations at a time
                       ▲                    │ StoreUnavailable: put back, wait twice as long, log once
                       └────────────────────┘ Unwritable: each conversation alone, only the bad one is given up
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from configs.store import StoreConfig
from deployments.runtime.clock import now_s
from deployments.runtime.errors import StoreUnavailable
from serve_app.store.recorder import Changes, ConversationRecorder

log = logging.getLogger(__name__)

BATCH = 32
"""Conversations in one transaction: after a long failure the event loop and other processes get their turn."""

Write = Callable[[Sequence[Changes]], Awaitable[frozenset[str]]]
"""Writes all or nothing; the ids of conversations deleted meanwhile. Raises StoreUnavailable or Unwritable."""


class Unwritable(Exception):
    """The database refuses the values themselves; trying again would not help."""


@dataclass(slots=True)
class WriterStats:
    """Counts since the start."""

    flushes: int = 0
    failures: int = 0
    rows_written: int = 0
    rows_lost: int = 0
    """Given up: the values were refused, or the buffer was full while the disk failed."""
    last_flush_ms: float = 0.0


class Writer:
    """Owns the buffer of changed conversations and the task that empties it."""

    def __init__(self, config: StoreConfig, write: Write) -> None:
        self.lock = asyncio.Lock()
        """Held while writing; a deletion holds it too, so that it never overlaps a flush of this process."""
        self.stats = WriterStats()
        self._config = config
        self._write = write
        self._dirty: dict[str, ConversationRecorder] = {}
        self._changed = asyncio.Event()
        self._changed_at_s = 0.0
        self._closing = asyncio.Event()
        self._retry_s: float | None = None
        self._task = asyncio.create_task(self._run(), name="store writer")

    @property
    def failing(self) -> bool:
        """Whether the latest attempt failed."""
        return self._retry_s is not None

    @property
    def closing(self) -> bool:
        """Whether `close` was called."""
        return self._closing.is_set()

    @property
    def pending(self) -> int:
        """Rows waiting to be written."""
        return sum(recorder.pending for recorder in self._dirty.values())

    def changed(self, recorder: ConversationRecorder) -> None:
        """Remember that a conversation has something to write."""
        self._dirty[recorder.id] = recorder
        if not self._changed.is_set():
            self._changed_at_s = now_s()
            self._changed.set()

    async def flush(self) -> bool:
        """Write what is waiting now; False when the database did not take it (it is kept)."""
        async with self.lock:
            waiting = list(self._dirty.values())
            self._changed.clear()
            started_s = now_s()
            try:
                for first in range(0, len(waiting), BATCH):
                    await self._write_batch(waiting[first : first + BATCH])
            except StoreUnavailable as error:
                self._failed(error)
                return False
            self._succeeded((now_s() - started_s) * 1000)
            return True

    async def close(self) -> None:
        """Stop the task and write what is left, within the deadline."""
        self._closing.set()
        self._changed.set()
        try:
            async with asyncio.timeout(self._config.close_deadline_ms / 1000):
                await self._task
                while True:
                    if await self.flush():
                        break
                    await asyncio.sleep(self._config.flush_ms / 1000)
        except TimeoutError:
            lost = self.pending
            self.stats.rows_lost += lost
            log.error("closing with %d rows not written: the database did not take them in time", lost)

    async def _run(self) -> None:
        while not self._closing.is_set():
            await self._changed.wait()
            pause_s = self._retry_s
            if pause_s is None:
                # Counted from the oldest change: one made during the last write does not wait longer.
                pause_s = self._changed_at_s + self._config.flush_ms / 1000 - now_s()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._closing.wait()
            if not self._closing.is_set():
                await self.flush()

    async def _write_batch(self, recorders: Sequence[ConversationRecorder]) -> None:
        changes = {recorder: recorder.take() for recorder in recorders if not recorder.forgotten}
        for recorder in recorders:
            self._dirty.pop(recorder.id, None)
        if not changes:
            return
        try:
            try:
                gone = await self._write(list(changes.values()))
            except Unwritable:
                gone = await self._write_one_by_one(changes)
        except BaseException:
            # Cancelled or failed: whether or not it was committed, writing it again does no harm.
            for recorder, change in changes.items():
                recorder.put_back(change)
            raise
        for recorder, change in changes.items():
            self.stats.rows_written += change.count
            if recorder.id in gone:
                recorder.forget()
                self._dirty.pop(recorder.id, None)

    async def _write_one_by_one(self, changes: dict[ConversationRecorder, Changes]) -> frozenset[str]:
        gone: set[str] = set()
        for recorder, change in changes.items():
            try:
                gone |= await self._write([change])
            except Unwritable:
                self.stats.rows_lost += change.count
                log.exception("conversation %s: %d rows cannot be stored and are given up", recorder.id, change.count)
        return frozenset(gone)

    def _failed(self, error: StoreUnavailable) -> None:
        self.stats.failures += 1
        if self._retry_s is None:
            log.error("conversations are not being written, will try again: %s", error)
            self._retry_s = self._config.flush_ms / 1000
        else:
            self._retry_s = min(2 * self._retry_s, self._config.retry_limit_ms / 1000)
        self._changed.set()
        self._shrink()

    def _succeeded(self, took_ms: float) -> None:
        self.stats.flushes += 1
        self.stats.last_flush_ms = took_ms
        if self._retry_s is not None:
            self._retry_s = None
            log.warning("conversations are being written again")

    def _shrink(self) -> None:
        excess = self.pending - self._config.buffer_rows
        oldest_first = sorted(self._dirty.values(), key=lambda recorder: not recorder.ended)
        for recorder in oldest_first:
            if excess <= 0:
                return
            lost = recorder.give_up()
            del self._dirty[recorder.id]
            excess -= lost
            self.stats.rows_lost += lost
            log.error("conversation %s: %d rows given up, the database takes nothing", recorder.id, lost)
