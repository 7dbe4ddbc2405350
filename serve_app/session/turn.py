"""One reply: Llm → clauses → Tts → playout, made and cancelled as one.

thinking   waits for the user's final words, then for the first output
sending    text or sound goes out
played     all is sent; the client plays the rest
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from configs.session import SessionConfig
from deployments.llm.contract import Finished, LlmItem, TextPiece, ToolCall, Usage
from deployments.media.audio import VOICE_RATE_HZ, ms_to_samples, samples_to_ms
from deployments.media.speakable.speaker import Speaker
from deployments.media.speakable.spoken import Spoken, as_written
from deployments.runtime import clock
from deployments.runtime.errors import ParleyError, StageError
from deployments.runtime.logs import log_context
from deployments.tts.client import TtsClient
from deployments.tts.contract import SpeechRequest
from serve_app.session.clause_streams import ClauseStreams
from serve_app.session.events import error_details
from serve_app.session.face import LiveFace
from serve_app.session.ledger import Ledger
from serve_app.session.playout import Playout
from serve_app.session.response import ResponseWriter
from serve_app.session.resuming import Rest

log = logging.getLogger(__name__)

_CLAUSES_AHEAD = 1024
"""Clauses that wait to be spoken: a whole reply. The model's stream has no back-pressure of its own, and who comes back
after the connection broke is told the rest.
"""
_HEARD_EVERY_SAMPLES = VOICE_RATE_HZ // 2
"""The store learns how much was heard every 500 ms of it."""


@dataclass(frozen=True, slots=True)
class TurnHooks:
    """What a turn tells its session. Called from the turn's own task."""

    words: "asyncio.Task[bool] | None"
    """The user's final words; False: nothing was said. None: the reply answers what is there already."""
    reply: Callable[[], AsyncGenerator[LlmItem, None]]
    """What is to be said, asked for when the words are final."""
    on_output: Callable[["Turn"], None]
    """The first output goes out."""
    on_done: Callable[["Turn"], None]
    """It is over by itself: played, failed, or nothing to say. Not called after `stop`."""
    on_heard: Callable[[str, int, str], None]
    """Item, milliseconds and text heard so far, for the record."""
    on_sound: Callable[[bytes], None]
    """The next sound goes out."""


@dataclass(slots=True)
class TurnTimes:
    """Seconds on the loop's clock."""

    started_s: float
    words_final_s: float | None = None
    first_token_s: float | None = None
    first_audio_s: float | None = None


