"""An utterance whose model has to be loaded first: it keeps what it hears until then."""

import asyncio
from collections.abc import Awaitable, Callable

from deployments.asr.blocks import check_block
from deployments.asr.contract import Transcript
from deployments.asr.whisper.loaded_model import LoadedModel
from deployments.asr.whisper.recognizer import WhisperRecognizer
from deployments.runtime.errors import InvalidRequest
from deployments.runtime.residency import Lease


class AwaitedRecognizer:
    """No words while the model loads; the final ones wait for it. What it keeps is bounded by what sends it: a session
    by its unanswered sound, a file by its segments.
    """

    def __init__(
        self,
        lease: Callable[[], Awaitable[Lease[LoadedModel]]],
        begin: Callable[[Lease[LoadedModel]], WhisperRecognizer],
        give_back: Callable[["AwaitedRecognizer"], None],
    ) -> None:
        """`begin` opens the utterance in the model, and gives back the lease at its end, or if it cannot."""
        self._lease = lease
        self._begin = begin
        self._give_back = give_back
        self._leasing: asyncio.Task[Lease[LoadedModel]] | None = None
        self._recognizer: WhisperRecognizer | None = None
        self._held = bytearray()
        self._closed = False

    async def accept(self, pcm: bytes) -> Transcript:
        """Take a block. Raises StageUnavailable where the model cannot be loaded, InvalidRequest as the model does."""
        check_block(pcm)
        self._check_open()
        recognizer = await self._loaded(wait=False)
        if recognizer is None:
            self._held += pcm
            return Transcript()
        return await recognizer.accept(pcm)

    async def finalize(self) -> Transcript:
        """The final words, once the model is there."""
        self._check_open()
        recognizer = await self._loaded(wait=True)
        assert recognizer is not None
        return await recognizer.finalize()

    async def close(self) -> None:
        """Drop what it has; the model is loaded to its end for whoever asks next."""
        if self._closed:
            return
        self._closed = True
        self._give_back(self)
        if self._recognizer is not None:
            await self._recognizer.close()
        elif self._leasing is not None:
            self._leasing.cancel()
            await asyncio.wait([self._leasing])
            if not self._leasing.cancelled() and self._leasing.exception() is None:
                self._leasing.result().release()

    def _check_open(self) -> None:
        if self._closed:
            raise InvalidRequest("the utterance is closed")

    async def _loaded(self, *, wait: bool) -> WhisperRecognizer | None:
        if self._recognizer is not None:
            return self._recognizer
        if self._leasing is None:
            self._leasing = asyncio.create_task(_of(self._lease()), name="whisper awaits its model")
        await asyncio.wait([self._leasing], timeout=None if wait else 0)
        if not self._leasing.done():
            return None
        lease = self._leasing.result()
        if self._recognizer is None:
            self._recognizer = self._begin(lease)
            await self._recognizer.accept(bytes(self._held))
            self._held.clear()
        return self._recognizer


async def _of(lease: Awaitable[Lease[LoadedModel]]) -> Lease[LoadedModel]:
    return await lease
