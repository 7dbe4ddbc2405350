"""Clients that come back after their connection broke, with the token that `session.created` gave them."""

import asyncio
import logging
from collections.abc import Callable

from pydantic import TypeAdapter

from configs.session import SessionConfig
from deployments.runtime.clock import now_s
from deployments.runtime.errors import StoreUnavailable
from serve_app.gateway.sessions import Resumed, Sessions
from serve_app.session.resuming import Carried, Rest, digest_of, item_of
from serve_app.session.settings import SessionSettings
from serve_app.store import Store
from serve_app.store.resuming import Claim, Left, not_resumable

log = logging.getLogger(__name__)

_REST = TypeAdapter(Rest)
_HAND_OVER_S = 2.0
"""How long the process that has the conversation may take to let it go, before it is taken for dead."""
_ASK_EVERY_S = 0.05
_LOOK_EVERY_S = 0.5
"""Of other processes that want one of our conversations."""


class ComingBack:
    """Takes conversations over, from this process or another one, and lets go of those that others ask for."""

    def __init__(self, store: Store, sessions: Sessions, config: Callable[[], SessionConfig]) -> None:
        self._store = store
        self._sessions = sessions
        self._config = config

    async def take(self, token: str, heard_ms: int | None) -> Resumed:
        """The conversation of a token, which is void from then on.

        `heard_ms`: how much the client has played of the reply that was cut off, if it knows. Raises NotFound.
        """
        digest = digest_of(token)
        if digest is None:
            raise not_resumable()
        # An owner that was killed could not say when: its last word may be as old as a conversation may be silent.
        silent_s = max(self._config().resume.within_s, self._config().idle_s)
        await self._wait_for_hand_over(digest, silent_s)
        recorder, left = await self._store.take_over(digest, silent_s)
        carried = _carried(left)
        return Resumed(carried if heard_ms is None else carried.heard_at(heard_ms), recorder)

    async def watch(self) -> None:
        """Let go of conversations that go on elsewhere; run by the replica for as long as it lives."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            if not len(self._sessions):
                continue
            try:
                wanted = await self._store.wanted()
            except StoreUnavailable:
                continue  # its writer says so
            for conversation_id in wanted:
                self._sessions.hand_over(conversation_id)

    async def _wait_for_hand_over(self, digest: str, silent_s: float) -> None:
        deadline_s = now_s() + _HAND_OVER_S
        claim: Claim = await self._store.claim(digest, silent_s)
        while not claim.handed_over:
            if now_s() >= deadline_s:
                log.warning("conversation %s is taken over from a process that is silent", claim.conversation_id)
                return
            self._sessions.hand_over(claim.conversation_id)
            await asyncio.sleep(_ASK_EVERY_S)
            claim = await self._store.claim(digest, silent_s)


def _carried(left: Left) -> Carried:
    items = tuple(item_of(item) for item in left.items)
    rest = _REST.validate_python(left.rest) if left.rest else Rest(unanswered=_owes_an_answer(left))
    return Carried(left.session_id, left.conversation_id, SessionSettings.model_validate(left.settings), items, rest)


def _owes_an_answer(left: Left) -> bool:
    """Whether a process that was killed was about to answer, or in the middle of it."""
    last = next((item for item in reversed(left.items) if item["type"] == "message"), None)
    return last is not None and (last["role"] == "user" or last["status"] == "in_progress")
