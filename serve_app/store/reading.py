"""Reads conversations in OpenAI's list and object shapes."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

from sqlalchemy import ColumnElement, RowMapping, Select, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from deployments.runtime.errors import InvalidRequest, NotFound
from serve_app.store.schema import conversation, item, usage
from serve_app.store.statements import storable

Json = dict[str, Any]
Order = Literal["asc", "desc"]

_LIVE = conversation.c.deleted_at_ms.is_(None)


async def conversations_page(connection: AsyncConnection, limit: int, after: str | None, order: Order) -> Json:
    """Conversations by date, without their items."""
    by = (conversation.c.created_at_ms, conversation.c.id)
    query = select(conversation).where(_LIVE)
    if after is not None:
        cursor = await connection.execute(select(*by).where(conversation.c.id == storable(after), _LIVE))
        query = query.where(_beyond(by, cursor.one_or_none(), after, order))
    return await _page(connection, query, by, limit, order, conversation_json)


async def conversation_with_items(connection: AsyncConnection, conversation_id: str, limit: int) -> Json:
    """One conversation, what it cost and its first items. Raises NotFound."""
    found = await connection.execute(select(conversation).where(conversation.c.id == conversation_id, _LIVE))
    row = found.mappings().one_or_none()
    if row is None:
        raise not_found(conversation_id)
    return {
        **conversation_json(row),
        "usage": await _usage(connection, conversation_id),
        "items": await items_page(connection, conversation_id, limit, None, "asc"),
    }


async def items_page(
    connection: AsyncConnection, conversation_id: str, limit: int, after: str | None, order: Order
) -> Json:
    """Items in the order of the conversation. Raises NotFound."""
    found = await connection.execute(select(conversation.c.id).where(conversation.c.id == conversation_id, _LIVE))
    if found.one_or_none() is None:
        raise not_found(conversation_id)
    by = (item.c.position, item.c.id)
    query = select(item).where(item.c.conversation_id == conversation_id)
    if after is not None:
        cursor = await connection.execute(
            select(*by).where(item.c.conversation_id == conversation_id, item.c.id == storable(after))
        )
        query = query.where(_beyond(by, cursor.one_or_none(), after, order))
    return await _page(connection, query, by, limit, order, item_json)


def not_found(conversation_id: str) -> NotFound:
    """The same words whether it never was, was deleted, or has an impossible id."""
    return NotFound(f"No conversation with id '{conversation_id[:64]}'.", param="conversation_id")


def conversation_json(known: RowMapping) -> Json:
    """A conversation in the shape of OpenAI's, with what Parley knows beside it."""
    return {
        "id": known["id"],
        "object": "conversation",
        "created_at": known["created_at_ms"] // 1000,
        "updated_at": known["updated_at_ms"] // 1000,
        "ended_at": None if known["ended_at_ms"] is None else known["ended_at_ms"] // 1000,
        "end_reason": known["end_reason"],
        "session_id": known["session_id"],
        "model": known["model"],
        "voice": known["voice"],
        "metadata": known["metadata"],
    }


def item_json(known: RowMapping) -> Json:
    """An item in Realtime's shape, with `created_at` and, for what was played, `heard_ms` and `heard_text`."""
    shown: Json = {
        "id": known["id"],
        "object": "realtime.item",
        "type": known["type"],
        "status": known["status"],
        "created_at": known["created_at_ms"] // 1000,
    }
    if known["role"] is not None:
        shown["role"] = known["role"]
    if known["heard_ms"] is not None:
        shown |= {"heard_ms": known["heard_ms"], "heard_text": known["heard_text"]}
    result: Json = shown | known["body"]
    return result


async def _usage(connection: AsyncConnection, conversation_id: str) -> Json:
    summed = ("input_tokens", "output_tokens", "input_audio_ms", "output_audio_ms")
    totals = await connection.execute(
        select(
            func.count().label("responses"), *(func.coalesce(func.sum(usage.c[name]), 0).label(name) for name in summed)
        ).where(usage.c.conversation_id == conversation_id)
    )
    return dict(totals.mappings().one())


def _beyond(
    by: Sequence[ColumnElement[Any]], cursor: Sequence[Any] | None, after: str, order: Order
) -> ColumnElement[bool]:
    if cursor is None:
        raise InvalidRequest(
            f"after: nothing here has the id '{after[:64]}'; list again from the start.", param="after"
        )
    return tuple_(*by) > tuple(cursor) if order == "asc" else tuple_(*by) < tuple(cursor)


async def _page(
    connection: AsyncConnection,
    query: Select[Any],
    by: Sequence[ColumnElement[Any]],
    limit: int,
    order: Order,
    shape: Callable[[RowMapping], Json],
) -> Json:
    ordered = query.order_by(*(column if order == "asc" else column.desc() for column in by))
    rows = (await connection.execute(ordered.limit(limit + 1))).mappings().all()
    data = [shape(row) for row in rows[:limit]]
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": len(rows) > limit,
    }
