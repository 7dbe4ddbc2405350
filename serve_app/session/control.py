"""Obeys a client's commands, or refuses them with an error that names the command; the session goes on either way."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Protocol

from deployments.media.audio import SPEECH_RATE_HZ, ms_to_samples, samples_to_ms
from deployments.runtime.errors import Conflict, InvalidRequest, NotFound, ParleyError
from serve_app.session import commands as cmd
from serve_app.session import events as ev
from serve_app.session.item_desk import ItemDesk
from serve_app.session.items import Part
from serve_app.session.listening import Listening
from serve_app.session.machine import Event, State
from serve_app.session.replies import Plan, Replies
from serve_app.session.response import Conversation
from serve_app.session.screen import Screen
from serve_app.session.settings import SessionSettings
from serve_app.session.utterances import Utterances

_LEAST_COMMIT_SAMPLES = ms_to_samples(100, SPEECH_RATE_HZ)


class Obedient(Protocol):
    """The session as its client's commands see it."""

    state: State
    settings: SessionSettings
    conversation: Conversation
    desk: ItemDesk
    listening: Listening
    replies: Replies
    utterances: Utterances
    screen: Screen

    def happen(self, event: Event, plan: Plan | None = None) -> None:
        """Let the state machine take a step."""
        ...

    def emit(self, event: ev.ServerEvent) -> None:
        """Tell the client."""
        ...

    def change_settings(self, settings: SessionSettings) -> None:
        """Use other settings from now on."""
        ...


class Control:
    """One method a command."""

    def __init__(self, session: Obedient) -> None:
        self._session = session
        self._event_id: str | None = None
        self._obey: dict[type[Any], Callable[[Any], Awaitable[None]]] = {
            cmd.Commit: self._commit,
            cmd.Clear: self._clear,
            cmd.Update: self._update,
            cmd.CreateItem: self._create_item,
            cmd.RetrieveItem: self._retrieve_item,
            cmd.DeleteItem: self._delete_item,
            cmd.TruncateItem: self._truncate_item,
            cmd.CreateResponse: self._create_response,
            cmd.CancelResponse: self._cancel_response,
        }

    async def obey(self, command: cmd.Command) -> None:
        """Do it, or say why not."""
        self._event_id = command.event_id
        try:
            await self._obey[type(command)](command)
        except ParleyError as error:
            self.refuse(error, command.event_id)

    def refuse(self, error: ParleyError, event_id: str | None) -> None:
        """Answer with an error event."""
        self._session.emit(ev.ErrorEvent.of(error, event_id))

    def refuse_response(self) -> None:
        """Asked for a response while one is in progress."""
        active = self._session.replies.active
        which = f" ({active.writer.id})" if active is not None else ""
        self.refuse(
            Conflict(
                f"a response is in progress{which}: wait for its response.done, or cancel it",
                "conversation_already_has_active_response",
            ),
            self._event_id,
        )

    def refuse_cancel(self) -> None:
        """Asked to cancel when there is nothing to cancel."""
        self.refuse(Conflict("no response is in progress", "response_cancel_not_active"), self._event_id)

    async def _commit(self, command: cmd.Commit) -> None:
        listening = self._session.listening
        if listening.buffered_samples < _LEAST_COMMIT_SAMPLES:
            raise InvalidRequest(
                f"the buffer holds {samples_to_ms(listening.buffered_samples, SPEECH_RATE_HZ):.0f} ms of sound, "
                "a commit takes at least 100 ms",
                "input_audio_buffer_commit_empty",
            )
        if listening.speech_goes_on:
            listening.end_unanswered()
        else:
            listening.commit_buffer()

    async def _clear(self, command: cmd.Clear) -> None:
        if self._session.listening.speech_goes_on:
            self._session.happen(Event.ABANDONED)
        else:
            self._session.listening.drop()
        self._session.emit(ev.BufferCleared())

    async def _update(self, command: cmd.Update) -> None:
        session = self._session
        settings = session.settings.updated(command.patch)
        await session.screen.check_avatar(settings)
        session.change_settings(settings)
        session.emit(ev.SessionUpdated(session.settings))

    async def _create_item(self, command: cmd.CreateItem) -> None:
        if command.audio:
            transcript = await self._session.utterances.transcribe(
                command.item.id, self._session.settings, command.audio
            )
            content = tuple(
                Part(part.type, transcript.text) if part.type == "input_audio" and part.text is None else part
                for part in command.item.content
            )
            command = replace(command, item=replace(command.item, content=content))
        self._session.desk.create(command)

    async def _retrieve_item(self, command: cmd.RetrieveItem) -> None:
        self._session.desk.retrieve(command)

    async def _delete_item(self, command: cmd.DeleteItem) -> None:
        self._session.desk.delete(command)

    async def _truncate_item(self, command: cmd.TruncateItem) -> None:
        session = self._session
        active = session.replies.active
        if active is not None and active.writer.message is not None and active.writer.message.id == command.item_id:
            # Its client has stopped playing it: there is no point in sending more.
            session.happen(Event.CANCEL)
        session.desk.truncate(command)

    async def _create_response(self, command: cmd.CreateResponse) -> None:
        session = self._session
        plan = Plan(command.options)
        for item in command.options.input or ():
            if isinstance(item, str):
                session.conversation.history.get(item)
        if not command.options.in_conversation:
            session.replies.start_aside(plan, session.settings)
        elif session.state in (State.THINKING, State.SPEAKING, State.HELD) and session.replies.being_played:
            session.happen(Event.RESPOND_AFTER, plan)
        else:
            session.happen(Event.RESPOND, plan)

    async def _cancel_response(self, command: cmd.CancelResponse) -> None:
        session = self._session
        response_id = command.response_id
        if response_id is not None:
            if session.replies.stop_aside(response_id):
                return
            active = session.replies.active
            if active is None or active.writer.id != response_id:
                raise NotFound(f"no response {response_id!r} is running", "response_cancel_not_active", "response_id")
        session.happen(Event.CANCEL)
