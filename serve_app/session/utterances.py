"""From recognised speech to user items: commits what was said at once, and fills in the words when they are final."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from configs.session import SessionConfig
from deployments.asr.client import AsrClient
from deployments.asr.contract import AsrOptions, Transcript
from deployments.media.audio import SPEECH_RATE_HZ, ms_to_samples, samples_to_ms
from deployments.runtime.errors import ParleyError
from serve_app.session import events as ev
from serve_app.session.hearing import Hearing
from serve_app.session.items import Item, Part
from serve_app.session.response import Conversation
from serve_app.session.settings import SessionSettings, language_of


class Utterances:
    """Adds the user's spoken items to a conversation. Tasks belong to the session's group."""

    def __init__(
        self,
        conversation: Conversation,
        asr: AsrClient,
        session_id: str,
        config: SessionConfig,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._conversation = conversation
        self._asr = asr
        self._session_id = session_id
        self._config = config
        self._tasks = tasks
        self._last: asyncio.Task[None] | None = None

    def hear(self, settings: SessionSettings, on_interim: Callable[[Transcript], None]) -> Hearing:
        """Begin to recognise what the user says next."""
        hearing = self._hearing(self._session_id, settings, on_interim)
        self._last = self._tasks.create_task(hearing.run(self._last))
        return hearing

    def commit(self, item_id: str, hearing: Hearing | None, *, transcribed: bool) -> asyncio.Task[bool]:
        """Make an utterance an item of the conversation; the task says whether it holds words.

        `hearing` is None for an empty one (the user kept silent). `transcribed`: the client wants the words as events.
        """
        previous = self._conversation.history.last_id
        self._conversation.emit(ev.BufferCommitted(item_id, previous))
        text = None if hearing else ""
        item = Item(item_id, "message", "completed", "user", (Part("input_audio", text),))
        before = self._conversation.add(item)
        self._conversation.emit(ev.ItemDone(item, before))
        return self._tasks.create_task(self._fill_in(item, hearing, transcribed), name=f"words of {item_id}")

    async def transcribe(self, item_id: str, settings: SessionSettings, pcm: bytes) -> Transcript:
        """The words of a complete recording. Raises what recognition raises, and TooLarge."""
        hearing = self._hearing(f"{self._session_id}/{item_id}", settings, lambda _: None)
        hearing.feed(pcm)
        task = self._tasks.create_task(hearing.run())
        try:
            return await hearing.final()
        finally:
            task.cancel()

    def _hearing(self, channel: str, settings: SessionSettings, on_interim: Callable[[Transcript], None]) -> Hearing:
        """Recognition has one utterance of a channel at a time."""
        transcription = settings.audio.input.transcription
        prompt, model = (transcription.prompt, transcription.model) if transcription else (None, None)
        options = AsrOptions(language_of(settings, self._config), prompt or "", model=model or "")
        max_samples = ms_to_samples(self._config.max_unanswered_s * 1000, SPEECH_RATE_HZ)
        return Hearing(self._asr, channel, options, max_samples=max_samples, on_interim=on_interim)

    async def _fill_in(self, item: Item, hearing: Hearing | None, transcribed: bool) -> bool:
        if hearing is None:
            return False
        try:
            transcript = await hearing.final()
        except ParleyError as error:
            self._fail(item, error, transcribed)
            return False
        self._conversation.language = transcript.language or self._conversation.language
        item = replace(item, content=(Part("input_audio", transcript.text),))
        self._conversation.history.replace(item)
        self._conversation.recorder.item_put(item.wire())
        if transcribed:
            seconds = samples_to_ms(hearing.fed_samples, SPEECH_RATE_HZ) / 1000
            if transcript.text:
                self._conversation.emit(ev.TranscriptionDelta(item.id, transcript.text))
            usage: dict[str, Any] = {"type": "duration", "seconds": round(seconds, 3)}
            self._conversation.emit(ev.TranscriptionCompleted(item.id, transcript.text, usage))
        return bool(transcript.text.strip())

    def _fail(self, item: Item, error: ParleyError, transcribed: bool) -> None:
        if transcribed:
            self._conversation.emit(ev.TranscriptionFailed(item.id, ev.error_details(error)))
        self._conversation.emit(ev.ErrorEvent.of(error))
