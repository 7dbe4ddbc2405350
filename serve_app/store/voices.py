"""Cloned voices: kept as the recording that a speech engine imitates."""

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from deployments.runtime.errors import NotFound, TooLarge
from serve_app.store.avatars import InTransaction
from serve_app.store.schema import voice
from serve_app.store.statements import storable


@dataclass(frozen=True, slots=True)
class VoiceRecord:
    """A recorded voice, without its sound."""

    id: str
    """`voice_…`."""
    name: str
    language: str
    """ISO 639-1 of the recording; empty: not known."""
    text: str
    """What is said in the recording; empty: not known."""
    duration_ms: int
    created_at_ms: int


_HEAD = [column for column in voice.columns if column.name != "pcm"]


class Voices:
    """The recorded voices of a store. Every process that has the database open sees the same."""

    def __init__(self, read: InTransaction, write: InTransaction) -> None:
        self._read = read
        self._write = write

    async def add(self, record: VoiceRecord, pcm: bytes, at_most: int) -> None:
        """Keep one; `pcm` at 24 kHz. Raises TooLarge where `at_most` are kept already."""

        async def query(connection: AsyncConnection) -> None:
            kept = (await connection.execute(select(func.count()).select_from(voice))).scalar_one()
            if kept >= at_most:
                raise TooLarge(f"{at_most} voices are kept: delete one first.", "too_many_voices")
            row = {**asdict(record), "name": storable(record.name), "text": storable(record.text)}
            await connection.execute(insert(voice).values(**row, pcm=pcm))

        await self._write(query)

    async def list(self) -> tuple[VoiceRecord, ...]:
        """All of them, newest first."""

        async def query(connection: AsyncConnection) -> tuple[VoiceRecord, ...]:
            newest_first = (voice.c.created_at_ms.desc(), voice.c.id.desc())
            rows = await connection.execute(select(*_HEAD).order_by(*newest_first))
            return tuple(VoiceRecord(**row) for row in rows.mappings())

        return await self._read(query)

    async def get(self, voice_id: str) -> VoiceRecord:
        """One of them. Raises NotFound."""
        return VoiceRecord(**await self._one(voice_id, *_HEAD))

    async def recording(self, voice_id: str) -> tuple[bytes, str]:
        """What a speech engine needs of it: the sound at 24 kHz and what is said in it. Raises NotFound."""
        row = await self._one(voice_id, voice.c.pcm, voice.c.text)
        return row["pcm"], row["text"]

    async def delete(self, voice_id: str) -> None:
        """Forget it. Raises NotFound."""

        async def query(connection: AsyncConnection) -> int:
            return (await connection.execute(delete(voice).where(voice.c.id == storable(voice_id)))).rowcount

        if not await self._write(query):
            raise voice_not_found(voice_id)

    async def _one(self, voice_id: str, *columns: Any) -> dict[str, Any]:
        async def query(connection: AsyncConnection) -> dict[str, Any] | None:
            found = await connection.execute(select(*columns).where(voice.c.id == storable(voice_id)))
            row = found.mappings().one_or_none()
            return None if row is None else dict(row)

        row = await self._read(query)
        if row is None:
            raise voice_not_found(voice_id)
        return row


def voice_not_found(voice_id: str) -> NotFound:
    """The same words whether it never was, was deleted, or has an impossible id."""
    message = f"There is no voice '{voice_id[:64]}', or it was deleted: see GET /v1/audio/voices."
    return NotFound(message, "voice_not_found", "voice")
