"""How a conversation passes from the recorder that began it to one that goes on with it, maybe in another process.

claim      who has the token asks for the conversation; its owner, if it still believes in its connection, sees that
hand over  the owner's last write, with `until_ms`
take over  the token is void, the recorder that takes it is the owner, and what the old one might still write is dropped
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from deployments.runtime.errors import Conflict, NotFound
from serve_app.store.reading import Json, item_json, not_found
from serve_app.store.schema import conversation, item, resumption


@dataclass(frozen=True, slots=True)
class Claim:
    """A conversation that somebody with its token asks for."""

    conversation_id: str
    handed_over: bool
    """Its owner has written all that it knows."""


@dataclass(frozen=True, slots=True)
class Left:
    """A conversation as its owner left it."""

    conversation_id: str
    session_id: str
    settings: Json
    rest: Json
    items: tuple[Json, ...]
    positions: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Reopened:
    """A conversation that was over."""

    owner: str | None
    """Of the recorder before; None where any may write it."""
    started: Json
    """What `Recorder.conversation_started` was told."""
    items: tuple[Json, ...]
    positions: Mapping[str, int]


async def claim(connection: AsyncConnection, token_digest: str, now_ms: int, silent_ms: int) -> Claim:
    """Ask for the conversation of a token. Raises NotFound.

    `silent_ms`: how long ago an owner that has not handed over may have written last, since it may have died.
    """
    row = (await connection.execute(_open(token_digest, now_ms, silent_ms))).mappings().one_or_none()
    if row is None:
        raise not_resumable()
    handed_over = row["until_ms"] is not None
    if not handed_over and row["claimed_at_ms"] is None:
        await connection.execute(
            update(resumption).where(resumption.c.token_digest == token_digest).values(claimed_at_ms=now_ms)
        )
    return Claim(row["conversation_id"], handed_over)


async def take_over(connection: AsyncConnection, token_digest: str, now_ms: int, silent_ms: int, owner: str) -> Left:
    """Make `owner` the one that writes the conversation from now on; the token is void. Raises NotFound."""
    row = (await connection.execute(_open(token_digest, now_ms, silent_ms))).mappings().one_or_none()
    if row is None:
        raise not_resumable()
    await connection.execute(
        update(resumption)
        .where(resumption.c.token_digest == token_digest)
        .values(owner=owner, token_digest="", until_ms=0, claimed_at_ms=None)
    )
    rows = await _items(connection, row["conversation_id"])
    return Left(
        row["conversation_id"],
        row["session_id"],
        row["settings"],
        row["rest"],
        tuple(item_json(each) for each in rows),
        {each["id"]: each["position"] for each in rows},
    )


async def wanted(connection: AsyncConnection, owners: Mapping[str, str]) -> tuple[str, ...]:
    """Of conversations with their owners, those that somebody else waits for or has taken over."""
    row = resumption.c
    query = select(row.conversation_id, row.owner, row.claimed_at_ms).where(row.conversation_id.in_(owners))
    return tuple(
        conversation_id
        for conversation_id, owner, claimed_at_ms in await connection.execute(query)
        if claimed_at_ms is not None or owner != owners[conversation_id]
    )


async def reopen(connection: AsyncConnection, conversation_id: str, now_ms: int) -> Reopened:
    """Go on with a conversation that is over, and let nobody else do so meanwhile.

    Raises NotFound, and Conflict while it goes on or its client may come back to it.
    """
    live = (conversation.c.id == conversation_id, conversation.c.deleted_at_ms.is_(None))
    # The update first: it takes the row's lock.
    ended = update(conversation).where(*live, conversation.c.ended_at_ms.is_not(None))
    if not (await connection.execute(ended.values(ended_at_ms=None, end_reason=None))).rowcount:
        if (await connection.execute(select(conversation.c.id).where(*live))).one_or_none() is None:
            raise not_found(conversation_id)
        raise Conflict(f"Conversation '{conversation_id}' is going on.", "conversation_in_use", "conversation_id")
    about = (await connection.execute(select(conversation).where(*live))).mappings().one()
    left = (
        (await connection.execute(select(resumption).where(resumption.c.conversation_id == conversation_id)))
        .mappings()
        .one_or_none()
    )
    if left is not None and (left["until_ms"] is None or left["until_ms"] >= now_ms):
        raise Conflict(
            f"Conversation '{conversation_id}' waits for its client to come back.",
            "conversation_in_use",
            "conversation_id",
        )
    rows = await _items(connection, conversation_id)
    started = {name: about[name] for name in ("session_id", "model", "voice", "metadata")}
    positions = {each["id"]: each["position"] for each in rows}
    owner = None if left is None else left["owner"]
    return Reopened(owner, started, tuple(item_json(each) for each in rows), positions)


def not_resumable() -> NotFound:
    """The same words for a token that never was, was used, or is too old."""
    return NotFound("This conversation cannot be resumed: its token was used, is too old or unknown.", param="resume")


def _open(token_digest: str, now_ms: int, silent_ms: int) -> Any:
    holds: ColumnElement[bool] = or_(
        resumption.c.until_ms >= now_ms,
        resumption.c.until_ms.is_(None) & (conversation.c.updated_at_ms >= now_ms - silent_ms),
    )
    return (
        select(resumption, conversation.c.session_id)
        .join(conversation, conversation.c.id == resumption.c.conversation_id)
        .where(resumption.c.token_digest == token_digest, conversation.c.deleted_at_ms.is_(None), holds)
    )


async def _items(connection: AsyncConnection, conversation_id: str) -> Sequence[RowMapping]:
    query = select(item).where(item.c.conversation_id == conversation_id).order_by(item.c.position, item.c.id)
    return (await connection.execute(query)).mappings().all()
