"""One conversation: takes commands, runs the state machine's effects, says events.

Everything that changes its state runs in one event loop without awaiting in between, so that there is one order of
things. Work that waits (a reply, recognition) runs in tasks of one TaskGroup and reports back as events of the machine.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field

from configs.session import SessionConfig
from deployments.asr.client import AsrClient
from deployments.asr.contract import AsrOptions, Transcript
from deployments.llm.client import LlmClient
from deployments.media.audio import SPEECH_RATE_HZ, ms_to_samples
from deployments.runtime import clock
from deployments.runtime.errors import ParleyError
from deployments.tts.client import TtsClient
from serve_app.session import events as ev
from serve_app.session.closing import FAILED, IDLE, SLOW_CLIENT, Closing
from serve_app.session.commands import Append, Command
from serve_app.session.control import Control
from serve_app.session.ear import Ear, Endpoint
from serve_app.session.hearing import Hearing
from serve_app.session.history import History
from serve_app.session.ids import new_id
from serve_app.session.interruption import Decision, InterruptAtOnset, InterruptionPolicy, Overlap
from serve_app.session.item_desk import ItemDesk
from serve_app.session.machine import Effect, Event, State, step
from serve_app.session.metrics import NullMetrics, SessionMetrics
from serve_app.session.outbox import Outbox
from serve_app.session.recording import NullRecorder, Recorder
from serve_app.session.replies import Plan, Replies, Stages, language_of
from serve_app.session.response import Conversation
from serve_app.session.settings import ServerVad, SessionSettings
from serve_app.session.utterances import Utterances
from serve_app.session.vad import SpeechModel

log = logging.getLogger(__name__)

_INBOX_COMMANDS = 64
"""Commands that wait; a transport that brings more waits itself, and so does its client."""
_OUTBOX_EVENTS = 1024
"""A client more than this many events behind is let go: 40 s of speech at 17 blocks and 8 words a second."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a session is given by the one who makes it."""

    asr: AsrClient
    llm: LlmClient
    tts: TtsClient
    speech_model: SpeechModel
    config: SessionConfig = field(default_factory=SessionConfig)
    metrics: SessionMetrics = field(default_factory=NullMetrics)
    interruption: InterruptionPolicy = field(default_factory=InterruptAtOnset)


class _Over(Exception):
    """Ends the session's TaskGroup."""


