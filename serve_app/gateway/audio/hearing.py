"""The words of a file: decoded and cut in a thread of its own, recognised a few segments at a time, given in order."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import BinaryIO, Final

from configs.audio_api import TranscriptionApiConfig
from deployments.asr.client import AsrClient
from deployments.asr.contract import AsrOptions, Transcript
from deployments.media.audio import SPEECH_RATE_HZ, samples_of
from deployments.runtime.errors import ServerFull
from deployments.runtime.worker import Worker
from serve_app.gateway.audio.segments import Segment, SegmentCutter
from serve_app.gateway.audio.sound_file import SoundFile
from serve_app.gateway.silero import SileroModel
from serve_app.session.ids import new_id
from serve_app.session.speech_model import SpeechStream

log = logging.getLogger(__name__)

_BLOCK_S: Final = 10.0
"""Decoded at a time; the thread works for 0.1 s on it."""
_FIRST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 4.0
"""Between two attempts while recognition is full."""


@dataclass(frozen=True, slots=True)
class Passage:
    """What is said in a segment."""

    segment: Segment
    transcript: Transcript


@dataclass(frozen=True, slots=True)
class Position:
    """So much of the file was looked through."""

    looked_s: float


class OpenFile:
    """A file that is being looked through."""

    def __init__(self, sound: SoundFile, cutter: SegmentCutter, worker: Worker) -> None:
        self.duration_s = sound.duration_s
        """As the file says; None where it does not."""
        self.looked_s = 0.0
        self._cutter = cutter
        self._worker = worker
        self._blocks: Iterator[bytes] = sound.blocks(_BLOCK_S)

    async def segments(self) -> AsyncGenerator[tuple[Segment, ...], None]:
        """Those of each block; `looked_s` tells how far it is. Raises InvalidRequest and TooLarge."""
        while (found := await self._worker.run(self._next)) is not None:
            yield found
        yield tuple(self._cutter.flush())

    def _next(self) -> tuple[Segment, ...] | None:
        pcm = next(self._blocks, None)
        if pcm is None:
            return None
        self.looked_s += samples_of(pcm) / SPEECH_RATE_HZ
        return tuple(self._cutter.feed(pcm))


class FileHearing:
    """Recognises files on one Asr stage, so many segments of all of them at a time. Belongs to one event loop."""

    def __init__(self, asr: AsrClient, model: SileroModel, config: TranscriptionApiConfig) -> None:
        self._asr = asr
        self._model = model
        self._config = config
        self._places = asyncio.Semaphore(config.max_segments)

    @asynccontextmanager
    async def opened(self, file: BinaryIO, param: str) -> AsyncGenerator[OpenFile, None]:
        """Look at a file. Raises InvalidRequest and TooLarge."""
        worker = Worker("sound-file")
        try:
            sound = await worker.run(lambda: SoundFile(file, SPEECH_RATE_HZ, self._config.max_audio_s, param))
            try:
                yield OpenFile(sound, SegmentCutter(self._judge(), self._config.segment_s), worker)
            finally:
                await worker.run(sound.close)
        finally:
            await worker.close()

    async def passages(self, file: OpenFile, options: AsrOptions) -> AsyncGenerator[Passage | Position, None]:
        """Its passages in order, and between them how far it is; not while the first one is awaited, which may be
        refused. Read it inside `aclosing`.

        Raises what `OpenFile.segments` and `AsrClient` raise, ServerFull when recognition stays full.
        """
        lanes = [new_id("sess") for _ in range(self._config.max_segments)]
        heard: deque[asyncio.Task[Passage]] = deque()
        begun = given = 0
        try:
            async with aclosing(file.segments()) as blocks:
                async for segments in blocks:
                    for segment in segments:
                        if len(heard) == len(lanes):
                            yield await _first_of(heard)
                            given += 1
                        lane = lanes[begun % len(lanes)]
                        heard.append(asyncio.create_task(self._passage(lane, segment, options)))
                        begun += 1
                    while heard and heard[0].done():
                        yield await _first_of(heard)
                        given += 1
                    if given or not heard:
                        yield Position(file.looked_s)
            while heard:
                yield await _first_of(heard)
        finally:
            for task in heard:
                task.cancel()
            await asyncio.gather(*heard, return_exceptions=True)

    async def _passage(self, session_id: str, segment: Segment, options: AsrOptions) -> Passage:
        """Have a segment recognised; where recognition is full, its conversations come first."""
        async with self._places:
            waited_s, pause_s = 0.0, _FIRST_PAUSE_S
            while True:
                try:
                    return Passage(segment, await self._heard(session_id, segment.pcm, options))
                except ServerFull:
                    if waited_s >= self._config.patience_s:
                        raise
                log.info("recognition is full: a file waits %.2f s", pause_s)
                await asyncio.sleep(pause_s)
                waited_s += pause_s
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _heard(self, session_id: str, pcm: bytes, options: AsrOptions) -> Transcript:
        utterance = self._asr.open(session_id, replace(options, live=False))
        try:
            return await utterance.finalize(pcm)
        finally:
            await utterance.close()

    def _judge(self) -> "_Judge":
        return _Judge(self._model)


class _Judge:
    """The speech model's memory of one file."""

    def __init__(self, model: SileroModel) -> None:
        self._model = model
        self._stream = SpeechStream()

    def __call__(self, pcm: bytes) -> list[float]:
        return self._model.run([(self._stream, pcm)])[0]


async def _first_of(heard: "deque[asyncio.Task[Passage]]") -> Passage:
    """Left in its place until it is there, so that whoever gives up finds it there to be cancelled."""
    passage = await heard[0]
    heard.popleft()
    return passage
