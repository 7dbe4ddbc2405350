"""Whose sound is heard next: one batch of several utterances per step, who has just stopped speaking first."""

import asyncio
import enum
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from deployments.runtime.clock import now_s
from deployments.runtime.errors import ServerFull, StageUnavailable

Q = TypeVar("Q")
A = TypeVar("A")

Step = Callable[[Sequence[Q], Callable[[], bool]], Awaitable[Sequence[A | Exception] | None]]
"""Answers questions of one shape: for each an answer or an error to raise. The callable, asked from any thread, says
that somebody more urgent waits; a step that gives way then returns None, and its questions are asked again later."""


class Urgency(enum.IntEnum):
    """What waits, the most urgent first."""

    FINAL = 0
    """Of a speaker who has just stopped."""
    LIVE = 1
    """Words while somebody speaks."""
    FILE = 2
    """Nobody waits for each word."""


PASSED_OVER_MOST: Final = {Urgency.FINAL: 0, Urgency.LIVE: 4, Urgency.FILE: 12}
"""So many steps of others may go before one that waits, so that nothing waits for ever."""
GIVES_WAY_MOST: Final = 2
"""So many times in a row may a kind's step give way; then it is done."""
NEWEST_WEIGHT: Final = 0.5
"""Of the last step in what one question is expected to take."""


@dataclass(slots=True, eq=False)
class Waiting(Generic[Q, A]):
    """A question that is read when its step begins: so it is about all that was heard by then."""

    urgency: Urgency
    shape: Callable[[], Hashable]
    read: Callable[[], Q]
    answer: asyncio.Future[A]


class Scheduler(Generic[Q, A]):
    """Forms the steps. Belongs to one event loop; one step runs at a time."""

    def __init__(
        self,
        step: Step[Q, A],
        *,
        max_batch: int,
        max_waiting: int,
        budget_s: float,
        interim_share: float = 1.0,
    ) -> None:
        """`budget_s`: what a step may take, as far as others of its shape tell; one question is always asked.

        `interim_share`: of the time between steps of LIVE that they may work, so that the rest of the machine lives.
        """
        self._step = step
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._budget_s = budget_s
        self._interim_share = interim_share
        self._queues: dict[Urgency, deque[Waiting[Q, A]]] = {urgency: deque() for urgency in Urgency}
        self._passed = dict.fromkeys(Urgency, 0)
        self._gave_way = dict.fromkeys(Urgency, 0)
        self._each_s: dict[Hashable, float] = {}
        self._live_from_s = 0.0
        self._arrived = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.steps: dict[int, int] = {}
        """How many steps there were of each size."""

    @property
    def waiting(self) -> int:
        """Questions that no step has yet taken."""
        return sum(map(len, self._queues.values()))

    async def ask(self, urgency: Urgency, shape: Callable[[], Hashable], read: Callable[[], Q]) -> A:
        """Await the answer. Cancelled while it waits, the question is never asked.

        Raises ServerFull when too many wait, StageUnavailable once closed, and what the step says.
        """
        if self._closed:
            raise StageUnavailable("speech recognition is closed")
        if self.waiting >= self._max_waiting:
            raise ServerFull(f"{self.waiting} utterances already wait to be recognised; try again later")
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        waiting = Waiting(urgency, shape, read, answer)
        self._queues[urgency].append(waiting)
        self._arrived.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="whisper steps")
        try:
            return await answer
        finally:
            if waiting in self._queues[urgency]:
                self._queues[urgency].remove(waiting)
                self._arrived.set()

    async def close(self) -> None:
        """Refuse what waits, and let the running step end. May be called more than once."""
        self._closed = True
        for queue in self._queues.values():
            while queue:
                self._refuse(queue.popleft())
        self._arrived.set()
        if self._task is not None:
            await asyncio.wait([self._task])

    def _refuse(self, waiting: Waiting[Q, A]) -> None:
        if not waiting.answer.done():
            waiting.answer.set_exception(StageUnavailable("speech recognition was closed"))

    async def _run(self) -> None:
        while self.waiting:
            self._arrived.clear()
            urgency = self._next()
            if urgency is not None:
                await self._do(urgency, self._take(urgency))
                continue
            try:
                async with asyncio.timeout(self._live_from_s - now_s()):
                    await self._arrived.wait()
            except TimeoutError:
                pass  # the rest between steps of LIVE is over

    def _next(self) -> Urgency | None:
        """Of what kind the next step is; None while nothing but LIVE waits and that has to rest."""
        resting = now_s() < self._live_from_s
        ready = [each for each, queue in self._queues.items() if queue and not (each is Urgency.LIVE and resting)]
        starved = [each for each in ready if each is not ready[0] and self._passed[each] >= PASSED_OVER_MOST[each]]
        return next(iter(starved or ready), None)

    def _take(self, urgency: Urgency) -> list[Waiting[Q, A]]:
        """The first of its kind, and those behind it that have its shape."""
        queue = self._queues[urgency]
        shape = queue[0].shape()
        each_s = self._each_s.get((urgency, shape), 0.0)
        fits = self._max_batch if each_s <= 0 else int(self._budget_s / each_s)
        batch = [waiting for waiting in queue if waiting.shape() == shape][: max(1, min(fits, self._max_batch))]
        for waiting in batch:
            queue.remove(waiting)
        for other, others in self._queues.items():
            self._passed[other] = self._passed[other] + 1 if others and other is not urgency else 0
        return batch

    def _must_give_way(self, urgency: Urgency) -> Callable[[], bool]:
        """Whether a step of this kind lets those go first who have just stopped speaking."""
        finals = self._queues[Urgency.FINAL]
        if urgency is Urgency.FINAL or self._gave_way[urgency] >= GIVES_WAY_MOST:
            return lambda: False
        return lambda: bool(finals)

    async def _do(self, urgency: Urgency, batch: list[Waiting[Q, A]]) -> None:
        shape, began_s = batch[0].shape(), now_s()
        give_way = self._must_give_way(urgency)
        answers: Sequence[A | Exception] | None
        try:
            answers = await self._step([waiting.read() for waiting in batch], give_way)
        except Exception as error:  # whatever it was, those who wait are told
            answers = [error] * len(batch)
        took_s = now_s() - began_s
        if urgency is Urgency.LIVE:
            self._live_from_s = now_s() + took_s * (1 / self._interim_share - 1)
        if answers is None:
            self._gave_way[urgency] += 1
            self._passed[urgency] = PASSED_OVER_MOST[urgency] - 1  # its turn comes again after one step of others
            self._again(urgency, batch)
            return
        self._gave_way[urgency] = 0
        self.steps[len(batch)] = self.steps.get(len(batch), 0) + 1
        self._learn((urgency, shape), took_s / len(batch))
        for waiting, answer in zip(batch, answers, strict=True):
            if waiting.answer.done():
                continue
            if isinstance(answer, Exception):
                waiting.answer.set_exception(answer)
            else:
                waiting.answer.set_result(answer)

    def _again(self, urgency: Urgency, batch: list[Waiting[Q, A]]) -> None:
        for waiting in reversed(batch):
            if self._closed:
                self._refuse(waiting)
            elif not waiting.answer.done():
                self._queues[urgency].appendleft(waiting)

    def _learn(self, kind: Hashable, each_s: float) -> None:
        known_s = self._each_s.get(kind, each_s)
        self._each_s[kind] = known_s + NEWEST_WEIGHT * (each_s - known_s)
