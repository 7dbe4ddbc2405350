"""Writes one response in the order of events that OpenAI's Realtime API keeps, and its items into the history."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from deployments.llm.contract import ToolCall
from serve_app.session import events as ev
from serve_app.session.commands import ResponseOptions
from serve_app.session.history import History
from serve_app.session.ids import new_id
from serve_app.session.items import Item, Part
from serve_app.session.recording import Recorder
from serve_app.session.settings import SessionSettings


@dataclass(slots=True)
class Conversation:
    """What every response of a session writes to."""

    id: str
    history: History
    recorder: Recorder
    emit: Callable[[ev.ServerEvent], None]
    on_item: Callable[[Item], None]
    """An item has entered or has its final form."""
    on_call: Callable[[Item], None] = lambda item: None
    """The model has made a call: after `on_item`, and not for a call that a client put in."""
    language: str | None = None
    """ISO 639-1 code of what the user spoke last, where recognition tells."""

    def restore(self, items: Sequence[Item], changed: str, language: str | None) -> None:
        """Begin with these, which client and record know; all but `changed`, an item's id, in this very state."""
        self.language = language
        self.history.restore(items)
        for item in self.history.items:
            if item.id == changed:
                self.recorder.item_put(item.wire())
            self.on_item(item)

    def add(self, item: Item, previous_item_id: str | None = None) -> str | None:
        """Put an item in, letting the oldest go when the history is full; the id of the one before it."""
        while self.history.full and (oldest := self.history.oldest_id()):
            self.history.remove(oldest)
            self.emit(ev.ItemDeleted(oldest))
        before = self.history.insert(item, previous_item_id)
        self.recorder.item_put(item.wire(), before)
        self.emit(ev.ItemAdded(item, before))
        self.on_item(item)
        return before

    def settle(self, item: Item) -> None:
        """An item has its final form."""
        if item.id in self.history:
            self.history.replace(item)
            before = self.history.before(item.id)
            self.recorder.item_put(item.wire(), before)
            self.emit(ev.ItemDone(item, before))
            self.on_item(item)


