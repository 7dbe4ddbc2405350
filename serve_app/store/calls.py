"""Which WebRTC calls are under way, so that any replica can ask for the end of one that another holds.

A row lasts as long as its call. Who wants it to end marks it; the replica that holds it looks for marks on its rows.
"""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from serve_app.store.schema import call


async def begin(connection: AsyncConnection, call_id: str, now_ms: int) -> None:
    """A call is under way."""
    await connection.execute(insert(call).values(id=call_id, began_at_ms=now_ms))


async def end(connection: AsyncConnection, call_id: str) -> None:
    """It is over."""
    await connection.execute(delete(call).where(call.c.id == call_id))


async def ask_to_end(connection: AsyncConnection, call_id: str, now_ms: int) -> bool:
    """Mark it; False when it is not under way."""
    marked = update(call).where(call.c.id == call_id).values(hang_up_at_ms=now_ms)
    return (await connection.execute(marked)).rowcount > 0


async def to_end(connection: AsyncConnection, call_ids: Sequence[str]) -> tuple[str, ...]:
    """Of these, those that are marked."""
    query = select(call.c.id).where(call.c.id.in_(call_ids), call.c.hang_up_at_ms.is_not(None))
    return tuple((await connection.execute(query)).scalars())
