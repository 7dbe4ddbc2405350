"""The store: what the gateway opens once per replica, hands recorders out of, and reads conversations from."""

import asyncio
import contextlib
import re
import secrets
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from typing import Any, Self, TypeVar

from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from configs.store import StoreConfig
from deployments.runtime.clock import wall_s
from deployments.runtime.errors import Conflict
from serve_app.store import calls, reading, resuming
from serve_app.store.avatars import Avatars
from serve_app.store.database import async_engine, translated
from serve_app.store.migrate import prepare
from serve_app.store.reading import Json, Order
from serve_app.store.recorder import Changes, ConversationRecorder
from serve_app.store.resuming import Claim, Left
from serve_app.store.schema import conversation, item, resumption, usage
from serve_app.store.statements import write_changes
from serve_app.store.voices import Voices
from serve_app.store.writer import Writer, WriterStats

MAX_PAGE = 100
# Waiting for a lock cannot be cancelled; while closing, many short attempts keep to the deadline.
_HASTE_MS = 100
T = TypeVar("T")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Store:
    """Conversations on disk. Open it with `Store.open`, close it with `close` or leave `async with`.

    What a recorder is told is written within `flush_ms` by one task; a read shows everything told before it, unless
    the database is failing.
    """

    def __init__(self, config: StoreConfig, engine: AsyncEngine) -> None:
        self._engine = engine
        self._writer = Writer(config, self._write)
        self._recorders: weakref.WeakValueDictionary[str, ConversationRecorder] = weakref.WeakValueDictionary()
        self._working: set[asyncio.Task[Any]] = set()
        self.avatars = Avatars(self._looking, self._changing)
        """Uploaded faces."""
        self.voices = Voices(self._looking, self._changing)
        """Recorded voices."""

    @classmethod
    async def open(cls, config: StoreConfig) -> Self:
        """Make or migrate the database and start writing. Raises ConfigError when it cannot be used."""
        await asyncio.to_thread(prepare, config)
        return cls(config, async_engine(config))

    async def close(self) -> None:
        """Write what is left, within `close_deadline_ms`, and close the database.

        A write that is already waiting for another process's lock is waited for, up to `busy_timeout_ms`.
        """
        try:
            await self._writer.close()
            if self._working:
                await asyncio.wait(self._working)
        finally:
            await self._engine.dispose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def stats(self) -> WriterStats:
        """What the writer did so far."""
        return self._writer.stats

    @property
    def pending(self) -> int:
        """Rows waiting to be written."""
        return self._writer.pending

    def recorder(self, conversation_id: str) -> ConversationRecorder:
        """The record of a new conversation; its id is letters, digits, `_` and `-`, at most 64. Raises Conflict."""
        if not _ID.fullmatch(conversation_id):
            raise ValueError(f"not an id of a conversation: {conversation_id!r}")
        if conversation_id in self._recorders:
            raise Conflict(f"conversation {conversation_id} is being recorded already")
        recorder = ConversationRecorder(conversation_id, self._writer.changed, secrets.token_hex(16))
        self._recorders[conversation_id] = recorder
        return recorder

    async def flush(self) -> bool:
        """Write what is waiting now; False when the database did not take it: it is kept and tried again."""
        return await self._writer.flush()

    async def list_conversations(self, limit: int = 20, after: str | None = None, order: Order = "desc") -> Json:
        """A page of conversations, newest first, without their items. Raises InvalidRequest for an unknown `after`."""
        return await self._read(lambda connection: reading.conversations_page(connection, limit, after, order))

    async def conversation(self, conversation_id: str) -> Json:
        """One conversation, its usage and the first page of its items. Raises NotFound."""
        _check(conversation_id)
        return await self._read(
            lambda connection: reading.conversation_with_items(connection, conversation_id, MAX_PAGE)
        )

    async def items(
        self, conversation_id: str, limit: int = 20, after: str | None = None, order: Order = "asc"
    ) -> Json:
        """A page of a conversation's items, in its order. Raises NotFound, InvalidRequest for an unknown `after`."""
        _check(conversation_id)
        return await self._read(lambda connection: reading.items_page(connection, conversation_id, limit, after, order))

    async def delete(self, conversation_id: str) -> None:
        """Delete a conversation and all that belongs to it; one that is running goes on unrecorded. Raises NotFound."""
        _check(conversation_id)
        await self._to_its_end(self._delete(conversation_id))

    async def _delete(self, conversation_id: str) -> None:
        async with self._writer.lock:
            recorder = self._recorders.get(conversation_id)
            recorded_here = recorder is not None and not recorder.forgotten
            async with self._writing() as connection:
                found = await _empty(connection, conversation_id, keep_tombstone=not recorded_here)
            if recorder is not None:
                recorder.forget()
        if not found and not recorded_here:
            raise reading.not_found(conversation_id)

    async def claim(self, token_digest: str, silent_s: float) -> Claim:
        """Ask for the conversation that a token opens; see `resuming.claim`. Raises NotFound."""
        return await self._to_its_end(self._claim(token_digest, round(1000 * silent_s)))

    async def take_over(self, token_digest: str, silent_s: float) -> tuple[ConversationRecorder, Left]:
        """Go on with a conversation; see `resuming.take_over`. Raises NotFound."""
        return await self._to_its_end(self._take_over(token_digest, round(1000 * silent_s)))

    async def go_on_with(self, conversation_id: str) -> tuple[ConversationRecorder, tuple[Json, ...]]:
        """Go on with a conversation that is over; its record and items. Raises NotFound and Conflict."""
        _check(conversation_id)
        return await self._to_its_end(self._go_on_with(conversation_id))

    async def wanted(self) -> tuple[str, ...]:
        """Conversations recorded here that somebody elsewhere waits for or has taken over."""
        owners = {recorder.id: recorder.owner for recorder in self._recorders.values() if not recorder.ended}
        if not owners:
            return ()
        return await self._to_its_end(self._look(lambda connection: resuming.wanted(connection, owners)))

    async def call_began(self, call_id: str) -> None:
        """A WebRTC call is held here."""
        await self._to_its_end(self._change(lambda connection: calls.begin(connection, call_id, _now_ms())))

    async def call_ended(self, call_id: str) -> None:
        """A WebRTC call is held no more."""
        await self._to_its_end(self._change(lambda connection: calls.end(connection, call_id)))

    async def ask_to_end_call(self, call_id: str) -> bool:
        """Ask whoever holds a WebRTC call to hang up; False when nobody does."""
        return await self._to_its_end(self._change(lambda connection: calls.ask_to_end(connection, call_id, _now_ms())))

    async def calls_to_end(self, call_ids: Sequence[str]) -> tuple[str, ...]:
        """Of these WebRTC calls, those that somebody asks to end."""
        return await self._to_its_end(self._look(lambda connection: calls.to_end(connection, call_ids)))

    async def _claim(self, token_digest: str, silent_ms: int) -> Claim:
        await self._writer.flush()
        async with self._writer.lock, self._writing() as connection:
            return await resuming.claim(connection, token_digest, _now_ms(), silent_ms)

    async def _take_over(self, token_digest: str, silent_ms: int) -> tuple[ConversationRecorder, Left]:
        await self._writer.flush()
        owner = secrets.token_hex(16)
        async with self._writer.lock, self._writing() as connection:
            left = await resuming.take_over(connection, token_digest, _now_ms(), silent_ms, owner)
        if (old := self._recorders.get(left.conversation_id)) is not None:
            old.forget()
        recorder = ConversationRecorder(left.conversation_id, self._writer.changed, owner, left.positions)
        self._recorders[left.conversation_id] = recorder
        return recorder, left

    async def _change(self, statement: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        async with self._writer.lock, self._writing() as connection:
            return await statement(connection)

    async def _look(self, query: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        with translated():
            async with self._engine.connect() as connection:
                return await query(connection)

    async def _go_on_with(self, conversation_id: str) -> tuple[ConversationRecorder, tuple[Json, ...]]:
        await self._writer.flush()
        async with self._writer.lock, self._writing() as connection:
            past = await resuming.reopen(connection, conversation_id, _now_ms())
        if (old := self._recorders.get(conversation_id)) is not None:
            old.forget()
        owner = past.owner or secrets.token_hex(16)
        recorder = ConversationRecorder(conversation_id, self._writer.changed, owner, past.positions)
        self._recorders[conversation_id] = recorder
        recorder.conversation_started(**past.started)
        return recorder, past.items

    async def _looking(self, query: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        return await self._to_its_end(self._look(query))

    async def _changing(self, query: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        return await self._to_its_end(self._change(query))

    async def _write(self, batch: Sequence[Changes]) -> frozenset[str]:
        async with self._writing() as connection:
            return await write_changes(connection, batch)

    async def _read(self, query: Callable[[AsyncConnection], Awaitable[Json]]) -> Json:
        return await self._to_its_end(self._read_whole(query))

    async def _to_its_end(self, work: Coroutine[Any, Any, T]) -> T:
        """Also when the caller gives up: SQLite's handle stays open if connecting is broken off."""
        task = asyncio.create_task(work)
        self._working.add(task)
        task.add_done_callback(self._worked)
        return await asyncio.shield(task)

    def _worked(self, task: "asyncio.Task[Any]") -> None:
        self._working.discard(task)
        if not task.cancelled():
            task.exception()  # its caller, if still there, has it

    async def _read_whole(self, query: Callable[[AsyncConnection], Awaitable[Json]]) -> Json:
        if self._writer.pending and not self._writer.failing:
            await self._writer.flush()
        return await self._look(query)

    @contextlib.asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncConnection]:
        with translated():
            async with self._engine.connect() as connection:
                await connection.execution_options(
                    writes=True, busy_timeout_ms=_HASTE_MS if self._writer.closing else None
                )
                async with connection.begin():
                    yield connection


async def _empty(connection: AsyncConnection, conversation_id: str, keep_tombstone: bool) -> bool:
    now_ms = _now_ms()
    emptied: dict[str, Any] = {
        "session_id": "",
        "model": "",
        "voice": "",
        "metadata": {},
        "end_reason": None,
        "deleted_at_ms": now_ms,
    }
    live = (conversation.c.id == conversation_id, conversation.c.deleted_at_ms.is_(None))
    # The update first: it takes the row's lock, so that a writer in another process comes wholly before or after.
    result = await connection.execute(update(conversation).where(*live).values(emptied))
    if result.rowcount == 0:
        return False
    for table in (item, usage, resumption):
        await connection.execute(delete(table).where(table.c.conversation_id == conversation_id))
    # One that is still running in another process keeps its row, for that process to find.
    row = delete(conversation).where(conversation.c.id == conversation_id)
    await connection.execute(row.where(conversation.c.ended_at_ms.is_not(None)) if keep_tombstone else row)
    return True


def _check(conversation_id: str) -> None:
    if not _ID.fullmatch(conversation_id):
        raise reading.not_found(conversation_id)


def _now_ms() -> int:
    return int(wall_s() * 1000)