class ResponseWriter:
    """One response: `begin`, then at most one message and any calls, then `finish`. Synchronous throughout."""

    def __init__(self, conversation: Conversation, settings: SessionSettings, options: ResponseOptions) -> None:
        self.id = new_id("resp")
        self.speaks = "audio" in (options.output_modalities or settings.output_modalities)
        self.voice = options.voice or settings.audio.output.voice
        self.begun = False
        self.finished = False
        self.status: ev.ResponseStatus = "in_progress"
        self.message: Item | None = None
        """The reply's text as it stands; None before its first output."""
        self._message_index = 0
        self._message_open = False
        self._conversation = conversation
        self._in_conversation = options.in_conversation
        self._emit = conversation.emit
        self._items: list[Item] = []
        self._info = ev.ResponseInfo(
            id=self.id,
            status="in_progress",
            conversation_id=conversation.id if options.in_conversation else None,
            output_modalities=options.output_modalities or settings.output_modalities,
            voice=self.voice,
            output_format=(options.output_format or settings.audio.output.format).model_dump(),
            max_output_tokens=options.max_output_tokens or settings.max_output_tokens,
            metadata=options.metadata,
        )

    def begin(self) -> None:
        """The response exists from now on."""
        self.begun = True
        self._emit(ev.ResponseCreated(self._info))

    def audio(self, pcm: bytes, text: str, *, in_block: bool = False) -> None:
        """Sound goes out, and the words that are due with it. `in_block`: a face says it."""
        item = self.open_message()
        if text:
            self._extend(text)
            self._emit(ev.OutputTranscriptDelta(self.id, item.id, self._message_index, 0, text))
        self._emit(ev.OutputAudioDelta(self.id, item.id, self._message_index, 0, pcm, in_block))

    def text(self, text: str) -> None:
        """Text of a text response goes out."""
        item = self.open_message()
        self._extend(text)
        self._emit(ev.OutputTextDelta(self.id, item.id, self._message_index, 0, text))

    def call(self, call: ToolCall) -> None:
        """A function call, complete."""
        item = Item(new_id("item"), "function_call", "in_progress", call_id=call.call_id, name=call.name, arguments="")
        index = self._add(item)
        self._emit(ev.ArgumentsDelta(self.id, item.id, index, call.call_id, call.arguments))
        self._emit(ev.ArgumentsDone(self.id, item.id, index, call.call_id, call.name, call.arguments))
        made = replace(item, status="completed", arguments=call.arguments)
        self._settle(index, made)
        if self._in_conversation:
            self._conversation.on_call(made)

    def close_message(self) -> None:
        """The message is complete as it stands."""
        if self.message is not None and self._message_open:
            self._close_message(replace(self.message, status="completed"))

    def cut_off(self, heard_text: str, audio_end_ms: int) -> None:
        """The message keeps what was heard; may come after it was closed, when the client was still playing it."""
        if self.message is None:
            return
        kind = self.message.content[0].type
        item = replace(self.message, status="incomplete", interrupted=True, content=(Part(kind, heard_text),))
        if self._message_open:
            self._close_message(item)
        elif self._in_conversation:
            self._items[self._message_index] = self.message = item
            self._conversation.history.replace(item)
            self._conversation.recorder.item_put(item.wire(), None)
        if kind == "output_audio" and self._in_conversation:
            self._conversation.recorder.heard(item.id, audio_end_ms, heard_text)
            self._emit(ev.ItemTruncated(item.id, 0, audio_end_ms))

    def finish(
        self, status: ev.ResponseStatus, details: dict[str, Any] | None = None, usage: dict[str, Any] | None = None
    ) -> None:
        """The response is over. Only the first call counts."""
        if self.finished or not self.begun:
            return
        self.finished = True
        self.status = status
        done = replace(self._info, status=status, status_details=details, usage=usage, output=tuple(self._items))
        self._emit(ev.ResponseDone(done))

    def open_message(self) -> Item:
        """The message, begun by its first output, or earlier so that it stands before a call that follows its text."""
        if self.message is None:
            part = Part("output_audio" if self.speaks else "output_text", "")
            item = Item(new_id("item"), "message", "in_progress", "assistant", (part,))
            self._message_index = self._add(item)
            self.message = item
            self._message_open = True
            self._emit(ev.ContentPartAdded(self.id, item.id, self._message_index, 0, self._part(item)))
        return self.message

    def _extend(self, text: str) -> None:
        if self.message is not None:
            part = self.message.content[0]
            self.message = replace(self.message, content=(Part(part.type, (part.text or "") + text),))

    def _close_message(self, item: Item) -> None:
        self._message_open = False
        self.message = item
        at = (self.id, item.id, self._message_index, 0)
        if item.content[0].type == "output_audio":
            self._emit(ev.OutputAudioDone(*at))
            self._emit(ev.OutputTranscriptDone(*at, item.text))
        else:
            self._emit(ev.OutputTextDone(*at, item.text))
        self._emit(ev.ContentPartDone(*at, self._part(item)))
        self._settle(self._message_index, item)

    @staticmethod
    def _part(item: Item) -> dict[str, Any]:
        if item.content[0].type == "output_audio":
            return {"type": "audio", "transcript": item.text}
        return {"type": "text", "text": item.text}

    def _add(self, item: Item) -> int:
        index = len(self._items)
        self._items.append(item)
        self._emit(ev.OutputItemAdded(self.id, index, item))
        if self._in_conversation:
            self._conversation.add(item)
        return index

    def _settle(self, index: int, item: Item) -> None:
        self._items[index] = item
        if self._in_conversation:
            self._conversation.settle(item)
        self._emit(ev.OutputItemDone(self.id, index, item))
