"""A model in memory, the thread that runs it, and what forms its batches."""

from collections.abc import Callable, Sequence

from deployments.asr.whisper.heard import Answer, Question
from deployments.asr.whisper.model import WhisperModel
from deployments.asr.whisper.scheduler import Scheduler
from deployments.runtime.worker import Worker


class LoadedModel:
    """Ready to be asked, one step at a time."""

    def __init__(
        self,
        model: WhisperModel,
        worker: Worker,
        *,
        max_batch: int,
        max_waiting: int,
        budget_s: float,
        interim_share: float,
    ) -> None:
        """`worker`: in which it was loaded; the rest is `Scheduler`'s."""
        self.model = model
        self.scheduler: Scheduler[Question, Answer] = Scheduler(
            self._step, max_batch=max_batch, max_waiting=max_waiting, budget_s=budget_s, interim_share=interim_share
        )
        self._worker = worker

    async def _step(
        self, questions: Sequence[Question], give_way: Callable[[], bool]
    ) -> Sequence[Answer | Exception] | None:
        return await self._worker.run(lambda: self.model.answer(questions, give_way))

    async def close(self) -> None:
        """End what is asked, and join the thread."""
        await self.scheduler.close()
        await self._worker.close()
