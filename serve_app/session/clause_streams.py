"""The clauses of one reply as sound: several asked for at once, given in their order."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

from deployments.media.audio import BYTES_PER_SAMPLE, samples_of
from deployments.media.speakable.spoken import Spoken, as_written
from deployments.runtime.errors import InvalidRequest, StageError
from deployments.tts.client import TtsClient
from deployments.tts.contract import SpeechBlock, SpeechRequest

log = logging.getLogger(__name__)


class ClauseStream:
    """One clause: filled by the task that fetches it, read by the one that plays it."""

    def __init__(self, text: str, said: Spoken) -> None:
        self.text = text
        self.said = said
        self.held_samples = 0
        """Fetched and not yet read. Bounded by the clause: what makes it does not wait for its reader either."""
        self._held: deque[SpeechBlock] = deque()
        self._over = False
        self._error: Exception | None = None
        self._moved = asyncio.Event()

    async def blocks(self) -> AsyncGenerator[SpeechBlock, None]:
        """Its sound as it comes. Raises what fetching it raised, behind the sound that came before."""
        while self._held or not self._over:
            if not self._held:
                self._moved.clear()
                await self._moved.wait()
                continue
            block = self._held.popleft()
            self.held_samples -= samples_of(block.pcm)
            yield block
        if self._error is not None:
            raise self._error

    def put(self, block: SpeechBlock) -> None:
        """Hold a block for the reader."""
        self._held.append(block)
        self.held_samples += samples_of(block.pcm)
        self._moved.set()

    def end(self, error: Exception | None = None) -> None:
        """Nothing more comes."""
        self._over, self._error = True, error
        self._moved.set()


class ClauseStreams:
    """Asks for at most `width` clauses at once, so that an engine that takes time works on the next while one is heard.

    A clause counts until its reader has taken all of it. The next is asked for only while there is room: a replica
    streams a clause to its end once it was asked for it, so what was not asked for is what bounds the lead. With
    `width` 1 that is when the one before is queued to its end.
    """

    def __init__(
        self,
        tts: TtsClient,
        request: Callable[[str], SpeechRequest],
        width: int,
        said: Callable[[str], Spoken] = as_written,
    ) -> None:
        """`said`: how a clause is spoken, which is what `request` is given."""
        self._tts = tts
        self._request = request
        self._said = said
        self._free = asyncio.Semaphore(width)
        self._unread: set[ClauseStream] = set()
        self._opened: asyncio.Queue[ClauseStream | None] = asyncio.Queue()
        """Bounded by the width."""
        self._fetching: set[asyncio.Task[None]] = set()

    @property
    def held_samples(self) -> int:
        """Fetched and not yet read, of all clauses."""
        return sum(clause.held_samples for clause in self._unread)

    @asynccontextmanager
    async def reading(
        self, texts: "asyncio.Queue[str | None]", room: Callable[[], Awaitable[bool]]
    ) -> AsyncGenerator[AsyncGenerator[ClauseStream, None], None]:
        """The clauses of `texts`, up to its None, in their order. To leave it stops all that are being fetched.

        `room` returns when the next may be asked for, or False: none is to be.
        """
        async with asyncio.TaskGroup() as tasks:
            opening = tasks.create_task(self._open(texts, room, tasks))
            try:
                async with aclosing(self._in_order()) as clauses:
                    yield clauses
            finally:
                for task in (opening, *self._fetching):
                    task.cancel()

    async def _in_order(self) -> AsyncGenerator[ClauseStream, None]:
        while (clause := await self._opened.get()) is not None:
            yield clause
            self._unread.discard(clause)
            self._free.release()

    async def _open(
        self, texts: "asyncio.Queue[str | None]", room: Callable[[], Awaitable[bool]], tasks: asyncio.TaskGroup
    ) -> None:
        while True:
            await self._free.acquire()
            text = await texts.get()
            if text is None:
                break
            wanted = await room()
            clause = ClauseStream(text, self._said(text))
            self._unread.add(clause)
            self._opened.put_nowait(clause)
            if not wanted:
                clause.end()
                break
            if not clause.said.says_something:
                clause.end()
                continue
            task = tasks.create_task(self._fetch(clause))
            self._fetching.add(task)
            task.add_done_callback(self._fetching.discard)
        self._opened.put_nowait(None)

    async def _fetch(self, clause: ClauseStream) -> None:
        try:
            async with aclosing(self._whole(self._request(clause.said.text))) as blocks:
                async for block in blocks:
                    clause.put(block)
        except Exception as error:
            # Raised where it is read: what lies before it is still to be heard.
            clause.end(error)
        else:
            clause.end()

    async def _whole(self, request: SpeechRequest) -> AsyncGenerator[SpeechBlock, None]:
        """A clause's sound. After a replica died in the middle of it, the rest comes from another.

        Where the voice does not speak the language, which recognition may have guessed, it speaks its own.
        """
        got_samples = 0
        for attempt in (1, 2):
            skip_samples = got_samples
            try:
                async with aclosing(self._tts.speak(request)) as blocks:
                    async for block in blocks:
                        pcm = block.pcm[BYTES_PER_SAMPLE * skip_samples :]
                        skip_samples = max(0, skip_samples - samples_of(block.pcm))
                        got_samples += samples_of(pcm)
                        yield block if attempt == 1 else SpeechBlock(pcm)
                return
            except InvalidRequest as error:
                if attempt == 2 or error.param != "language" or request.language is None:
                    raise
                log.warning("the voice speaks in its own language: %s", error)
                request = replace(request, language=None)
            except StageError as error:
                if attempt == 2 or not error.retryable:
                    raise
                log.warning("speech broke off, asking again: %s", error)
