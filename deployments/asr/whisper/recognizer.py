"""A recogniser of the contract: an utterance whose questions go to the shared scheduler."""

import asyncio
from collections.abc import Callable, Hashable
from typing import Final, Protocol

from deployments.asr.blocks import check_block
from deployments.asr.contract import Transcript
from deployments.asr.whisper.heard import Answer, Question
from deployments.asr.whisper.scheduler import Scheduler, Urgency
from deployments.asr.whisper.utterance import Utterance
from deployments.runtime.errors import InvalidRequest, ServerFull

GLANCE_S: Final = 0.04
"""For how long a block waits for the words that it asked for. On a GPU they are there by then; else they come with a
later block, and a block never keeps the end of the utterance waiting."""


class Shape(Protocol):
    """Which questions can be answered together: `WhisperModel.shape`."""

    def __call__(self, seconds: float, *, final: bool, hints: int) -> Hashable: ...


class WhisperRecognizer:
    """One utterance. While it is spoken one question at most is open, about all that was heard when its step begins."""

    def __init__(
        self,
        utterance: Utterance,
        scheduler: Scheduler[Question, Answer],
        shape: Shape,
        *,
        live: bool,
        give_back: Callable[["WhisperRecognizer"], None],
    ) -> None:
        self._utterance = utterance
        self._scheduler = scheduler
        self._shape = shape
        self._live = live
        self._give_back = give_back
        self._listening: asyncio.Task[None] | None = None
        self._closed = False

    async def accept(self, pcm: bytes) -> Transcript:
        """Take a block and give the words so far. Raises InvalidRequest for half a sample and once closed.

        Of a file, nothing is decoded but what is more than the model hears at once, and that is waited for.
        """
        check_block(pcm)
        self._check_open()
        self._utterance.hear(pcm)
        if self._live:
            await self._glance()
        else:
            await self._shorten(Urgency.FILE)
        return self._utterance.interim()

    async def finalize(self) -> Transcript:
        """The final words: asked for at once, before those of everybody who still speaks."""
        self._check_open()
        if self._utterance.final is not None:
            return self._utterance.final
        await self._stop_listening()
        urgency = Urgency.FINAL if self._live else Urgency.FILE
        await self._shorten(urgency)
        await self._ask(urgency, final=True)
        return self._utterance.finish()

    async def close(self) -> None:
        """Drop what is asked. What the model is already at ends with its step."""
        if not self._closed:
            self._closed = True
            self._give_back(self)
            await self._stop_listening()

    def _check_open(self) -> None:
        if self._closed:
            raise InvalidRequest("the utterance is closed")

    async def _glance(self) -> None:
        """See to it that somebody listens, and look whether there are words already."""
        listening = self._listening
        if listening is not None and listening.done():
            self._listening = None
            listening.result()  # raises what went wrong
        if self._utterance.due or self._utterance.overlong:
            if self._listening is None:
                self._listening = asyncio.create_task(self._listen(), name="whisper listens")
            await asyncio.wait([self._listening], timeout=GLANCE_S)

    async def _listen(self) -> None:
        """Ask again and again while enough new sound comes."""
        try:
            await self._shorten(Urgency.LIVE)
            while self._utterance.due:
                await self._ask(Urgency.LIVE, final=False)
                await self._shorten(Urgency.LIVE)
        except ServerFull:
            pass  # words on the way may be missed; the next block asks again

    async def _stop_listening(self) -> None:
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.cancel()
            await asyncio.wait([listening])
            if not listening.cancelled():
                listening.exception()  # the final question will tell

    async def _shorten(self, urgency: Urgency) -> None:
        """Decode and cut off what is more than the model can hear at once."""
        while self._utterance.overlong:
            await self._ask(urgency, final=True)

    async def _ask(self, urgency: Urgency, *, final: bool) -> None:
        utterance = self._utterance
        if utterance.silent:
            utterance.take_silence()
            return
        read: list[Question] = []

        def shape() -> Hashable:
            # After it was read it stays as it is, even if more is heard.
            seconds = utterance.seconds
            return final, self._shape(seconds, final=final, hints=len(utterance.hints))

        def ask() -> Question:
            read[:] = [utterance.question(final=final)]
            return read[0]

        answer = await self._scheduler.ask(urgency, shape, ask)
        utterance.take(read[0], answer)
