"""From the microphone to the state machine: onsets, endpoints, interruptions, long silences."""

import asyncio
from typing import Protocol

from deployments.asr.contract import Transcript
from deployments.runtime import clock
from serve_app.session import events as ev
from serve_app.session.backchannel import Backchannel
from serve_app.session.commands import ResponseOptions
from serve_app.session.ear import Ear, Endpoint
from serve_app.session.echo import EchoGuard
from serve_app.session.hearing import Hearing
from serve_app.session.ids import new_id
from serve_app.session.interruption import Decision, Overlap
from serve_app.session.loudspeaker import Loudspeaker
from serve_app.session.machine import Event, State
from serve_app.session.own_voice import OwnVoice
from serve_app.session.replies import Plan, Replies
from serve_app.session.reprompt import Reprompt
from serve_app.session.response import Conversation
from serve_app.session.settings import ServerVad, SessionSettings, language_of
from serve_app.session.surroundings import Surroundings
from serve_app.session.turn import Turn
from serve_app.session.utterances import Utterances

_PAUSED_FRAMES = 25
"""0.5 s. Signs of speech that have come to nothing by then are none: a reply would be silent while a crowd murmurs."""


class Floor(Protocol):
    """The session as its listening side sees it."""

    state: State
    settings: SessionSettings
    conversation: Conversation
    replies: Replies

    @property
    def loudspeaker(self) -> Loudspeaker:
        """What the client plays."""
        ...

    def happen(self, event: Event, plan: Plan | None = None) -> None:
        """Let the state machine take a step."""
        ...

    def emit(self, event: ev.ServerEvent) -> None:
        """Tell the client."""
        ...

    def guess(self, transcript: Transcript | None) -> None:
        """The user may have finished with this; None: goes on."""
        ...


