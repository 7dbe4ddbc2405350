"""The two ways in which a session reaches a stage, free of Ray.

`calls.py` implements them over Ray Serve, `local.py` in process.
"""

from collections.abc import AsyncGenerator
from typing import Protocol, TypeVar

RequestT = TypeVar("RequestT", contravariant=True)
ReplyT = TypeVar("ReplyT", covariant=True)


class PushPort(Protocol[RequestT, ReplyT]):
    """Unary calls that stick to the replica that holds the session's state. One in flight per session."""

    async def push(self, session_id: str, request: RequestT, *, deadline_s: float) -> ReplyT:
        """Send one numbered request and await its reply.

        Raises StageUnavailable, StageTimeout, StateLost (send the state again) or EngineFailed.
        """
        ...


class StreamPort(Protocol[RequestT, ReplyT]):
    """One request, typed items back. Several at once are fine."""

    def stream(self, request: RequestT, *, deadline_s: float) -> AsyncGenerator[ReplyT, None]:
        """Yield the items, one at least; read it inside `aclosing`, which also stops the producer.

        `deadline_s` bounds the wait for each next item. Raises StageUnavailable, StageTimeout or EngineFailed.
        """
        ...