class Turn:
    """Run by one task of the session; `stop`, `hold` and `release` come from outside and take effect at once."""

    def __init__(
        self,
        writer: ResponseWriter,
        tts: TtsClient,
        hooks: TurnHooks,
        config: SessionConfig,
        *,
        language: str | None = None,
        speed: float = 1.0,
        face: LiveFace | None = None,
        speaker: Speaker | None = None,
    ) -> None:
        """`face` speaks it, where there is one. `speaker` puts it into words; None: it is said as it is written."""
        self.writer = writer
        self.times = TurnTimes(clock.now_s())
        self.generated = False
        """The model has said everything; what remains is speaking and playing it."""
        self.asked = False
        """The model was asked: what happens from now on it does not know."""
        self.over = False
        """Stopped, or by itself: played, failed, or nothing to say."""
        self.stopped = False
        self.usage = Usage()
        self._tts = tts
        self._hooks = hooks
        self._language = language
        self._speed = speed
        self._ledger = Ledger(speed)
        self._face = face
        self._speaker = speaker
        self._playout = _playout(self._send_sound, config, face)
        self._width = config.clauses_at_once
        self._most_samples = ms_to_samples(config.max_reply_s * 1000, VOICE_RATE_HZ)
        self._clauses: asyncio.Queue[str | None] = asyncio.Queue(_CLAUSES_AHEAD)
        self._unspoken: deque[str] = deque()
        """Clauses that the ledger does not have yet; bounded as the queue is."""
        self._has_text = False
        self._output_begun = False
        self._finish_reason = "stop"
        self._heard_recorded = 0
        self._task: asyncio.Task[None] | None = None

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Begin to run, owned by `tasks`."""
        self._task = tasks.create_task(self._run(), name=self.writer.id)

    @property
    def spoken_ms(self) -> int:
        """How much sound went out."""
        return round(samples_to_ms(self._playout.sent_samples, VOICE_RATE_HZ))

    @property
    def worst_gap_s(self) -> float:
        """The longest time for which the client had nothing to play in the middle of the reply."""
        return self._playout.worst_gap_s

    def hold(self) -> None:
        """Send no more sound for now."""
        self._playout.hold()

    def release(self, *, late: bool = False) -> None:
        """Send on from the very sample; `late`: not before the client needs it."""
        self._playout.release(late=late)

    def stop(self, reason: str) -> None:
        """Over now: nothing more goes out, the item keeps what was heard, the stages are told to stop."""
        if self.stopped:
            return
        self.stopped = self.over = True
        heard_samples = self._playout.stop(clock.now_s())
        if self.writer.finished and heard_samples == self._playout.sent_samples:
            pass  # all of it was heard
        elif self.writer.speaks:
            heard_ms = round(samples_to_ms(heard_samples, VOICE_RATE_HZ))
            self.writer.cut_off(self._ledger.heard(heard_samples), heard_ms)
        elif not self.writer.finished and self.writer.message is not None:
            self.writer.cut_off(self.writer.message.text, 0)
        self._finish("cancelled", {"type": "cancelled", "reason": reason})
        if self._task is not None:
            self._task.cancel()

    def heard_text(self, heard_ms: int) -> str:
        """What a client that played `heard_ms` of the reply has heard."""
        return self._ledger.heard(heard_ms * VOICE_RATE_HZ // 1000)

    def rest(self) -> Rest:
        """What is still owed, should the connection break now."""
        if not self.generated:
            return Rest(unanswered=True)
        message = self.writer.message
        if not self.writer.speaks or message is None:
            return Rest(unanswered=self.writer.speaks and self._has_text)
        heard = self._ledger.heard(self._playout.heard_samples(clock.now_s()))
        text = self._ledger.text + "".join(self._unspoken)
        words = tuple((round(samples_to_ms(at, VOICE_RATE_HZ)), end) for at, end in self._ledger.word_ends())
        return Rest(message.id, text, len(heard), words)

    async def _run(self) -> None:
        with log_context(turn_id=self.writer.id):
            try:
                if await self._words_are_final():
                    await self._reply()
            except* ParleyError as group:
                log.warning("a turn failed: %s", _first(group))
                self._fail(_first(group))
            except* Exception as group:
                # A bug of ours must not take the conversation with it; the log has it whole.
                log.error("a turn broke", exc_info=group)
                self._fail(StageError("internal error"))
        if not self.stopped:
            self.over = True
            self._hooks.on_done(self)

    async def _words_are_final(self) -> bool:
        if self._hooks.words is None:
            return True
        said_something = await asyncio.shield(self._hooks.words)
        self.times.words_final_s = clock.now_s()
        return said_something

    async def _reply(self) -> None:
        self.writer.begin()
        async with asyncio.TaskGroup() as tasks:
            generating = tasks.create_task(self._generate())
            if self.writer.speaks:
                tasks.create_task(self._speak(generating))
                tasks.create_task(self._play())
        self.writer.close_message()
        if self._finish_reason == "length":
            self._finish("incomplete", {"type": "incomplete", "reason": "max_output_tokens"})
        else:
            self._finish("completed")
        await self._playout.played()
        self._record_heard(self._playout.sent_samples)

    async def _play(self) -> None:
        if self._face is None:
            await self._playout.run()
        else:
            await self._face.play(self._playout, self._ledger.phonemes)

    async def _generate(self) -> None:
        self.asked = True
        async with aclosing(self._hooks.reply()) as items:
            async for item in items:
                if self.stopped:  # in this very moment: the task hears of it after what it was about to do
                    return
                if self.times.first_token_s is None and not isinstance(item, Finished):
                    self.times.first_token_s = clock.now_s()
                if isinstance(item, TextPiece):
                    await self._say(item.text)
                elif isinstance(item, ToolCall):
                    if self._has_text:
                        self.writer.open_message()
                    self.writer.call(item)
                else:
                    self._finish_reason, self.usage = item.reason, item.usage
        self.generated = True
        await self._clauses.put(None)

    async def _say(self, text: str) -> None:
        self._has_text = True
        if self.writer.speaks:
            self._unspoken.append(text)
            await self._clauses.put(text)
        else:
            self._first_output()
            self.writer.text(text)

    async def _speak(self, generating: "asyncio.Task[None]") -> None:
        streams = ClauseStreams(self._tts, self._request, self._width, self._said)

        async def room() -> bool:
            await self._playout.room(lambda: streams.held_samples)
            return not self._is_long_enough()

        async with streams.reading(self._clauses, room) as clauses:
            async for clause in clauses:
                if self._is_long_enough():
                    generating.cancel()
                    self._finish_reason = "length"
                    break
                self._unspoken.popleft()
                self._ledger.begin_clause(clause.text, self._playout.put_samples, clause.said)
                async with aclosing(clause.blocks()) as blocks:
                    async for block in blocks:
                        self._ledger.add_times(block.words, block.phonemes)
                        await self._playout.put(block.pcm)
                self._ledger.end_clause(self._playout.put_samples)
        self._playout.finish()

    def _said(self, clause: str) -> Spoken:
        return self._speaker.spoken(clause) if self._speaker is not None else as_written(clause)

    def _request(self, clause: str) -> SpeechRequest:
        return SpeechRequest(clause, self.writer.voice, self._language, self._speed)

    def _is_long_enough(self) -> bool:
        return self._playout.put_samples >= self._most_samples

    def _send_sound(self, pcm: bytes, end_sample: int) -> None:
        if self.times.first_audio_s is None:
            self.times.first_audio_s = clock.now_s()
        self._first_output()
        self._hooks.on_sound(pcm)
        self.writer.audio(pcm, self._ledger.due(end_sample), in_block=self._face is not None and self._face.shows)
        heard = self._playout.heard_samples(clock.now_s())
        if heard - self._heard_recorded >= _HEARD_EVERY_SAMPLES:
            self._record_heard(heard)

    def _first_output(self) -> None:
        if not self._output_begun:
            self._output_begun = True
            self._hooks.on_output(self)

    def _record_heard(self, heard_samples: int) -> None:
        self._heard_recorded = heard_samples
        if self.writer.message is not None and self.writer.speaks and heard_samples:
            heard_ms = round(samples_to_ms(heard_samples, VOICE_RATE_HZ))
            self._hooks.on_heard(self.writer.message.id, heard_ms, self._ledger.heard(heard_samples))

    def _fail(self, error: ParleyError) -> None:
        if self.stopped:
            return
        heard = self._playout.sent_samples
        self._playout.stop(clock.now_s())
        if self.writer.message is not None:
            text = self._ledger.heard(heard) if self.writer.speaks else self.writer.message.text
            self.writer.cut_off(text, round(samples_to_ms(heard, VOICE_RATE_HZ)))
        self._finish("failed", {"type": "failed", "error": error_details(error)})

    def _finish(self, status: Any, details: dict[str, Any] | None = None) -> None:
        audio_tokens = round(samples_to_ms(self._playout.sent_samples, VOICE_RATE_HZ) / 50)
        self.writer.finish(status, details, _wire_usage(self.usage, audio_tokens))


def _playout(send: Callable[[bytes, int], None], config: SessionConfig, face: LiveFace | None) -> Playout:
    if face is None:
        return Playout(send, lead_ms=config.lead_ms, block_ms=config.block_ms)
    lead_ms = config.face_lead_ms
    return Playout(send, lead_ms=lead_ms, block_ms=config.block_ms, queue_ms=lead_ms + face.ahead_ms)


def _first(group: BaseExceptionGroup[Any]) -> ParleyError:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


def _wire_usage(usage: Usage, output_audio_tokens: int) -> dict[str, Any]:
    """OpenAI's shape. Text in the engine's own tokens; output sound as one token per 50 ms, as OpenAI counts it."""
    return {
        "total_tokens": usage.input_tokens + usage.output_tokens + output_audio_tokens,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens + output_audio_tokens,
        "input_token_details": {
            "text_tokens": usage.input_tokens,
            "audio_tokens": 0,
            "image_tokens": 0,
            "cached_tokens": usage.cached_tokens,
        },
        "output_token_details": {"text_tokens": usage.output_tokens, "audio_tokens": output_audio_tokens},
    }
