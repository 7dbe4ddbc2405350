"""The Tts stage as a session sees it."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from deployments.runtime.errors import StageUnavailable
from deployments.runtime.ports import StreamPort
from deployments.tts.contract import SpeechBlock, SpeechRequest

_NOTHING = SpeechBlock(b"")


class TtsClient:
    """Has clauses spoken over any port."""

    def __init__(self, port: StreamPort[SpeechRequest, SpeechBlock], deadline_s: float) -> None:
        """`deadline_s` bounds the wait for each next block."""
        self._port = port
        self._deadline_s = deadline_s

    async def speak(self, request: SpeechRequest) -> AsyncGenerator[SpeechBlock, None]:
        """Stream one clause; read it inside `aclosing`. Text without anything to say yields nothing.

        A replica that dies before the first block costs one retry; after it, or when the retry fails too, raises
        StageUnavailable. Also raises StageTimeout, EngineFailed, InvalidRequest and TooLarge.
        """
        try:
            first, blocks = await self._first(request)
        except StageUnavailable:
            first, blocks = await self._first(request)
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