class Listening:
    """Hears the user for one session. Its methods without `async` are effects of the state machine."""

    def __init__(self, floor: Floor, around: Surroundings, utterances: Utterances) -> None:
        self._floor = floor
        self._around = around
        self._config = around.config
        self._utterances = utterances
        self._ear = Ear(around.speech_model, around.config, self._open_hearing)
        self._item_id = ""
        self._start_ms = 0
        self._endpoint: Endpoint | None = None
        self._words: asyncio.Task[bool] | None = None
        self._reply_ended_ms: int | None = None
        self._suspected = False
        self._signs_frames = 0
        """For so many frames in a row there have been signs of speech over the reply."""
        self._guessed: Transcript | None = None
        """What is being answered on a guess."""
        self._echo = EchoGuard(self._config.interruption.echo_likeness)
        self._reprompt = Reprompt(self._config.reprompt)
        self._backchannel = Backchannel(
            self._config.backchannel, self._hum, lambda turn: floor.replies.hush(turn.writer.id)
        )
        self._own_voice = OwnVoice(self._echo, floor.loudspeaker)

    @property
    def _may_interrupt(self) -> bool:
        detection = self._floor.settings.audio.input.turn_detection
        return detection is None or detection.interrupt_response

    @property
    def speech_goes_on(self) -> bool:
        """Whether an utterance that detection follows is in progress."""
        return self._ear.detects and self._ear.hearing is not None

    @property
    def buffered_samples(self) -> int:
        """Sound that waits to be committed, at 16 kHz."""
        return 0 if self._ear.hearing is None else self._ear.hearing.fed_samples

    async def hear(self, pcm: bytes) -> None:
        """Take the next sound. Raises TooLarge when, without turn detection, too much waits for a commit."""
        for frame in self._ear.frames(pcm):
            self._ear.heed_reply(self._floor.state in (State.SPEAKING, State.HELD))
            heard = await self._ear.hear(self._without_own_voice(frame))
            if isinstance(heard, Endpoint):
                self._on_endpoint(heard)
            elif heard is not None:
                self._on_onset(heard.start_ms)
            self._after_frame()

    def configure(self, settings: SessionSettings) -> None:
        """Listen by other settings; what is in the buffer is committed or cleared where detection goes off or on."""
        detection = settings.audio.input.turn_detection
        if detection is None and self.speech_goes_on:
            self.end_unanswered()
        elif detection is not None and self._ear.hearing is not None and not self._ear.detects:
            self.drop()
            self._floor.emit(ev.BufferCleared())
        self._ear.configure(detection, language_of(settings, self._config))

    def begin(self) -> None:
        """Recognise the utterance whose onset was just heard."""
        self._guessed = None
        self._backchannel.begin()
        self._ear.begin()

    def announce(self) -> None:
        """Tell the client that the user speaks."""
        self._floor.emit(ev.SpeechStarted(self._start_ms, self._item_id))

    def end(self) -> None:
        """The utterance becomes an item; its final words follow."""
        assert self._endpoint is not None
        self._backchannel.end()
        self._floor.emit(ev.SpeechStopped(self._endpoint.end_ms, self._item_id))
        self._words = self._commit(self._item_id, self._ear.end())

    def drop(self) -> None:
        """Forget the utterance in progress."""
        self._backchannel.end()
        self._ear.drop()

    def end_unanswered(self) -> None:
        """The client says that the utterance which detection follows is over."""
        self._endpoint = Endpoint(self._ear.heard_ms, 0.0)
        self._floor.happen(Event.ENDPOINT_UNANSWERED)

    def commit_buffer(self) -> None:
        """The client says that what it has sent is an utterance (detection is off)."""
        self._commit(new_id("item"), self._ear.end())

    def take_words(self) -> "asyncio.Task[bool] | None":
        """The final words of the last utterance, for the reply that answers them, which begins."""
        self._backchannel.end()
        self._reply_ended_ms = None
        words, self._words = self._words, None
        return words

    def reply_ended(self) -> None:
        """From now on the user's silence counts."""
        self._reply_ended_ms = self._ear.heard_ms

    def _is_echo(self) -> bool:
        """Whether what was heard just now is the assistant's own voice."""
        return self._own_voice.is_heard(clock.now_s())

    def _without_own_voice(self, frame: bytes) -> bytes:
        user_speaks = self._floor.state is State.USER_SPEAKING
        return self._own_voice.without(frame, clock.now_s(), sounds=self._backchannel.sounds, user_speaks=user_speaks)

    def _on_onset(self, start_ms: int) -> None:
        if self._is_echo():
            self._ear.dismiss()
            return
        self._item_id = new_id("item")
        self._start_ms = start_ms
        self._reply_ended_ms = None
        self._suspected = False
        self._signs_frames = 0
        replying = self._floor.state in (State.THINKING, State.SPEAKING)
        self._floor.happen(Event.OVERLAP if replying and not self._may_interrupt else Event.ONSET)

    def _on_endpoint(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        detection = self._floor.settings.audio.input.turn_detection
        answered = detection is not None and detection.create_response
        event = Event.ENDPOINT if answered else Event.ENDPOINT_UNANSWERED
        self._floor.happen(event, Plan(silence_ms=endpoint.silence_ms))

    def _after_frame(self) -> None:
        if self._floor.state not in (State.SPEAKING, State.HELD) and not self._backchannel.sounds:
            self._own_voice.room_db = self._ear.noise_db
        if self._floor.state is State.SPEAKING:
            self._watch_for_speech()
        elif self._floor.state is State.HELD:
            self._decide()
        elif self._floor.state is State.USER_SPEAKING:
            self._guess()
            self._listen_along()
        elif self._floor.state is State.LISTENING and self._reply_ended_ms is not None:
            self._after_reply(self._reply_ended_ms)

    def _after_reply(self, ended_ms: int) -> None:
        """The user keeps silent: the client's own time for it counts, else the server's."""
        detection = self._floor.settings.audio.input.turn_detection
        silent_ms = self._ear.heard_ms - ended_ms
        if isinstance(detection, ServerVad) and detection.idle_timeout_ms is not None:
            if silent_ms >= detection.idle_timeout_ms:
                self._prompt_again(ended_ms)
        elif detection is not None and self._reprompt.is_due(silent_ms) and not self._ear.suspects:
            self._ask_again()

    def _ask_again(self) -> None:
        self._reply_ended_ms = None
        floor = self._floor
        if floor.settings.speaks:
            language = language_of(floor.settings, self._config) or floor.conversation.language
            if words := self._reprompt.words(floor.conversation.history.items, language):
                floor.happen(Event.RESPOND, Plan(said=words))

    def _guess(self) -> None:
        """In a pause, with the words final as they stand, the reply may be begun: most pauses end the turn."""
        hearing = self._ear.hearing
        detection = self._floor.settings.audio.input.turn_detection
        if hearing is None or detection is None or not detection.create_response or not self._config.speculate:
            return
        settled = hearing.is_final and self._ear.silence_ms > 0 and hearing.transcript.text != ""
        transcript = hearing.transcript if settled else None
        if transcript != self._guessed:
            self._guessed = transcript
            self._floor.guess(transcript)

    def _watch_for_speech(self) -> None:
        """The least sign of speech pauses the reply: the client has sound for longer than it takes to be certain."""
        signs = self._ear.suspects and self._may_interrupt and not self._is_echo()
        self._signs_frames = self._signs_frames + 1 if signs else 0
        suspected = 0 < self._signs_frames <= _PAUSED_FRAMES
        if suspected != self._suspected:
            self._suspected = suspected
            self._floor.happen(Event.SUSPECTED if suspected else Event.CLEARED)

    def _told(self, hearing: Hearing) -> Overlap:
        return Overlap(
            speech_ms=self._ear.speech_ms,
            silence_ms=self._ear.silence_ms,
            words=hearing.transcript.text,
            final=hearing.is_final,
            language=language_of(self._floor.settings, self._config) or hearing.transcript.language,
        )

    def _listen_along(self) -> None:
        hearing = self._ear.hearing
        if self._backchannel.is_on and hearing is not None and self._ear.detects and not self._ear.suspects:
            self._backchannel.listen(self._told(hearing), lambda: self._ear.left_of_pause_ms)

    def _hum(self, words: str) -> Turn | None:
        settings, replies = self._floor.settings, self._floor.replies
        if not settings.speaks or replies.speaks_aside:
            return None
        return replies.start_aside(Plan(ResponseOptions(in_conversation=False), said=words, brief=True), settings)

    def _decide(self) -> None:
        hearing = self._ear.hearing
        assert hearing is not None
        decision = self._around.interruption.decide(self._told(hearing))
        if decision is Decision.INTERRUPT:
            self._around.metrics.interrupted()
            self._floor.happen(Event.INTERRUPT)
        elif decision is Decision.RESUME and not self._ear.undecided:
            self._echo.forget()
            self._floor.happen(Event.RESUME)

    def _prompt_again(self, silent_since_ms: int) -> None:
        self._reply_ended_ms = None
        item_id = new_id("item")
        self._floor.emit(ev.TimeoutTriggered(silent_since_ms, self._ear.heard_ms, item_id))
        self._commit(item_id, None)
        self._floor.happen(Event.RESPOND)

    def _commit(self, item_id: str, hearing: Hearing | None) -> "asyncio.Task[bool]":
        transcribed = self._floor.settings.audio.input.transcription is not None
        return self._utterances.commit(item_id, hearing, transcribed=transcribed)

    def _open_hearing(self) -> Hearing:
        return self._utterances.hear(self._floor.settings, self._on_interim)

    def _on_interim(self, transcript: Transcript) -> None:
        if self._ear.hearing is not None:
            self._floor.emit(ev.InterimTranscript(self._item_id, transcript.text))
