"""The Tts stage without Ray: one engine, its sound in the form that crosses to the session."""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from deployments.runtime.errors import EngineFailed, InvalidRequest, ParleyError, StageUnavailable, TooLarge
from deployments.tts.blocks import BlockCutter
from deployments.tts.contract import SpeechBlock, SpeechRequest, TtsEngine, Voice

UNHEALTHY_AFTER_FAILURES: Final = 5
"""Clauses in a row that the engine broke off with an error that is not ours: a new replica may do better."""

# Models write emoji and their modifiers; engines read them out ("grinning face") or stumble.
_EMOJI = re.compile("[\U0001f000-\U0001faff\u2600-\u27bf\u2b50\u2b55\u200d\u20e3\ufe0e\ufe0f\U000e0020-\U000e007f]")
_SOMETHING_TO_SAY = re.compile(r"[^\W_]|[&+=%$€£¥§°@]")


class TtsServer:
    """One engine and the clauses that it is speaking."""

    def __init__(
        self, engine: TtsEngine, *, max_text_chars: int = 4096, first_block_ms: float = 50, block_ms: float = 200
    ) -> None:
        self._engine = engine
        self._max_text_chars = max_text_chars
        self._first_block_ms = first_block_ms
        self._block_ms = block_ms
        self._running = False
        self._failures = 0

    async def start(self) -> None:
        """Start the engine. Raises ConfigError."""
        await self._engine.start()
        self._running = True

    def voices(self) -> tuple[Voice, ...]:
        """What it can speak with; the first is the default."""
        return self._engine.voices

    def check_health(self) -> None:
        """Raises StageUnavailable before the start, after the end, and when the engine fails again and again."""
        if not self._running:
            raise StageUnavailable("speech synthesis is not running")
        if self._failures >= UNHEALTHY_AFTER_FAILURES:
            raise StageUnavailable(f"speech synthesis failed {self._failures} times in a row")

    async def close(self) -> None:
        """Free the engine."""
        self._running = False
        await self._engine.close()

    async def synthesize(self, request: SpeechRequest) -> AsyncGenerator[SpeechBlock, None]:
        """One clause as blocks of 24 kHz; `BlockCutter` says how long they are. Emoji are left out.

        Where there is nothing to say it is one block without sound, because a stream must carry something.

        Read it inside `aclosing`, which also stops the engine. Raises InvalidRequest, TooLarge, StageUnavailable, and
        EngineFailed with the engine's own error as its cause.
        """
        if not self._running:
            raise StageUnavailable("speech synthesis is not running")
        self._check(request)
        text = _EMOJI.sub(" ", request.text)
        cutter = BlockCutter(self._engine.rate_hz, self._first_block_ms, self._block_ms)
        if _SOMETHING_TO_SAY.search(text):
            async with aclosing(self._engine.synthesize(replace(request, text=text))) as blocks:
                while (block := await self._next(blocks)) is not None:
                    for full in cutter.feed(block):
                        yield full
        self._failures = 0
        for rest in cutter.flush():
            yield rest

    def _check(self, request: SpeechRequest) -> None:
        if len(request.text) > self._max_text_chars:
            raise TooLarge(
                f"the text has {len(request.text)} characters; send at most {self._max_text_chars} in a request",
                param="input",
            )
        if not 0.25 <= request.speed <= 4:
            raise InvalidRequest(f"speed is {request.speed}; it may be 0.25 to 4", param="speed")

    async def _next(self, blocks: AsyncGenerator[SpeechBlock, None]) -> SpeechBlock | None:
        """The engine's next block, None after the last; its errors translated."""
        try:
            return await anext(blocks, None)
        except ParleyError:
            raise
        except Exception as error:
            self._failures += 1
            raise EngineFailed(f"speech synthesis failed: {type(error).__name__}: {error}") from error
