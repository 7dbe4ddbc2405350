"""Routing by session and by model. Rests on Serve's alpha router interface.

Serve's default router ignores `session_id`; its consistent-hash router put 4 sessions on 3 replicas as 3/1/0 and moves
sessions whenever replicas change. Each calling replica has its own router and so its own table. Which models a replica
has it says by `record_routing_stats`.
"""

import random
from typing import Any

from ray.serve._private.common import RequestMetadata
from ray.serve._private.request_router.common import PendingRequest
from ray.serve._private.request_router.replica_wrapper import RunningReplica
from ray.serve._private.request_router.request_router import RequestRouter

from deployments.runtime.clock import now_s
from deployments.runtime.residents_stat import residents_in
from deployments.runtime.sticky_table import StickyTable


class ModelRouter(RequestRouter):
    """Each call to the shorter queue of two replicas, taken at random from those that have its model if it names one.

    Where these are full, or none has it, from all.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pending: dict[int, PendingRequest] = {}

    @property
    def max_num_routing_tasks(self) -> int:
        """Serve's own limit is two per replica: two calls that wait for a full replica would hold up all others."""
        return int(self.max_num_routing_tasks_cap)

    async def choose_replicas(
        self, candidate_replicas: list[RunningReplica], pending_request: PendingRequest | None = None
    ) -> list[list[RunningReplica]]:
        """Ranks: those to ask first, then those to ask where these are full."""
        if pending_request is None:
            return [_two(candidate_replicas)]
        # Without it Serve's loop would ask again at once, for ever, while the candidates are full.
        pending_request.routing_context.should_backoff = True
        return self._ranks(candidate_replicas, pending_request)

    def _ranks(self, candidates: list[RunningReplica], pending: PendingRequest) -> list[list[RunningReplica]]:
        having = _having(candidates, pending)
        return [_two(having), _two(candidates)] if having else [_two(candidates)]

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


class StickyRouter(ModelRouter):
    """Calls with a `session_id` go by the table; others as in `ModelRouter`.

    A full or unreachable replica is waited for, never left, until Serve says that it is gone. With `leave_when_full`
    its calls go elsewhere meanwhile, and come back: for a deployment whose replicas hold of a session what saves time
    (the prefix of a conversation), and nothing that it needs.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._table = StickyTable()
        self._leave_when_full = False

    def initialize_state(self, *, leave_when_full: bool = False, **kwargs: Any) -> None:
        """Take `request_router_kwargs`: `leave_when_full` and those of `StickyTable`."""
        self._leave_when_full = leave_when_full
        self._table = StickyTable(**kwargs)

    def _ranks(self, candidates: list[RunningReplica], pending: PendingRequest) -> list[list[RunningReplica]]:
        session_id = pending.metadata.session_id
        by_name = {_name(replica): replica for replica in candidates}
        if not session_id or not by_name:
            return super()._ranks(candidates, pending)
        model = pending.metadata.multiplexed_model_id
        having = [_name(replica) for replica in _having(candidates, pending)]
        home = by_name[self._table.choose(session_id, by_name, now_s(), model=model, having=having)]
        if not self._leave_when_full:
            return [[home]]
        return [[home], [replica for replica in candidates if replica is not home]]


def _name(replica: RunningReplica) -> str:
    return str(replica.replica_id.unique_id)


def _two(replicas: list[RunningReplica]) -> list[RunningReplica]:
    # Calls of the same moment see the same queues: out of all replicas they would all choose the same one.
    return random.sample(replicas, min(2, len(replicas)))


def _having(replicas: list[RunningReplica], pending: PendingRequest) -> list[RunningReplica]:
    """Those that have the model which the call names."""
    model = pending.metadata.multiplexed_model_id
    return [each for each in replicas if model in residents_in(each.routing_stats)] if model else []
