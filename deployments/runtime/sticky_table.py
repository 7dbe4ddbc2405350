"""Which replica has which session. Pure: replicas are names, time is an argument."""

import zlib
from collections import Counter, OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeVar

KeyT = TypeVar("KeyT")
SeatKey = tuple[str, str]
"""A session and the model that it asks for: with another model it may sit elsewhere."""


@dataclass(slots=True)
class _Seat:
    replica: str
    used_s: float


class StickyTable:
    """The sessions of one caller."""

    def __init__(self, *, idle_s: float = 900.0, max_sessions: int = 10_000, model_lead: int = 8) -> None:
        """A session not heard of for `idle_s` is forgotten, the least recent one when there are over `max_sessions`.

        A replica that has the model is preferred until it has `model_lead` sessions more than the emptiest one: from
        then on another has to load it.
        """
        if idle_s <= 0 or max_sessions < 1 or model_lead < 1:
            raise ValueError(f"bounds must be positive, not {idle_s}, {max_sessions} and {model_lead}")
        self._idle_s = idle_s
        self._max_sessions = max_sessions
        self._model_lead = model_lead
        self._seats: OrderedDict[SeatKey, _Seat] = OrderedDict()
        self._count: Counter[str] = Counter()
        self._sent: Counter[tuple[str, str]] = Counter()
        """Seats by model and replica."""

    def __len__(self) -> int:
        return len(self._seats)

    def choose(
        self,
        session_id: str,
        replicas: Collection[str],
        now_s: float,
        *,
        model: str = "",
        having: Collection[str] = (),
    ) -> str:
        """The session's replica: the one it has as long as that lives, else one of those that have the model.

        Among these, or among all where none has it, the one with the fewest sessions. `replicas` are those alive now,
        at least one; `having` are those that have said to have the model.
        """
        self._forget_idle(now_s)
        key = (session_id, model)
        seat = self._seats.get(key)
        if seat is not None and seat.replica in replicas:
            seat.used_s = now_s
            self._seats.move_to_end(key)
            return seat.replica
        if seat is not None:
            self._forget(key)
        if len(self._seats) >= self._max_sessions:
            self._forget(next(iter(self._seats)))
        near = self._near(replicas, model, having) if model else ()
        # Among equals by hash: many callers with few sessions each must not all begin with the same replica.
        chosen = min(
            near or replicas, key=lambda name: (self._count[name], zlib.crc32(f"{session_id} {name}".encode()))
        )
        self._seats[key] = _Seat(chosen, now_s)
        self._count[chosen] += 1
        self._sent[model, chosen] += 1
        return chosen

    def _near(self, replicas: Collection[str], model: str, having: Collection[str]) -> list[str]:
        """Those with the model that are not much fuller than others."""
        # What a replica says is a second old: one that was just sent a session with the model is loading it.
        with_model = [name for name in replicas if name in having] or [
            name for name in replicas if self._sent[model, name]
        ]
        bound = min(self._count[name] for name in replicas) + self._model_lead
        return [name for name in with_model if self._count[name] < bound]

    def _forget_idle(self, now_s: float) -> None:
        while self._seats:
            key, seat = next(iter(self._seats.items()))
            if now_s - seat.used_s < self._idle_s:
                return
            self._forget(key)

    def _forget(self, key: SeatKey) -> None:
        replica = self._seats.pop(key).replica
        _take_one(self._count, replica)
        _take_one(self._sent, (key[1], replica))


def _take_one(count: Counter[KeyT], key: KeyT) -> None:
    count[key] -= 1
    if not count[key]:
        del count[key]