class Session:
    """A conversation from its first event to its end. Its owner awaits `run`; the rest may be called meanwhile."""

    def __init__(
        self,
        surroundings: Surroundings,
        settings: SessionSettings,
        recorder: Recorder | None = None,
        conversation_id: str | None = None,
    ) -> None:
        self.id = new_id("sess")
        self.conversation_id = conversation_id or new_id("conv")
        self.settings = settings
        self.state = State.IDLE
        self.closing: Closing | None = None
        """Why it ended; None while it goes on."""
        self._around = surroundings
        self._config = surroundings.config
        self._recorder = recorder or NullRecorder()
        self._inbox: asyncio.Queue[Command] = asyncio.Queue(_INBOX_COMMANDS)
        self._outbox = Outbox(_OUTBOX_EVENTS)
        self._over = asyncio.Event()
        self._happened: deque[tuple[Event, Plan]] = deque()
        self._running_effects = False
        self._item_id = ""
        self._utterance_start_ms = 0
        self._endpoint: Endpoint | None = None
        self._words: asyncio.Task[bool] | None = None
        self._hearing_task: asyncio.Task[None] | None = None
        self._reply_ended_ms: int | None = None
        self._active_s = 0.0
        self.conversation = Conversation(
            self.conversation_id, History(self._config.max_items), self._recorder, self.emit
        )
        self._effects: dict[Effect, Callable[[Plan], None]] = {
            Effect.BEGIN_UTTERANCE: self._begin_utterance,
            Effect.ANNOUNCE_SPEECH: self._announce_speech,
            Effect.END_UTTERANCE: self._end_utterance,
            Effect.DROP_UTTERANCE: lambda _: self.ear.drop(),
            Effect.START_TURN: self._start_turn,
            Effect.QUEUE_TURN: self._queue_turn,
            Effect.CANCEL_TURN: self._cancel_turn,
            Effect.HOLD: self._hold,
            Effect.RELEASE: self._release,
            Effect.NEXT: self._next,
            Effect.REFUSE_RESPONSE: lambda _: self._control.refuse_response(),
            Effect.REFUSE_CANCEL: lambda _: self._control.refuse_cancel(),
            Effect.SHUT: self._shut,
        }

    async def run(self) -> None:
        """Hold the conversation until it is closed. Owns its tasks; raises nothing that a stage or client did."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._open(tasks)
                tasks.create_task(self._serve_inbox())
                tasks.create_task(self._watch_idleness())
                await self._over.wait()
                raise _Over
        except* _Over:
            pass
        except* Exception as group:
            log.error("a session broke", exc_info=group)
            self.close(FAILED)
        finally:
            if self.closing is None:  # cancelled by its owner
                self.close(FAILED)

    async def submit(self, command: Command) -> None:
        """Ask for something; waits while too much else was asked for. After the end, it is ignored."""
        if self.closing is None:
            await self._inbox.put(command)

    def events(self) -> AsyncGenerator[ev.ServerEvent, None]:
        """Everything the session says, to its end. For one reader."""
        return self._outbox.read()

    def close(self, closing: Closing) -> None:
        """End it. Only the first reason counts."""
        if self.closing is None:
            self.closing = closing
            self.happen(Event.CLOSE)

    def emit(self, event: ev.ServerEvent) -> None:
        """Say something."""
        if not self._outbox.put(event):
            self.close(SLOW_CLIENT)

    def happen(self, event: Event, plan: Plan | None = None) -> None:
        """Let the state machine take a step. Effects may make more happen; that waits until they are done."""
        self._happened.append((event, plan or Plan()))
        if self._running_effects:
            return
        self._running_effects = True
        try:
            while self._happened:
                self._step(*self._happened.popleft())
        finally:
            self._running_effects = False

    def _step(self, event: Event, plan: Plan) -> None:
        before = self.state
        self.state, effects = step(before, event)
        if self.state is not before:
            self.emit(ev.StateChanged(self.state.value))
        for effect in effects:
            self._effects[effect](plan)

    # What runs

    def _open(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        self._active_s = clock.now_s()
        self.ear = Ear(self._around.speech_model, self._config, self.open_hearing)
        self.desk = ItemDesk(self.conversation, self._config.max_text_chars)
        self.utterances = Utterances(self.conversation, tasks)
        self.replies = Replies(
            self.id,
            self.conversation,
            self.desk,
            Stages(self._around.llm, self._around.tts),
            self._config,
            self._around.metrics,
            tasks,
            on_output=lambda: self.happen(Event.OUTPUT),
            on_done=self._reply_done,
        )
        self._control = Control(self)
        self._apply_settings()
        self._recorder.conversation_started(
            session_id=self.id, model=self.settings.model, voice=self.settings.audio.output.voice
        )
        self.emit(ev.SessionCreated(self.settings))
        self.emit(ev.ConversationCreated({"id": self.conversation_id, "object": "realtime.conversation"}))

    async def _serve_inbox(self) -> None:
        while True:
            command = await self._inbox.get()
            if isinstance(command, Append):
                await self._hear(command)
            else:
                self._active_s = clock.now_s()
                await self._control.obey(command)

    async def _watch_idleness(self) -> None:
        while True:
            if self.state is not State.LISTENING and self.state is not State.IDLE:
                self._active_s = clock.now_s()
            rest_s = self._active_s + self._config.idle_s - clock.now_s()
            if rest_s <= 0:
                self.close(IDLE)
                return
            await asyncio.sleep(rest_s)

    async def _hear(self, command: Append) -> None:
        if self.state is State.IDLE:
            self.happen(Event.HEARD)
        try:
            for frame in self.ear.frames(command.pcm):
                heard = await self.ear.hear(frame)
                if isinstance(heard, Endpoint):
                    self._on_endpoint(heard)
                elif heard is not None:
                    self._on_onset(heard.start_ms)
                self._after_frame()
        except ParleyError as error:
            self._control.refuse(error, command.event_id)

    # What happens

    def _on_onset(self, start_ms: int) -> None:
        self._item_id = new_id("item")
        self._utterance_start_ms = start_ms
        self._reply_ended_ms = None
        detection = self.settings.audio.input.turn_detection
        replying = self.state in (State.THINKING, State.SPEAKING)
        interrupts = detection is None or detection.interrupt_response
        self.happen(Event.OVERLAP if replying and not interrupts else Event.ONSET)

    def _on_endpoint(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        detection = self.settings.audio.input.turn_detection
        answered = detection is not None and detection.create_response
        self.happen(Event.ENDPOINT if answered else Event.ENDPOINT_UNANSWERED, Plan(silence_ms=endpoint.silence_ms))

    def _after_frame(self) -> None:
        if self.state is State.HELD:
            self._decide()
        elif self.state is State.LISTENING and self._reply_ended_ms is not None:
            detection = self.settings.audio.input.turn_detection
            timeout_ms = detection.idle_timeout_ms if isinstance(detection, ServerVad) else None
            if timeout_ms is not None and self.ear.heard_ms - self._reply_ended_ms >= timeout_ms:
                self._prompt_again(self._reply_ended_ms)

    def _decide(self) -> None:
        words = self.ear.hearing.transcript.text if self.ear.hearing else ""
        overlap = Overlap(self.ear.utterance_ms, words, language_of(self.settings, self._config))
        decision = self._around.interruption.decide(overlap)
        if decision is Decision.INTERRUPT:
            self._around.metrics.interrupted()
            self.happen(Event.INTERRUPT)
        elif decision is Decision.RESUME:
            self.happen(Event.RESUME)

    def _prompt_again(self, silent_since_ms: int) -> None:
        self._reply_ended_ms = None
        item_id = new_id("item")
        self.emit(ev.TimeoutTriggered(silent_since_ms, self.ear.heard_ms, item_id))
        self.utterances.commit(item_id, None, transcribed=False)
        self.happen(Event.RESPOND)

    def _reply_done(self) -> None:
        self._reply_ended_ms = self.ear.heard_ms
        self.happen(Event.DONE)

    # Effects

    def _begin_utterance(self, _: Plan) -> None:
        self.ear.begin()

    def _announce_speech(self, _: Plan) -> None:
        self.emit(ev.SpeechStarted(self._utterance_start_ms, self._item_id))

    def _end_utterance(self, _: Plan) -> None:
        assert self._endpoint is not None
        self.emit(ev.SpeechStopped(self._endpoint.end_ms, self._item_id))
        self._words = self.utterances.commit(self._item_id, self.ear.end(), transcribed=self.transcribes)

    def _start_turn(self, plan: Plan) -> None:
        words, self._words = self._words, None
        if plan.silence_ms is not None:
            plan = Plan(plan.options, words, plan.silence_ms)
        self.replies.start(plan, self.settings)

    def _queue_turn(self, plan: Plan) -> None:
        self._words, words = None, self._words
        self.replies.queued = Plan(plan.options, words)

    def _cancel_turn(self, _: Plan) -> None:
        self.replies.stop("turn_detected" if self.ear.hearing is not None else "client_cancelled")

    def _hold(self, _: Plan) -> None:
        if self.replies.active is not None:
            self.replies.active.hold()
            self.emit(ev.PlaybackHeld(self.replies.active.writer.id))

    def _release(self, _: Plan) -> None:
        if self.replies.active is not None:
            self.replies.active.release()
            self.emit(ev.PlaybackResumed(self.replies.active.writer.id))

    def _next(self, _: Plan) -> None:
        if self.ear.hearing is not None and self.ear.detects:
            self.happen(Event.OVERLAP)
        elif self.replies.queued is not None:
            self.happen(Event.RESPOND, self.replies.queued)

    def _shut(self, _: Plan) -> None:
        self.replies.stop_all("client_cancelled")
        self.ear.drop()
        assert self.closing is not None
        self._recorder.conversation_ended(self.closing.reason)
        self._outbox.close()
        self._over.set()

    # What its parts ask for

    @property
    def transcribes(self) -> bool:
        """Whether the client wants the user's words as events."""
        return self.settings.audio.input.transcription is not None

    def change_settings(self, settings: SessionSettings) -> None:
        """Use other settings from now on; an utterance in progress is committed when detection is switched off."""
        detected = self.ear.detects
        self.settings = settings
        if detected and settings.audio.input.turn_detection is None and self.ear.hearing is not None:
            self.end_utterance_unanswered()
        elif not detected and settings.audio.input.turn_detection is not None and self.ear.hearing is not None:
            self.ear.drop()
            self.emit(ev.BufferCleared())
        self._apply_settings()

    def end_utterance_unanswered(self) -> None:
        """The client says that the utterance which detection follows is over."""
        self._endpoint = Endpoint(self.ear.heard_ms, 0.0)
        self.happen(Event.ENDPOINT_UNANSWERED)

    def commit_manually(self) -> None:
        """The client says that what it has sent is an utterance (turn detection is off)."""
        self.utterances.commit(new_id("item"), self.ear.end(), transcribed=self.transcribes)

    def _apply_settings(self) -> None:
        self.ear.configure(self.settings.audio.input.turn_detection, language_of(self.settings, self._config))

    def open_hearing(self) -> Hearing:
        """Begin to recognise what is heard next."""
        hearing = self.new_hearing(self.id)
        self._hearing_task = self._tasks.create_task(hearing.run(self._hearing_task))
        return hearing

    def new_hearing(self, channel: str) -> Hearing:
        """An utterance that is not run yet; those of one channel must run one after the other."""
        transcription = self.settings.audio.input.transcription
        options = AsrOptions(language_of(self.settings, self._config), (transcription and transcription.prompt) or "")
        return Hearing(
            self._around.asr,
            channel,
            options,
            max_samples=ms_to_samples(self._config.max_unanswered_s * 1000, SPEECH_RATE_HZ),
            on_interim=self._on_interim,
        )

    def _on_interim(self, transcript: Transcript) -> None:
        if self.ear.hearing is not None:
            self.emit(ev.InterimTranscript(self._item_id, transcript.text))
