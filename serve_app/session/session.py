"""One conversation: takes commands, runs the state machine's effects, says events.

Everything that changes its state runs in one event loop without awaiting in between, so that there is one order of
things. Work that waits (a reply, recognition) runs in tasks of one TaskGroup and reports back as events of the machine.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable

from deployments.asr.contract import Transcript
from deployments.runtime.errors import InvalidRequest, ParleyError
from serve_app.session import events as ev
from serve_app.session.closing import FAILED, IDLE, SLOW_CLIENT, Closing
from serve_app.session.commands import Append, Command, ResponseOptions
from serve_app.session.control import Control
from serve_app.session.history import History
from serve_app.session.idleness import Idleness
from serve_app.session.ids import new_id
from serve_app.session.item_desk import ItemDesk
from serve_app.session.items import Item
from serve_app.session.lexicon import lexicon
from serve_app.session.listening import Listening
from serve_app.session.loudspeaker import Loudspeaker
from serve_app.session.machine import Effect, Event, State, step
from serve_app.session.open_calls import OpenCalls
from serve_app.session.outbox import Outbox
from serve_app.session.recording import NullRecorder, Recorder
from serve_app.session.replies import Plan, Replies, Stages
from serve_app.session.response import Conversation
from serve_app.session.resuming import Carried, Resume
from serve_app.session.screen import Screen
from serve_app.session.server_calls import ServerCalls
from serve_app.session.settings import SessionSettings, language_of
from serve_app.session.surroundings import Surroundings
from serve_app.session.utterances import Utterances

log = logging.getLogger(__name__)

_OUTBOX_EVENTS = 1024
"""A client more than this many events behind is let go: 40 s of speech at 17 blocks and 8 words a second."""
_ITEMS_TOLD = 100
"""The newest, to a client that came back."""


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
        carried: Carried | None = None,
    ) -> None:
        """`carried`: the conversation to go on with, instead of beginning one."""
        self.id = carried.session_id if carried else new_id("sess")
        self.conversation_id = (carried.conversation_id if carried else conversation_id) or new_id("conv")
        self.settings = settings
        self._carried = carried
        self.state = State.IDLE
        self.closing: Closing | None = None
        """Why it ended; None while it goes on."""
        self._around = surroundings
        self._config = surroundings.config
        self._recorder = recorder or NullRecorder()
        self._opened = asyncio.Event()
        self._turnstile = asyncio.Lock()
        self._told_of_bad_sound = False
        self._outbox = Outbox(_OUTBOX_EVENTS)
        self._over = asyncio.Event()
        self._happened: deque[tuple[Event, Plan]] = deque()
        self._running_effects = False
        self._idleness = Idleness(self._config.idle_s)
        self.loudspeaker = Loudspeaker()
        self.screen = Screen(self._around.faces, self.id, self.emit, lambda: self.state, self._config.face_lead_ms)
        self.conversation = Conversation(
            self.conversation_id,
            History(self._config.max_items),
            self._recorder,
            self.emit,
            lambda item: self._calls.see(item),
            lambda item: self._make_call(item),
        )
        self._effects: dict[Effect, Callable[[Plan], None]] = {
            Effect.BEGIN_UTTERANCE: lambda _: self.listening.begin(),
            Effect.ANNOUNCE_SPEECH: lambda _: self.listening.announce(),
            Effect.END_UTTERANCE: lambda _: self.listening.end(),
            Effect.DROP_UTTERANCE: lambda _: self.listening.drop(),
            Effect.START_TURN: self._start_turn,
            Effect.QUEUE_TURN: self._queue_turn,
            Effect.CANCEL_TURN: self._cancel_turn,
            Effect.PAUSE: lambda _: self.replies.hold(),
            Effect.GO_ON: lambda _: self.replies.release(late=True),
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
                tasks.create_task(self._close_when_idle())
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
        """Ask for something; returns when it is done, commands one after another. After the end, it is ignored.

        It runs in its caller's task: handed to one of our own, each frame of sound would cost two more turns of the
        loop. What it starts belongs to the session.
        """
        await self._opened.wait()
        async with self._turnstile:
            if self.closing is None:
                await self._take(command)

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

    def guess(self, transcript: Transcript | None) -> None:
        """Begin the reply to this silently; with None, drop what was begun."""
        if transcript is not None:
            self.replies.guess(transcript, self.settings)
        else:
            self.replies.drop_guess()

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
            self._idleness.stir()
            self.emit(ev.StateChanged(self.state.value))
        for effect in effects:
            self._effects[effect](plan)

    # What runs

    def _open(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        self._idleness.stir()
        self._calls = OpenCalls(self._config.tools, tasks, on_slow=self._cover, on_expired=self._expire)
        self._server_calls = ServerCalls(
            self._around.tools, self._config.tools.server, tasks, on_result=self._take_result
        )
        self.desk = ItemDesk(self.conversation, self._config.max_text_chars)
        self.utterances = Utterances(self.conversation, self._around.asr, self.id, self._config, tasks)
        self.listening = Listening(self, self._around, self.utterances)
        self.screen.open(tasks)
        self.replies: Replies = Replies(
            self.id,
            self.conversation,
            self.desk,
            Stages(self._around.llm, self._around.tts),
            self._config,
            self._around.metrics,
            tasks,
            on_output=lambda: self.happen(Event.OUTPUT),
            on_done=self._reply_done,
            loudspeaker=self.loudspeaker,
            screen=self.screen,
            server_tools=self._server_calls.tools,
        )
        self._control = Control(self)
        self.listening.configure(self.settings)
        self._resume = Resume(self._config.resume, self._recorder)
        self._record()
        self.emit(ev.SessionCreated(self.settings, self._resume.offer))
        self.emit(ev.ConversationCreated({"id": self.conversation_id, "object": "realtime.conversation"}))
        self._opened.set()
        self.screen.configure(self.settings)
        if self._carried is not None:
            self._go_on(self._carried)
        elif self._config.greeting:
            self.happen(Event.RESPOND, Plan(said=self._config.greeting))

    def _record(self) -> None:
        self._recorder.conversation_started(
            session_id=self.id, model=self.settings.model, voice=self.settings.audio.output.voice
        )
        self._resume.record(self.settings)

    def _go_on(self, carried: Carried) -> None:
        """From where the connection broke."""
        items, rest = carried.restored_items(), carried.rest
        self.conversation.restore(items, rest.item_id, rest.language)
        continued = rest.item_id if rest.unheard_text else None
        lost = self._server_calls.lost(items)
        self.emit(ev.SessionResumed(tuple(item.id for item in items[-_ITEMS_TOLD:]), continued))
        for call_id, output in lost:
            self.conversation.add(Item(new_id("item"), "function_call_output", call_id=call_id, output=output))
        if continued:
            self.happen(Event.RESPOND, Plan(said=rest.unheard_text))
        if rest.unanswered or lost:
            self.happen(Event.RESPOND_AFTER if continued else Event.RESPOND)

    async def _take(self, command: Command) -> None:
        if not isinstance(command, Append):
            self._told_of_bad_sound = False
            self._idleness.stir()
            await self._control.obey(command)
        elif (error := await self._hear(command.pcm)) is not None:
            # Once: what is wrong with a stream, over the bound say, is so with each piece until a command mends it.
            if not self._told_of_bad_sound:
                self._control.refuse(error, command.event_id)
            self._told_of_bad_sound = True

    async def _hear(self, pcm: bytes) -> ParleyError | None:
        if self.state is State.IDLE:
            self.happen(Event.HEARD)
        try:
            await self.listening.hear(pcm)
        except ParleyError as error:
            return error
        return None

    async def _close_when_idle(self) -> None:
        await self._idleness.wait(lambda: self.state not in (State.LISTENING, State.IDLE))
        self.close(IDLE)

    def _cover(self) -> None:
        """A function takes long: say so, unless somebody speaks. It is no part of the conversation."""
        words = lexicon(language_of(self.settings, self._config) or self.conversation.language)
        if self.state is State.LISTENING and self.settings.speaks and words is not None:
            options = ResponseOptions(in_conversation=False)
            self.happen(Event.RESPOND, Plan(options, said=words.one_moment))

    def _expire(self, call_id: str, output: str) -> None:
        """A function gave no result: the model is told, and answers."""
        self.conversation.add(Item(new_id("item"), "function_call_output", call_id=call_id, output=output))
        if self.state is State.LISTENING:
            self.happen(Event.RESPOND)

    def _make_call(self, item: Item) -> None:
        """The model calls a function; the client's go to the client, also one that is named like one of ours."""
        if item.name not in {tool.name for tool in self.settings.tools}:
            self._server_calls.make(item)

    def _take_result(self, call_id: str, output: str) -> None:
        """A function of the server is done: the model is told and answers, once all that it called are done."""
        items = self.conversation.history.items
        if any(item.type == "function_call_output" and item.call_id == call_id for item in items):
            return  # it was given up before
        self.conversation.add(Item(new_id("item"), "function_call_output", call_id=call_id, output=output))
        if self._calls.any or self.replies.will_ask:
            return
        if self.state is State.LISTENING:
            self.happen(Event.RESPOND)
        elif self.state in (State.THINKING, State.SPEAKING, State.HELD):
            self.happen(Event.RESPOND_AFTER)

    def _reply_done(self) -> None:
        self.listening.reply_ended()
        self.happen(Event.DONE)

    # Effects

    def _start_turn(self, plan: Plan) -> None:
        words = self.listening.take_words()
        if plan.silence_ms is not None:
            plan = Plan(plan.options, words, plan.silence_ms)
        self.replies.start(plan, self.settings)

    def _queue_turn(self, plan: Plan) -> None:
        self.replies.queued = Plan(plan.options, self.listening.take_words())

    def _cancel_turn(self, _: Plan) -> None:
        self.replies.stop("turn_detected" if self.listening.speech_goes_on else "client_cancelled")

    def _hold(self, _: Plan) -> None:
        self.replies.hold()
        if self.replies.active is not None:
            self.emit(ev.PlaybackHeld(self.replies.active.writer.id))

    def _release(self, _: Plan) -> None:
        self.replies.release()
        if self.replies.active is not None:
            self.emit(ev.PlaybackResumed(self.replies.active.writer.id))

    def _next(self, _: Plan) -> None:
        if self.listening.speech_goes_on:
            self.happen(Event.OVERLAP)
        elif self.replies.queued is not None:
            self.happen(Event.RESPOND, self.replies.queued)

    def _shut(self, _: Plan) -> None:
        assert self.closing is not None
        self._resume.leave(self.closing, self.replies.rest())
        self.replies.stop_all("client_cancelled")
        self.screen.close()
        self.listening.drop()
        self._recorder.conversation_ended(self.closing.reason)
        self._outbox.close()
        self._over.set()

    def change_settings(self, settings: SessionSettings) -> None:
        """Use other settings from now on. Raises InvalidRequest."""
        if settings.assistant != self.settings.assistant:
            raise InvalidRequest("The assistant is chosen when a session begins.", param="session.assistant")
        self.screen.configure(settings)
        self.settings = settings
        self._record()
        self.listening.configure(settings)
