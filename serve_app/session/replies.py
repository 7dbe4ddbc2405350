"""The replies of a session: at most one in the conversation, one that waits for it, a few outside of it."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field, replace

from configs.session import SessionConfig
from deployments.asr.contract import Transcript
from deployments.llm.client import LlmClient
from deployments.llm.contract import Finished, LlmItem, LlmRequest, TextPiece, Tool
from deployments.media.clauses import ClauseCutter
from deployments.runtime import clock
from deployments.runtime.errors import TooLarge
from deployments.tts.client import TtsClient
from serve_app.session import events as ev
from serve_app.session.commands import ResponseOptions
from serve_app.session.face import LiveFace
from serve_app.session.history import messages
from serve_app.session.item_desk import ItemDesk
from serve_app.session.items import Item, Part
from serve_app.session.loudspeaker import Loudspeaker
from serve_app.session.metrics import SessionMetrics
from serve_app.session.response import Conversation, ResponseWriter
from serve_app.session.resuming import Rest
from serve_app.session.screen import Screen
from serve_app.session.settings import FunctionTool, NamedTool, SessionSettings, language_of
from serve_app.session.speculation import Speculation
from serve_app.session.turn import Turn, TurnHooks
from serve_app.session.wording import speaker_of

_BRIEF = {"lead_ms": 60.0, "block_ms": 20.0}
"""A brief reply is sent closely to real time: what the client holds when it is stopped delays the next reply."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A reply that is to be made."""

    options: ResponseOptions = field(default_factory=ResponseOptions)
    words: "asyncio.Task[bool] | None" = None
    """The user's final words, where they are what is answered."""
    silence_ms: float | None = None
    """From the last speech sample to the endpoint decision."""
    said: str | None = None
    """The reply's own words, where no model is asked for them."""
    brief: bool = False
    """A sound of one who listens, which may have to stop at any moment; no answer that is measured."""


@dataclass(frozen=True, slots=True)
class Stages:
    """The stages that make a reply."""

    llm: LlmClient
    tts: TtsClient


