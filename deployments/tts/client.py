"""The Tts stage as a session sees it."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol

from deployments.runtime.errors import StageUnavailable, StateLost
from deployments.runtime.ports import StreamPort
from deployments.tts.contract import SpeechBlock, SpeechRequest, VoiceSample
from deployments.tts.voices import cloned_voice

_NOTHING = SpeechBlock(b"")


class Recordings(Protocol):
    """Where the recordings of cloned voices are kept."""

    async def check(self, voice: str) -> None:
        """Raises NotFound for one that is not there any more, which the stage may still know."""
        ...

    async def sample(self, voice: str) -> VoiceSample:
        """What a replica that does not know the voice is sent. Raises NotFound."""
        ...


class TtsClient:
    """Has clauses spoken over any port."""

    def __init__(
        self,
        port: StreamPort[SpeechRequest, SpeechBlock],
        deadline_s: float,
        recordings: Recordings | None = None,
    ) -> None:
        """`deadline_s` bounds the wait for each next block. Without `recordings` no voice is cloned."""
        self._port = port
        self._deadline_s = deadline_s
        self._recordings = recordings

    async def speak(self, request: SpeechRequest) -> AsyncGenerator[SpeechBlock, None]:
        """Stream one clause; read it inside `aclosing`. Text without anything to say yields nothing.

        A replica that dies before the first block costs one retry; after it, or when the retry fails too, raises
        StageUnavailable. Also raises StageTimeout, EngineFailed, InvalidRequest, TooLarge, and NotFound for a cloned
        voice that was deleted. A replica that does not know a cloned voice is sent its recording.
        """
        cloned = self._recordings is not None and cloned_voice(request.voice)
        if self._recordings is not None and cloned and request.sample is None:
            await self._recordings.check(request.voice)
        try:
            first, blocks = await self._first(request)
        except StageUnavailable:
            first, blocks = await self._first(request)
        except StateLost:
            if self._recordings is None or not cloned or request.sample is not None:
                raise
            sample = await self._recordings.sample(request.voice)
            first, blocks = await self._first(replace(request, sample=sample))
        async with aclosing(blocks):
            block = first
            while block is not None:
                if block != _NOTHING:
                    yield block
                block = await anext(blocks, None)

    async def _first(self, request: SpeechRequest) -> tuple[SpeechBlock | None, AsyncGenerator[SpeechBlock, None]]:
        """Begin a clause and await its first block."""
        blocks = self._port.stream(request, deadline_s=self._deadline_s)
        try:
            return await anext(blocks, None), blocks
        except BaseException:
            await blocks.aclose()
            raise
