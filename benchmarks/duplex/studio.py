"""Has texts spoken by the embedded synthesiser, at once for whoever asks, whatever clock that one lives on.

A text is spoken once and kept: so a reply on the virtual clock and its reference are the same to the sample.
"""

import asyncio
import threading
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType

from deployments.media.clauses import ClauseCutter
from deployments.media.timing import WordTime
from deployments.tts.contract import SpeechBlock, SpeechRequest
from deployments.tts.engines import espeak
from deployments.tts.server import TtsServer

_DEADLINE_S = 60.0


@dataclass(frozen=True)
class Spoken:
    """A text's sound at 24 kHz."""

    text: str
    blocks: tuple[SpeechBlock, ...]

    @cached_property
    def pcm(self) -> bytes:
        """All of it."""
        return b"".join(block.pcm for block in self.blocks)

    @cached_property
    def words(self) -> tuple[WordTime, ...]:
        """Samples and places in the text."""
        return tuple(word for block in self.blocks for word in block.words)


class Studio:
    """A thread with the real stage server in it, while entered."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop
        self._thread: threading.Thread
        self._server = TtsServer(espeak.Engine(espeak.Config()))
        self._kept: dict[SpeechRequest, Spoken] = {}

    def __enter__(self) -> "Studio":
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="studio", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._server.start(), self._loop).result(_DEADLINE_S)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._server.close(), self._loop).result(_DEADLINE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_DEADLINE_S)
        self._loop.close()

    def speak(self, text: str, voice: str = "", language: str | None = None, speed: float = 1.0) -> Spoken:
        """One clause. Blocks its caller for some milliseconds the first time."""
        request = SpeechRequest(text, voice, language, speed)
        if request not in self._kept:
            work = asyncio.run_coroutine_threadsafe(self._collect(request), self._loop)
            self._kept[request] = Spoken(text, work.result(_DEADLINE_S))
        return self._kept[request]

    def reply(self, text: str) -> list[Spoken]:
        """A reply as the server has it spoken: clause by clause in the default voice."""
        cutter = ClauseCutter()
        return [self.speak(clause) for clause in (*cutter.feed(text), *cutter.flush())]

    async def _collect(self, request: SpeechRequest) -> tuple[SpeechBlock, ...]:
        return tuple([block async for block in self._server.synthesize(request)])
