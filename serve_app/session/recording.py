"""Where a session's conversation is written down, as the session sees it."""

from collections.abc import Mapping
from typing import Any, Protocol


class Recorder(Protocol):
    """One conversation's record. Nothing here waits, does I/O or fails with the disk: made for the hot path.

    Called from the event loop's thread. Every method may be repeated; the latest state wins.
    """

    def conversation_started(
        self, *, session_id: str, model: str, voice: str, metadata: Mapping[str, Any] | None = None
    ) -> None:
        """Say whose conversation it is. Again when the session changes its model or voice."""
        ...

    def item_put(self, item: Mapping[str, Any], previous_item_id: str | None = "") -> None:
        """Add an item (Realtime shape, `Item.wire()`), or replace the one with its id; its sound is not kept.

        `previous_item_id` is that of `conversation.item.added`: the item before it, None for the first place; empty for
        the end. A replaced item stays in its place.
        """
        ...

    def item_deleted(self, item_id: str) -> None:
        """Forget an item."""
        ...

    def heard(self, item_id: str, heard_ms: int, text: str) -> None:
        """How much of an assistant's item the user has heard by now, and those words; ignored for an unknown item."""
        ...

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
        ...

    def resumable(self, *, token_digest: str, settings: Mapping[str, Any]) -> None:
        """Whoever has the token may pick the conversation up, in these settings. Again when they change."""
        ...

    def left_open(self, *, within_s: float, rest: Mapping[str, Any]) -> None:
        """The connection broke: who has the token may go on for so long, with what the assistant still owed."""
        ...

    def conversation_ended(self, reason: str) -> None:
        """The last thing that happens to a conversation."""
        ...


class NullRecorder:
    """Keeps nothing: for a server that stores no conversations, and for tests."""

    def conversation_started(
        self, *, session_id: str, model: str, voice: str, metadata: Mapping[str, Any] | None = None
    ) -> None:
        """Forgotten."""

    def item_put(self, item: Mapping[str, Any], previous_item_id: str | None = "") -> None:
        """Forgotten."""

    def item_deleted(self, item_id: str) -> None:
        """Forgotten."""

    def heard(self, item_id: str, heard_ms: int, text: str) -> None:
        """Forgotten."""

    def usage(
        self,
        response_id: str,
        *,
        input_tokens: int,
        output_tokens: int,
        input_audio_ms: int = 0,
        output_audio_ms: int = 0,
    ) -> None:
        """Forgotten."""

    def resumable(self, *, token_digest: str, settings: Mapping[str, Any]) -> None:
        """Forgotten."""

    def left_open(self, *, within_s: float, rest: Mapping[str, Any]) -> None:
        """Forgotten."""

    def conversation_ended(self, reason: str) -> None:
        """Forgotten."""
