"""The Asr stage without Ray: open utterances, each fed by numbered pushes."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from deployments.asr.contract import AsrEngine, AsrOptions, AsrPush, AsrReply, Recognizer, Transcript
from deployments.media.audio import BYTES_PER_SAMPLE, SPEECH_RATE_HZ
from deployments.runtime.clock import now_s
from deployments.runtime.errors import (
    EngineFailed,
    InvalidRequest,
    ParleyError,
    ServerFull,
    StageUnavailable,
    StateLost,
    TooLarge,
)

logger = logging.getLogger(__name__)

UNHEALTHY_AFTER_FAILURES: Final = 5
"""Errors in a row that are the engine's and not ours: a new replica may do better."""

Outcome = AsrReply | ParleyError


class OpenUtterance:
    """One utterance of a session: its recogniser and the push that is, or was last, worked on."""

    def __init__(self, session_id: str, utterance_id: str, after: tuple[asyncio.Task[None], ...]) -> None:
        self.key = (session_id, utterance_id)
        self.after = after
        """The ends of the session's utterances before this one, whose place in the engine it takes."""
        self.recognizer: Recognizer | None = None
        self.n = -1
        self.work: asyncio.Task[Outcome] | None = None
        self.unfinished: set[asyncio.Task[Outcome]] = set()
        """More than `work` when the caller of the one before has gone."""
        self.turn = asyncio.Lock()
        """Held by the work of one push at a time."""
        self.heard_bytes = 0
        self.transcript = Transcript()
        self.used_s = 0.0
        self.idle_s = 0.0
        """When it is forgotten, after `used_s`."""

    async def open(self, engine: AsrEngine, options: AsrOptions) -> Recognizer:
        """The recogniser, begun by the first call."""
        if self.recognizer is None:
            if self.after:
                await asyncio.wait(self.after)
            self.recognizer = engine.open(options)
        return self.recognizer


