"""The statements that write a batch of changes, for SQLite and PostgreSQL alike."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Delete, Table, Update, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import Insert

from serve_app.store.recorder import Changes, Row
from serve_app.store.schema import conversation, item, resumption, usage

_CHUNK = 200
# NUL and lone surrogates: valid in Python's strings, in no database's text.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_INSERT: dict[str, Callable[[Table], Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def upsert(table: Table, dialect: str, keep: frozenset[str] = frozenset(), live_only: bool = False) -> Insert:
    """Insert, or update what is there except the columns in `keep`; `live_only` leaves deleted conversations alone."""
    statement = _INSERT[dialect](table)
    result: Insert = statement.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={
            column.name: statement.excluded[column.name]
            for column in table.columns
            if not column.primary_key and column.name not in keep
        },
        where=table.c.deleted_at_ms.is_(None) if live_only else None,
    )
    return result


def _of_item(statement: Update | Delete) -> Any:
    return statement.where(item.c.conversation_id == bindparam("in_conversation"), item.c.id == bindparam("item_id"))


_DELETE_ITEM = _of_item(delete(item))
_MOVE_ITEM = _of_item(update(item)).values(position=bindparam("to_position"))
_HEARD_ITEM = _of_item(update(item)).values(heard_ms=bindparam("to_heard_ms"), heard_text=bindparam("to_heard_text"))
_UPSERTS = {
    dialect: (
        upsert(conversation, dialect, frozenset({"created_at_ms", "deleted_at_ms"}), live_only=True),
        upsert(item, dialect, frozenset({"created_at_ms", "heard_ms", "heard_text"})),
        upsert(usage, dialect, frozenset({"created_at_ms"})),
        upsert(resumption, dialect, frozenset({"claimed_at_ms"})),
    )
    for dialect in _INSERT
}


async def write_changes(connection: AsyncConnection, batch: Sequence[Changes]) -> frozenset[str]:
    """Write a batch inside the connection's transaction; the ids of those that were deleted, or go on elsewhere."""
    put_conversation, put_item, put_usage, put_resumption = _UPSERTS[connection.dialect.name]
    taken_over = await _taken_over(connection, batch)
    batch = [changes for changes in batch if changes.conversation["id"] not in taken_over]
    # First the conversations' rows: this takes the write lock (and on PostgreSQL their row locks), so that no deletion
    # can come between the check and the rest.
    await _execute(connection, put_conversation, [changes.conversation for changes in batch])
    gone = await _deleted(connection, batch)
    live = [(changes.conversation["id"], changes) for changes in batch if changes.conversation["id"] not in gone]
    await _execute(
        connection,
        _DELETE_ITEM,
        [{"in_conversation": of, "item_id": key} for of, changes in live for key in changes.deleted],
    )
    await _execute(
        connection,
        put_item,
        [{"conversation_id": of, "id": key, **row} for of, changes in live for key, row in changes.items.items()],
    )
    await _execute(
        connection,
        _MOVE_ITEM,
        [
            {"in_conversation": of, "item_id": key, "to_position": position}
            for of, changes in live
            for key, position in changes.moved.items()
        ],
    )
    await _execute(
        connection,
        _HEARD_ITEM,
        [
            {"in_conversation": of, "item_id": key, "to_heard_ms": row["heard_ms"], "to_heard_text": row["heard_text"]}
            for of, changes in live
            for key, row in changes.heard.items()
        ],
    )
    await _execute(
        connection,
        put_usage,
        [
            {"conversation_id": of, "response_id": key, **row}
            for of, changes in live
            for key, row in changes.usage.items()
        ],
    )
    await _execute(connection, put_resumption, [c.resumption for _, c in live if c.resumption is not None])
    return gone | taken_over


async def _taken_over(connection: AsyncConnection, batch: Sequence[Changes]) -> frozenset[str]:
    """Conversations that another recorder has taken over."""
    owners = {changes.conversation["id"]: changes.owner for changes in batch}
    rows = await connection.execute(
        select(resumption.c.conversation_id, resumption.c.owner).where(resumption.c.conversation_id.in_(owners))
    )
    return frozenset(conversation_id for conversation_id, owner in rows if owner != owners[conversation_id])


async def _deleted(connection: AsyncConnection, batch: Sequence[Changes]) -> frozenset[str]:
    ids = [changes.conversation["id"] for changes in batch]
    rows = await connection.execute(
        select(conversation.c.id).where(conversation.c.id.in_(ids), conversation.c.deleted_at_ms.is_not(None))
    )
    gone = frozenset(rows.scalars())
    # Nobody will write these again, so nothing has to keep them from coming back.
    over = [
        {"gone": c.conversation["id"]} for c in batch if c.conversation["id"] in gone and c.conversation["ended_at_ms"]
    ]
    await _execute(connection, delete(conversation).where(conversation.c.id == bindparam("gone")), over)
    return gone


async def _execute(connection: AsyncConnection, statement: Any, rows: Sequence[Row]) -> None:
    # Rows are prepared on the event loop; between chunks it gets its turn.
    for first in range(0, len(rows), _CHUNK):
        await connection.execute(statement, [storable(row) for row in rows[first : first + _CHUNK]])


def storable(value: Any) -> Any:
    """A JSON value with every character that a database cannot hold replaced by U+FFFD."""
    if isinstance(value, str):
        return value if value.isascii() and "\x00" not in value else _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {storable(key): storable(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [storable(entry) for entry in value]
    return value
