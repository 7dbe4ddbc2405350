"""Uploaded faces: kept with the picture that the Avatar stage is sent and a preview for people."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from deployments.runtime.errors import NotFound, TooLarge
from serve_app.store.reading import Json
from serve_app.store.schema import avatar
from serve_app.store.statements import storable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AvatarRecord:
    """An uploaded face, without its pictures."""

    id: str
    """`av_…`."""
    name: str
    description: Json
    """As it was sent; empty: the engine found the parts of the face."""
    width_px: int
    height_px: int
    """Of the video."""
    created_at_ms: int


class InTransaction(Protocol):
    """Runs a query in a transaction of its own, to its end."""

    def __call__(self, query: Callable[[AsyncConnection], Awaitable[T]]) -> Awaitable[T]:
        """Raises StoreUnavailable, and what the query raises."""
        ...


_HEAD = [column for column in avatar.columns if column.name not in ("picture", "preview")]


class Avatars:
    """The avatars of a store. Every process that has the database open sees the same."""

    def __init__(self, read: InTransaction, write: InTransaction) -> None:
        self._read = read
        self._write = write

    async def add(self, record: AvatarRecord, picture: bytes, preview: bytes, at_most: int) -> None:
        """Keep one. Raises TooLarge where `at_most` are kept already."""

        async def query(connection: AsyncConnection) -> None:
            kept = (await connection.execute(select(func.count()).select_from(avatar))).scalar_one()
            if kept >= at_most:
                raise TooLarge(f"{at_most} avatars are kept: delete one first.", "too_many_avatars")
            await connection.execute(insert(avatar).values(**_row(record), picture=picture, preview=preview))

        await self._write(query)

    async def list(self) -> tuple[AvatarRecord, ...]:
        """All of them, newest first."""

        async def query(connection: AsyncConnection) -> tuple[AvatarRecord, ...]:
            newest_first = (avatar.c.created_at_ms.desc(), avatar.c.id.desc())
            rows = await connection.execute(select(*_HEAD).order_by(*newest_first))
            return tuple(AvatarRecord(**row) for row in rows.mappings())

        return await self._read(query)

    async def get(self, avatar_id: str) -> AvatarRecord:
        """One of them. Raises NotFound."""
        row = await self._one(avatar_id, *_HEAD)
        return AvatarRecord(**row)

    async def picture(self, avatar_id: str) -> tuple[bytes, Json]:
        """What the Avatar stage needs of it: the picture and its description. Raises NotFound."""
        row = await self._one(avatar_id, avatar.c.picture, avatar.c.description)
        return row["picture"], row["description"]

    async def preview(self, avatar_id: str) -> bytes:
        """A JPEG. Raises NotFound."""
        preview: bytes = (await self._one(avatar_id, avatar.c.preview))["preview"]
        return preview

    async def delete(self, avatar_id: str) -> None:
        """Forget it. Raises NotFound."""

        async def query(connection: AsyncConnection) -> int:
            return (await connection.execute(delete(avatar).where(avatar.c.id == storable(avatar_id)))).rowcount

        if not await self._write(query):
            raise avatar_not_found(avatar_id)

    async def _one(self, avatar_id: str, *columns: Any) -> dict[str, Any]:
        async def query(connection: AsyncConnection) -> dict[str, Any] | None:
            found = await connection.execute(select(*columns).where(avatar.c.id == storable(avatar_id)))
            row = found.mappings().one_or_none()
            return None if row is None else dict(row)

        row = await self._read(query)
        if row is None:
            raise avatar_not_found(avatar_id)
        return row


def avatar_not_found(avatar_id: str, param: str = "avatar") -> NotFound:
    """The same words whether it never was, was deleted, or has an impossible id."""
    return NotFound(f"There is no avatar '{avatar_id[:64]}': see GET /v1/avatars.", "avatar_not_found", param)


def _row(record: AvatarRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "name": storable(record.name),
        "description": storable(record.description),
        "width_px": record.width_px,
        "height_px": record.height_px,
        "created_at_ms": record.created_at_ms,
    }