class Replies:
    """Starts and stops turns. What decides when is the session's state machine."""

    def __init__(
        self,
        session_id: str,
        conversation: Conversation,
        desk: ItemDesk,
        stages: Stages,
        config: SessionConfig,
        metrics: SessionMetrics,
        tasks: asyncio.TaskGroup,
        *,
        on_output: Callable[[], None],
        on_done: Callable[[], None],
        loudspeaker: Loudspeaker,
        screen: Screen,
        server_tools: Sequence[Tool] = (),
    ) -> None:
        """`server_tools`: functions that the server runs."""
        self.active: Turn | None = None
        self.queued: Plan | None = None
        self._plan: Plan | None = None
        self._session_id = session_id
        self._conversation = conversation
        self._desk = desk
        self._stages = stages
        self._config = config
        self._metrics = metrics
        self._tasks = tasks
        self._on_output = on_output
        self._on_done = on_done
        self._loudspeaker = loudspeaker
        self._screen = screen
        self._server_tools = server_tools
        self._aside: dict[str, Turn] = {}
        self._guess: Speculation | None = None

    @property
    def being_played(self) -> bool:
        """The active reply is complete and only being spoken: another may be asked for, to follow it."""
        return self.active is not None and self.active.generated and self.queued is None

    def start(self, plan: Plan, settings: SessionSettings) -> None:
        """Make the conversation's reply."""
        self.queued = None
        self._plan = plan
        self.active = self._turn(plan, settings, self._ended, self._screen.face)
        self.active.start(self._tasks)

    def guess(self, transcript: Transcript, settings: SessionSettings) -> None:
        """Begin the reply to what the user seems to have said, silently."""
        self.drop_guess()
        self._conversation.language = transcript.language or self._conversation.language
        said = Item("", "message", "completed", "user", (Part("input_audio", transcript.text),))
        items = [*self._conversation.history.items, said]
        request = self._request(ResponseOptions(), settings, settings.speaks, items)
        self._guess = Speculation(self._stages.llm, request, self._tasks)

    def drop_guess(self) -> None:
        """The user goes on."""
        guess, self._guess = self._guess, None
        if guess is not None:
            guess.drop()

    @property
    def speaks_aside(self) -> bool:
        """Whether a reply outside the conversation is under way, or none is allowed."""
        return bool(self._aside) or not self._config.max_side_responses

    def start_aside(self, plan: Plan, settings: SessionSettings) -> Turn:
        """Make a reply outside the conversation, beside whatever goes on. Raises TooLarge over the bound."""
        if len(self._aside) >= self._config.max_side_responses:
            raise TooLarge(
                f"{self._config.max_side_responses} responses outside the conversation run already: wait for one",
                "too_many_responses",
            )
        turn = self._turn(plan, settings, self._aside_ended)
        self._aside[turn.writer.id] = turn
        turn.start(self._tasks)
        return turn

    def stop(self, reason: str) -> None:
        """Cut the conversation's reply off; it keeps what was heard."""
        turn, self.active = self.active, None
        if turn is not None:
            turn.stop(reason)
            self._loudspeaker.clear(clock.now_s())
            self._screen.cut()
            self._count(turn)

    def rest(self) -> Rest:
        """What is still owed, should the connection break now."""
        rest = self.active.rest() if self.active is not None else Rest()
        unanswered = rest.unanswered or self.queued is not None
        return replace(rest, unanswered=unanswered, language=self._conversation.language)

    def hold(self) -> None:
        """Send no more of the conversation's reply for now."""
        if self.active is not None:
            self.active.hold()

    def release(self, *, late: bool = False) -> None:
        """Send on from the very sample; `late`: not before the client needs it."""
        if self.active is not None:
            self.active.release(late=late)

    def hush(self, response_id: str) -> None:
        """The user's turn is over: no sound of one who listens any more."""
        self.stop_aside(response_id, "turn_detected")

    def stop_aside(self, response_id: str, reason: str = "client_cancelled") -> bool:
        """Cut off a reply outside the conversation; False if there is none of that id."""
        turn = self._aside.pop(response_id, None)
        if turn is None:
            return False
        turn.stop(reason)
        self._count(turn)
        return True

    def stop_all(self, reason: str) -> None:
        """The session ends."""
        self.queued = None
        self.drop_guess()
        self.stop(reason)
        for response_id in list(self._aside):
            self.stop_aside(response_id)

    def _turn(
        self,
        plan: Plan,
        settings: SessionSettings,
        on_done: Callable[[Turn], None],
        face: LiveFace | None = None,
    ) -> Turn:
        writer = ResponseWriter(self._conversation, settings, plan.options)
        hooks = TurnHooks(
            words=plan.words,
            reply=lambda: self._reply(plan, settings, writer.speaks),
            on_output=lambda turn: self._started(turn, plan),
            on_done=on_done,
            on_heard=self._conversation.recorder.heard,
            on_sound=lambda pcm: self._loudspeaker.send(pcm, clock.now_s()),
        )
        return Turn(
            writer,
            self._stages.tts,
            hooks,
            self._config.model_copy(update=_BRIEF) if plan.brief else self._config,
            language=self._language(settings),
            speed=settings.audio.output.speed,
            face=face,
            speaker=speaker_of(self._config.speakable, self._language(settings), writer.voice),
        )

    def _reply(self, plan: Plan, settings: SessionSettings, speaks: bool) -> AsyncGenerator[LlmItem, None]:
        if plan.said is not None:
            return _verbatim(plan.said)
        request = self._request(plan.options, settings, speaks)
        guess, self._guess = self._guess, None
        if guess is not None and guess.request == request:
            return guess.items()
        if guess is not None:
            guess.drop()
        return self._stages.llm.reply(request)

    def _language(self, settings: SessionSettings) -> str | None:
        """The configured one; else, where no voice is chosen, the one that the user spoke last."""
        heard = None if settings.audio.output.voice else self._conversation.language
        return language_of(settings, self._config) or heard

    def _request(
        self,
        options: ResponseOptions,
        settings: SessionSettings,
        speaks: bool,
        items: Sequence[Item] | None = None,
    ) -> LlmRequest:
        tools = settings.tools if options.tools is None else options.tools
        choice = options.tool_choice or settings.tool_choice
        limit = options.max_output_tokens or settings.max_output_tokens
        instructions = settings.instructions if options.instructions is None else options.instructions
        return LlmRequest(
            messages=messages(self._input(options) if items is None else items, instructions),
            tools=(*(_tool(tool) for tool in tools), *self._of_server(options, settings)),
            tool_choice=choice.name if isinstance(choice, NamedTool) else choice,
            max_output_tokens=None if limit == "inf" else limit,
            language=language_of(settings, self._config) or self._conversation.language,
            cut="clause" if speaks else "word",
            fit=settings.truncation != "disabled",
            session_id=self._session_id,
        )

    def _of_server(self, options: ResponseOptions, settings: SessionSettings) -> list[Tool]:
        """The server's functions: in the conversation, where the client's of the same name does not go first."""
        if not options.in_conversation or options.tools is not None:
            return []
        names = {tool.name for tool in settings.tools}
        return [tool for tool in self._server_tools if tool.name not in names]

    @property
    def will_ask(self) -> bool:
        """A reply is to come whose request is not made yet: it will hold all that has happened by then."""
        asks = self.active is not None and not self.active.asked and self._plan is not None and self._plan.said is None
        return asks or self.queued is not None

    def _input(self, options: ResponseOptions) -> Sequence[Item]:
        history = self._conversation.history
        if options.input is None:
            return history.items
        return [history.get(item) if isinstance(item, str) else item for item in options.input]

    def _started(self, turn: Turn, plan: Plan) -> None:
        if plan.brief:
            return
        times = turn.times
        started_s, token_s = times.started_s, times.first_token_s
        assert token_s is not None
        words_s, audio_s = times.words_final_s, times.first_audio_s
        output_ms = 1000 * ((audio_s or token_s) - started_s)
        self._metrics.first_output(output_ms, None if plan.silence_ms is None else plan.silence_ms + output_ms)
        timeline = ev.TurnTimeline(
            turn.writer.id,
            plan.silence_ms,
            None if words_s is None else round(1000 * (words_s - started_s), 1),
            round(1000 * (token_s - started_s), 1),
            None if audio_s is None else round(1000 * (audio_s - started_s), 1),
        )
        self._conversation.emit(timeline)
        if turn is self.active:
            self._on_output()

    def _ended(self, turn: Turn) -> None:
        if turn is self.active:
            self.active = None
            self._count(turn)
            self._on_done()

    def _aside_ended(self, turn: Turn) -> None:
        if self._aside.pop(turn.writer.id, None) is not None:
            self._count(turn)

    def _count(self, turn: Turn) -> None:
        writer = turn.writer
        if not writer.begun:
            return
        if writer.message is not None and writer.speaks:
            self._desk.remember(writer.message.id, turn)
        self._metrics.response_ended(writer.status, turn.spoken_ms, 1000 * turn.worst_gap_s)
        self._conversation.recorder.usage(
            writer.id,
            input_tokens=turn.usage.input_tokens,
            output_tokens=turn.usage.output_tokens,
            output_audio_ms=turn.spoken_ms,
        )


def _tool(tool: FunctionTool) -> Tool:
    return Tool(tool.name, tool.description, tool.parameters)


async def _verbatim(text: str) -> AsyncGenerator[LlmItem, None]:
    cutter = ClauseCutter()
    for clause in [*cutter.feed(text), *cutter.flush()]:
        yield TextPiece(clause)
    yield Finished("stop")
