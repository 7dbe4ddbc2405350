"""Sticky routing: a session's calls reach the replica that holds its state. Rests on Serve's alpha router interface.

Serve's default router ignores `session_id`; its consistent-hash router put 4 sessions on 3 replicas as 3/1/0 and moves
sessions whenever replicas change. Each calling replica has its own router and so its own table.
"""

import random
import zlib
from collections import Counter, OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from ray.serve._private.common import RequestMetadata
from ray.serve._private.request_router.common import PendingRequest
from ray.serve._private.request_router.replica_wrapper import RunningReplica
from ray.serve._private.request_router.request_router import RequestRouter

from deployments.runtime.clock import now_s


@dataclass(slots=True)
class _Seat:
    replica: str
    used_s: float


class StickyTable:
    """Which replica has which session. Pure: replicas are names, time is an argument."""

    def __init__(self, *, idle_s: float = 900.0, max_sessions: int = 10_000) -> None:
        """A session not heard of for `idle_s` is forgotten, the least recent one when there are over `max_sessions`."""
        if idle_s <= 0 or max_sessions < 1:
            raise ValueError(f"idle_s and max_sessions must be positive, not {idle_s} and {max_sessions}")
        self._idle_s = idle_s
        self._max_sessions = max_sessions
        self._seats: OrderedDict[str, _Seat] = OrderedDict()
        self._count: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._seats)

    def choose(self, session_id: str, replicas: Collection[str], now_s: float) -> str:
        """The session's replica: the one it has as long as that lives, else the one with the fewest sessions.

        `replicas` are those alive now, at least one.
        """
        self._forget_idle(now_s)
        seat = self._seats.get(session_id)
        if seat is not None and seat.replica in replicas:
            seat.used_s = now_s
            self._seats.move_to_end(session_id)
            return seat.replica
        if seat is not None:
            self._forget(session_id)
        if len(self._seats) >= self._max_sessions:
            self._forget(next(iter(self._seats)))
        # Among equals by hash: many callers with few sessions each must not all begin with the same replica.
        chosen = min(replicas, key=lambda name: (self._count[name], zlib.crc32(f"{session_id} {name}".encode())))
        self._seats[session_id] = _Seat(chosen, now_s)
        self._count[chosen] += 1
        return chosen

    def _forget_idle(self, now_s: float) -> None:
        while self._seats:
            session_id, seat = next(iter(self._seats.items()))
            if now_s - seat.used_s < self._idle_s:
                return
            self._forget(session_id)

    def _forget(self, session_id: str) -> None:
        replica = self._seats.pop(session_id).replica
        self._count[replica] -= 1
        if not self._count[replica]:
            del self._count[replica]


class StickyRouter(RequestRouter):
    """Calls with a `session_id` go by the table; others to the shorter queue of two replicas taken at random.

    A full or unreachable replica is waited for, never left, until Serve says that it is gone. With `leave_when_full`
    its calls go elsewhere meanwhile, and come back: for a deployment whose replicas hold of a session what saves time
    (the prefix of a conversation), and nothing that it needs.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._table = StickyTable()
        self._leave_when_full = False
        self._pending: dict[int, PendingRequest] = {}

    def initialize_state(self, *, leave_when_full: bool = False, **kwargs: Any) -> None:
        """Take `request_router_kwargs`: `leave_when_full`, `idle_s`, `max_sessions`."""
        self._leave_when_full = leave_when_full
        self._table = StickyTable(**kwargs)

    @property
    def max_num_routing_tasks(self) -> int:
        """Serve's own limit is two per replica: two calls that wait for a full replica would hold up all others."""
        return int(self.max_num_routing_tasks_cap)

    async def choose_replicas(
        self, candidate_replicas: list[RunningReplica], pending_request: PendingRequest | None = None
    ) -> list[list[RunningReplica]]:
        """The session's replica alone, or two of all; with `leave_when_full` the one and then the others."""
        # Calls of the same moment see the same queues: out of all replicas they would all choose the same one.
        two = random.sample(candidate_replicas, min(2, len(candidate_replicas)))
        if pending_request is None:
            return [two]
        # Without it Serve's loop would ask again at once, for ever, while the one candidate is full.
        pending_request.routing_context.should_backoff = True
        session_id = pending_request.metadata.session_id
        by_name = {replica.replica_id.unique_id: replica for replica in candidate_replicas}
        if not session_id or not by_name:
            return [two]
        home = by_name[self._table.choose(session_id, by_name, now_s())]
        if not self._leave_when_full:
            return [[home]]
        return [[home], [replica for replica in candidate_replicas if replica is not home]]

    # Serve finds the call for which a replica was chosen by `internal_request_id`, which all calls of one parent
    # request share: of several at once, all but one would wait for ever (measured: 2 of 4). Ours go by identity.

    def _add_pending_request_to_indices(self, pending_request: PendingRequest) -> None:
        self._pending[id(pending_request.metadata)] = pending_request

    def _remove_pending_request_from_indices(self, pending_request: PendingRequest) -> None:
        self._pending.pop(id(pending_request.metadata), None)

    def _get_pending_request_matching_internal_request_id(
        self, request_metadata: RequestMetadata | None = None
    ) -> PendingRequest | None:
        found = self._pending.get(id(request_metadata))
        return found if found is not None and not found.future.done() else None
