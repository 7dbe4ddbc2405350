"""The items of a conversation in order, and what the model is shown of them."""

from collections.abc import Sequence

from deployments.llm.contract import Message, ToolCall
from deployments.runtime.errors import Conflict, InvalidRequest, NotFound
from serve_app.session.items import Item


class History:
    """An ordered, bounded collection of items by id."""

    def __init__(self, max_items: int) -> None:
        self._max_items = max_items
        self._items: dict[str, Item] = {}

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._items

    @property
    def items(self) -> tuple[Item, ...]:
        """All items, oldest first."""
        return tuple(self._items.values())

    @property
    def full(self) -> bool:
        """Whether one more item would be over the bound."""
        return len(self._items) >= self._max_items

    @property
    def last_id(self) -> str | None:
        """Id of the newest item."""
        return next(reversed(self._items), None)

    def get(self, item_id: str) -> Item:
        """The item. Raises NotFound."""
        try:
            return self._items[item_id]
        except KeyError:
            raise NotFound(f"there is no item {item_id!r} in this conversation", "item_not_found", "item_id") from None

    def insert(self, item: Item, previous_item_id: str | None) -> str | None:
        """Put an item behind another (`root`: at the front, None: at the end); returns the id of the one before it.

        Raises Conflict for an id that is there already, InvalidRequest for a predecessor that is not.
        """
        if item.id in self._items:
            raise Conflict(f"there is an item {item.id!r} already", "item_already_exists", "item.id")
        if previous_item_id is None or previous_item_id == self.last_id:
            before = self.last_id
            self._items[item.id] = item
            return before
        items = list(self._items.values())
        if previous_item_id == "root":
            index = 0
        elif previous_item_id in self._items:
            index = list(self._items).index(previous_item_id) + 1
        else:
            raise InvalidRequest(
                f"previous_item_id {previous_item_id!r} is not an item of this conversation",
                "invalid_value",
                "previous_item_id",
            )
        items.insert(index, item)
        self._items = {each.id: each for each in items}
        return items[index - 1].id if index else None

    def restore(self, items: Sequence[Item]) -> None:
        """Begin with these, the newest of them if there are too many."""
        self._items = {item.id: item for item in items[-self._max_items :]}

    def replace(self, item: Item) -> None:
        """Put a newer state of an item in its place; one that was deleted meanwhile stays deleted."""
        if item.id in self._items:
            self._items[item.id] = item

    def remove(self, item_id: str) -> Item:
        """Take an item out. Raises NotFound."""
        item = self.get(item_id)
        del self._items[item_id]
        return item

    def oldest_id(self) -> str | None:
        """Id of the oldest item that may be let go: instructions stay."""
        return next((item.id for item in self._items.values() if item.role != "system"), None)

    def before(self, item_id: str) -> str | None:
        """Id of the item before another."""
        ids = list(self._items)
        index = ids.index(item_id)
        return ids[index - 1] if index else None


def messages(items: Sequence[Item], instructions: str) -> tuple[Message, ...]:
    """What the model is shown: the instructions, then each item that says something.

    Calls that one reply made side by side become one assistant message. An item that grows at the moment is left out.
    """
    shown: list[Message] = [Message("system", instructions)] if instructions else []
    for item in items:
        if item.type == "message":
            if item.role is not None and item.text.strip():
                shown.append(Message(item.role, item.text, interrupted=item.interrupted))
        elif item.type == "function_call":
            call = ToolCall(item.call_id, item.name, item.arguments)
            if shown and shown[-1].role == "assistant" and shown[-1].tool_calls:
                shown[-1] = Message("assistant", shown[-1].text, (*shown[-1].tool_calls, call))
            else:
                shown.append(Message("assistant", tool_calls=(call,)))
        else:
            shown.append(Message("tool", item.output, tool_call_id=item.call_id))
    return tuple(shown)
