"""What a client does to the items of a conversation: create, retrieve, delete, truncate."""

from collections import OrderedDict
from dataclasses import replace
from typing import Protocol

from deployments.runtime.errors import InvalidRequest, TooLarge
from serve_app.session import events as ev
from serve_app.session.commands import CreateItem, DeleteItem, RetrieveItem, TruncateItem
from serve_app.session.items import Item, Part
from serve_app.session.response import Conversation

_REPLIES_KEPT = 32


class Heard(Protocol):
    """A reply that can tell what was heard of it."""

    @property
    def spoken_ms(self) -> int:
        """How much sound of it went out."""
        ...

    def heard_text(self, heard_ms: int) -> str:
        """The words of its first `heard_ms`."""
        ...


class ItemDesk:
    """Each method does one command and raises a UserError where it cannot."""

    def __init__(self, conversation: Conversation, max_text_chars: int) -> None:
        self._conversation = conversation
        self._max_text_chars = max_text_chars
        self._replies: OrderedDict[str, Heard] = OrderedDict()

    def remember(self, item_id: str, reply: Heard) -> None:
        """A reply that may be truncated later; the last few are kept."""
        self._replies[item_id] = reply
        while len(self._replies) > _REPLIES_KEPT:
            self._replies.popitem(last=False)

    def create(self, command: CreateItem) -> Item:
        """Put a client's item in."""
        item = command.item
        length = len(item.text) + len(item.output) + len(item.arguments)
        if length > self._max_text_chars:
            raise TooLarge(f"an item holds at most {self._max_text_chars} characters, this one {length}", param="item")
        if item.type == "function_call_output":
            self._check_call(item.call_id)
        before = self._conversation.add(item, command.previous_item_id)
        self._conversation.emit(ev.ItemDone(item, before))
        return item

    def retrieve(self, command: RetrieveItem) -> None:
        """Show an item."""
        self._conversation.emit(ev.ItemRetrieved(self._conversation.history.get(command.item_id)))

    def delete(self, command: DeleteItem) -> None:
        """Take an item out."""
        self._conversation.history.remove(command.item_id)
        self._conversation.recorder.item_deleted(command.item_id)
        self._replies.pop(command.item_id, None)
        self._conversation.emit(ev.ItemDeleted(command.item_id))

    def truncate(self, command: TruncateItem) -> None:
        """Keep of a reply what the client has played: its word on the matter outranks our reckoning."""
        item = self._conversation.history.get(command.item_id)
        reply = self._replies.get(command.item_id)
        if item.role != "assistant" or item.content[0].type != "output_audio" or reply is None:
            raise InvalidRequest("only a spoken reply of the assistant can be truncated", param="item_id")
        if command.content_index != 0:
            raise InvalidRequest("the item has one content part, index 0", param="content_index")
        if command.audio_end_ms > reply.spoken_ms:
            raise InvalidRequest(
                f"audio content of {reply.spoken_ms} ms is already shorter than {command.audio_end_ms} ms",
                param="audio_end_ms",
            )
        text = reply.heard_text(command.audio_end_ms)
        item = replace(item, status="incomplete", interrupted=True, content=(Part("output_audio", text),))
        self._conversation.history.replace(item)
        self._conversation.recorder.item_put(item.wire())
        self._conversation.recorder.heard(item.id, command.audio_end_ms, text)
        self._conversation.emit(ev.ItemTruncated(item.id, 0, command.audio_end_ms))

    def _check_call(self, call_id: str) -> None:
        calls = {item.call_id for item in self._conversation.history.items if item.type == "function_call"}
        answered = {item.call_id for item in self._conversation.history.items if item.type == "function_call_output"}
        if call_id not in calls:
            raise InvalidRequest(
                f"no function call {call_id!r} is in this conversation", "invalid_value", "item.call_id"
            )
        if call_id in answered:
            raise InvalidRequest(f"function call {call_id!r} is answered already", "invalid_value", "item.call_id")