class AsrServer:
    """One engine and the utterances that are open in it, at most one per session.

    A push is worked on in a task of its own: when its caller is cancelled the work goes on, and the same number pushed
    again gets its reply. What nobody has pushed to for `idle_s` is closed at the next push or health check.
    """

    def __init__(
        self,
        engine: AsrEngine,
        *,
        max_utterances: int = 64,
        max_audio_s: float = 60.0,
        idle_s: float = 30.0,
        now: Callable[[], float] = now_s,
    ) -> None:
        """`max_audio_s` bounds each utterance; `now` gives monotonic seconds."""
        self._engine = engine
        self._max_utterances = max_utterances
        self._max_bytes = int(max_audio_s * SPEECH_RATE_HZ) * BYTES_PER_SAMPLE
        self._idle_s = idle_s
        self._now = now
        self._running = False
        self._failures = 0
        self._utterances: dict[tuple[str, str], OpenUtterance] = {}
        self._ends: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start the engine. Raises ConfigError."""
        await self._engine.start()
        self._running = True

    @property
    def open_utterances(self) -> int:
        """How many are open now."""
        return len(self._utterances)

    def check_health(self) -> None:
        """Raises StageUnavailable before the start, after the end, and when the engine fails again and again."""
        if not self._running:
            raise StageUnavailable("speech recognition is not running")
        if self._failures >= UNHEALTHY_AFTER_FAILURES:
            raise StageUnavailable(f"speech recognition failed {self._failures} times in a row")
        self._forget_idle()

    async def close(self) -> None:
        """Close every utterance, then the engine. May be called more than once."""
        self._running = False
        for utterance in list(self._utterances.values()):
            self._forget(utterance)
        if self._ends:
            await asyncio.wait(self._ends)
        await self._engine.close()

    async def push(self, session_id: str, request: AsrPush) -> AsrReply:
        """Hear a block, finalise or close, as the request says; the words so far.

        Raises StateLost for an utterance that is not open here or misses a block before this one, InvalidRequest,
        TooLarge, ServerFull, and EngineFailed with the engine's own error as its cause. An error closes the utterance.
        """
        if not self._running:
            raise StageUnavailable("speech recognition is not running")
        self._forget_idle()
        utterance = self._utterances.get((session_id, request.utterance_id)) or self._admit(session_id, request)
        utterance.used_s = self._now()
        # A whole segment of a file may come in one push: what is being heard is not idle.
        utterance.idle_s = self._idle_s + len(request.pcm) / BYTES_PER_SAMPLE / SPEECH_RATE_HZ
        if request.close and utterance.unfinished and not request.pcm and not request.finalize:
            # Its caller has gone: what is being heard, maybe a whole segment of a file, is wanted by nobody.
            self._forget(utterance)
            return AsrReply(request.n, utterance.transcript)
        if request.n == utterance.n + 1:
            utterance.n = request.n
            utterance.work = asyncio.create_task(self._work(utterance, request))
            utterance.unfinished.add(utterance.work)
            utterance.work.add_done_callback(utterance.unfinished.discard)
        elif request.n != utterance.n or utterance.work is None:
            self._forget(utterance)
            raise StateLost(f"push {request.n} came after push {utterance.n}; send the utterance from its beginning")
        work = utterance.work
        await asyncio.wait([work])  # unlike awaiting the task, does not cancel it with the caller
        if work.cancelled():
            raise StateLost(f"utterance {request.utterance_id} was closed; send it from its beginning")
        outcome = work.result()
        if isinstance(outcome, ParleyError):
            raise outcome
        return outcome

    def _admit(self, session_id: str, request: AsrPush) -> OpenUtterance:
        """Begin an utterance; the session's one before it is over."""
        if request.n != 0:
            raise StateLost(f"utterance {request.utterance_id} is not open here; send it from its beginning")
        after = tuple(self._forget(other) for other in list(self._utterances.values()) if other.key[0] == session_id)
        if len(self._utterances) >= self._max_utterances:
            raise ServerFull(f"{self._max_utterances} utterances are being recognised; try again later")
        utterance = OpenUtterance(session_id, request.utterance_id, after)
        self._utterances[utterance.key] = utterance
        return utterance

    async def _work(self, utterance: OpenUtterance, request: AsrPush) -> Outcome:
        """What a push leads to. An error is returned, since nobody may be waiting for it any more."""
        async with utterance.turn:
            try:
                reply = await self._recognise(utterance, request)
            except ParleyError as error:
                self._forget(utterance)
                return error
            except Exception as cause:
                self._failures += 1
                self._forget(utterance)
                failed = EngineFailed(f"speech recognition failed: {type(cause).__name__}: {cause}")
                failed.__cause__ = cause
                return failed
            self._failures = 0
            if request.close:
                self._forget(utterance)
            return reply

    async def _recognise(self, utterance: OpenUtterance, request: AsrPush) -> AsrReply:
        if len(request.pcm) % BYTES_PER_SAMPLE:
            raise InvalidRequest(f"{len(request.pcm)} bytes are not whole 16-bit samples", param="pcm")
        utterance.heard_bytes += len(request.pcm)
        if utterance.heard_bytes > self._max_bytes:
            limit_s = self._max_bytes / BYTES_PER_SAMPLE / SPEECH_RATE_HZ
            raise TooLarge(f"an utterance is at most {limit_s:g} s long; finalise it and begin another", param="pcm")
        recognizer = await utterance.open(self._engine, request.options)
        if request.pcm:
            utterance.transcript = await recognizer.accept(request.pcm)
        if request.finalize:
            utterance.transcript = await recognizer.finalize()
        return AsrReply(request.n, utterance.transcript)

    def _forget_idle(self) -> None:
        now = self._now()
        for utterance in list(self._utterances.values()):
            if now - utterance.used_s > utterance.idle_s:
                self._forget(utterance)

    def _forget(self, utterance: OpenUtterance) -> asyncio.Task[None]:
        """Let an utterance go at once; what it holds is freed by the task that is returned."""
        if self._utterances.get(utterance.key) is utterance:
            del self._utterances[utterance.key]
        end = asyncio.create_task(self._end(utterance))
        self._ends.add(end)
        end.add_done_callback(self._ends.discard)
        return end

    async def _end(self, utterance: OpenUtterance) -> None:
        """Stop the work in progress and close the recogniser. Its failure concerns nobody but the operator."""
        for work in utterance.unfinished:
            work.cancel()
        if utterance.unfinished:
            await asyncio.wait(utterance.unfinished)
        if utterance.recognizer is not None:
            try:
                await utterance.recognizer.close()
            except Exception:
                logger.exception("closing a recogniser failed")
