"""What changed in one conversation since it was last written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from deployments.runtime.clock import wall_s

Row = dict[str, Any]

_CALL_FIELDS = ("call_id", "name", "arguments", "output")
_PART_FIELDS = ("type", "text", "transcript")


@dataclass(slots=True)
class Changes:
    """What is to be written of one conversation, in this order. Writing it twice does no harm."""

    conversation: Row = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    """Items to delete; one that came back afterwards is also in `items`."""
    items: dict[str, Row] = field(default_factory=dict)
    moved: dict[str, int] = field(default_factory=dict)
    """New positions of items that did not change otherwise."""
    heard: dict[str, Row] = field(default_factory=dict)
    usage: dict[str, Row] = field(default_factory=dict)
    owner: str = ""
    resumption: Row | None = None

    @property
    def count(self) -> int:
        """Rows that will be touched, the conversation's own included."""
        resumed = self.resumption is not None
        return 1 + len(self.deleted) + len(self.items) + len(self.moved) + len(self.heard) + len(self.usage) + resumed


class ConversationRecorder:
    """The record of one conversation; satisfies the session's `Recorder`.

    Its methods only change dictionaries: the latest state of an item replaces an earlier one that was not written yet,
    so memory is bounded by the items that changed. `changed` is called when there is something to write again.
    """

    def __init__(
        self,
        conversation_id: str,
        changed: Callable[["ConversationRecorder"], None],
        owner: str,
        positions: Mapping[str, int] | None = None,
    ) -> None:
        """`owner` tells this recorder from one before it; `positions`: of the items that the record has, in order."""
        self.id = conversation_id
        self.owner = owner
        self.forgotten = False
        """Deleted: nothing is recorded any more."""
        self._changed = changed
        now_ms = _now_ms()
        self._row: Row = {
            "id": conversation_id,
            "session_id": "",
            "model": "",
            "voice": "",
            "metadata": {},
            "created_at_ms": now_ms,
            "updated_at_ms": now_ms,
            "ended_at_ms": None,
            "end_reason": None,
        }
        self._positions = dict(positions or {})
        self._order = list(self._positions)
        self._resumption: Row | None = None
        self._changes = Changes()
        self._dirty = False

    @property
    def ended(self) -> bool:
        """Whether the conversation is over."""
        return self._row["ended_at_ms"] is not None

    @property
    def pending(self) -> int:
        """Rows that are waiting to be written."""
        return self._changes.count if self._dirty else 0

    def conversation_started(
        self, *, session_id: str, model: str, voice: str, metadata: Mapping[str, Any] | None = None
    ) -> None:
        """Say whose conversation it is. Again when the session changes its model or voice."""
        self._row.update(session_id=session_id, model=model, voice=voice, metadata=dict(metadata or {}))
        self._touch()

    def item_put(self, item: Mapping[str, Any], previous_item_id: str | None = "") -> None:
        """Add or replace an item; None puts it first, the empty string or an unknown id last."""
        if self.forgotten:
            return
        item_id = item["id"]
        now_ms = self._touch()
        if item_id not in self._positions:
            self._place(item_id, previous_item_id)
        body: Row = {name: item[name] for name in _CALL_FIELDS if name in item}
        if "content" in item:
            body["content"] = [{name: part[name] for name in _PART_FIELDS if name in part} for part in item["content"]]
        earlier = self._changes.items.get(item_id)
        self._changes.items[item_id] = {
            "type": item["type"],
            "role": item.get("role"),
            "status": item.get("status"),
            "body": body,
            "created_at_ms": earlier["created_at_ms"] if earlier else now_ms,
        }

    def item_deleted(self, item_id: str) -> None:
        """Forget an item."""
        if self.forgotten:
            return
        self._touch()
        if self._positions.pop(item_id, None) is not None:
            self._order.remove(item_id)
        self._changes.items.pop(item_id, None)
        self._changes.heard.pop(item_id, None)
        self._changes.moved.pop(item_id, None)
        self._changes.deleted.add(item_id)

    def heard(self, item_id: str, heard_ms: int, text: str) -> None:
        """How much of an assistant's item has been played by now; nothing for an item that is not there."""
        if self.forgotten or item_id not in self._positions:
            return
        self._touch()
        self._changes.heard[item_id] = {"heard_ms": heard_ms, "heard_text": text}

    def usage(
        self,
        response_id: str,
        *,
        input_tokens: int,
        output_tokens: int,
        input_audio_ms: int = 0,
        output_audio_ms: int = 0,
    ) -> None:
        """What one response cost."""
        if self.forgotten:
            return
        self._changes.usage[response_id] = {
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "input_audio_ms": input_audio_ms,
            "output_audio_ms": output_audio_ms,
            "created_at_ms": self._touch(),
        }

    def resumable(self, *, token_digest: str, settings: Mapping[str, Any]) -> None:
        """Whoever has the token may pick the conversation up, in these settings. Again when they change."""
        row = {"token_digest": token_digest, "settings": dict(settings), "rest": {}, "until_ms": None}
        self._put_resumption({"conversation_id": self.id, "owner": self.owner, "claimed_at_ms": None, **row})

    def left_open(self, *, within_s: float, rest: Mapping[str, Any]) -> None:
        """The connection broke: who has the token may go on for so long, with what the assistant still owed."""
        if self._resumption is not None:
            until_ms = _now_ms() + round(1000 * within_s)
            self._put_resumption({**self._resumption, "rest": dict(rest), "until_ms": until_ms})

    def conversation_ended(self, reason: str) -> None:
        """The conversation is over; the first reason stays. Unless it was left open, nobody picks it up."""
        now_ms = self._touch()
        if self._resumption is not None and self._resumption["until_ms"] is None:
            self._put_resumption({**self._resumption, "until_ms": 0})
        if not self.ended:
            self._row.update(ended_at_ms=now_ms, end_reason=reason)

    def take(self) -> Changes:
        """What is to be written, which then counts as written until `put_back`."""
        changes, self._changes = self._changes, Changes()
        self._dirty = False
        changes.conversation = dict(self._row)
        changes.owner = self.owner
        for item_id, row in changes.items.items():
            row["position"] = self._positions[item_id]
        changes.moved = {item_id: self._positions[item_id] for item_id in changes.moved}
        return changes

    def put_back(self, changes: Changes) -> None:
        """It could not be written: keep it, below what changed since."""
        if self.forgotten:
            return
        newer, gone = self._changes, self._changes.deleted
        newer.items = {key: row for key, row in changes.items.items() if key not in gone} | newer.items
        newer.moved = {key: position for key, position in changes.moved.items() if key not in gone} | newer.moved
        newer.heard = {key: row for key, row in changes.heard.items() if key not in gone} | newer.heard
        newer.usage = changes.usage | newer.usage
        newer.deleted = changes.deleted | gone
        newer.resumption = newer.resumption or changes.resumption
        self._dirty = True
        self._changed(self)

    def forget(self) -> None:
        """Deleted: drop what is waiting and whatever comes."""
        self.forgotten = True
        self.give_up()

    def give_up(self) -> int:
        """Drop what is waiting; how many rows that were."""
        dropped = self.pending
        self._changes = Changes()
        self._dirty = False
        return dropped

    def _put_resumption(self, row: Row) -> None:
        if not self.forgotten:
            self._resumption = self._changes.resumption = row
            self._touch()

    def _touch(self) -> int:
        now_ms = _now_ms()
        self._row["updated_at_ms"] = now_ms
        if not self._dirty and not self.forgotten:
            self._dirty = True
            self._changed(self)
        return now_ms

    def _place(self, item_id: str, previous_item_id: str | None) -> None:
        # Positions only have to grow along the conversation: gaps stay, and an insertion moves followers up to the
        # next gap.
        order, positions = self._order, self._positions
        if order and previous_item_id is None:
            positions[item_id] = positions[order[0]] - 1
            order.insert(0, item_id)
        elif not order or previous_item_id == order[-1] or previous_item_id not in positions:
            positions[item_id] = positions[order[-1]] + 1 if order else 0
            order.append(item_id)
        else:
            index = order.index(previous_item_id) + 1
            order.insert(index, item_id)
            position = positions[item_id] = positions[previous_item_id] + 1
            for follower in order[index + 1 :]:
                if positions[follower] > position:
                    break
                position += 1
                positions[follower] = position
                self._changes.moved[follower] = position


def _now_ms() -> int:
    return int(wall_s() * 1000)
