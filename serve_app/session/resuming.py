"""What a conversation is picked up from after its connection broke.

The client was given a token with `session.created`; who returns it within `within_s` goes on where it stopped. A token
opens once: the session that goes on gives out another.
"""

import hashlib
import re
import secrets
from dataclasses import asdict, dataclass, replace
from typing import Any

from configs.session import ResumeConfig
from serve_app.session.closing import FOR_GOOD, Closing
from serve_app.session.items import Item, ItemStatus, Part
from serve_app.session.recording import Recorder
from serve_app.session.settings import SessionSettings

_TOKEN_BYTES = 16
"""128 bits: not to be guessed, since a token alone opens a conversation."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{22}")


@dataclass(frozen=True, slots=True)
class Rest:
    """What the assistant still owed when the connection broke."""

    item_id: str = ""
    """The spoken reply that was cut off, generated to its end; empty: there is none."""
    text: str = ""
    """All of it, heard or not."""
    heard_chars: int = 0
    """How much of the text was heard, as the server reckons."""
    words: tuple[tuple[int, int], ...] = ()
    """When so much of the text is heard, (ms, characters), as far as its sound was made: for a client that knows."""
    unanswered: bool = False
    """The user's turn, or what the model had only begun to say to it, still wants an answer."""
    language: str | None = None
    """What the user spoke last."""

    def heard_at(self, heard_ms: int) -> "Rest":
        """With the client's word on how much of the reply it has played, which outranks the server's."""
        chars = max((chars for ms, chars in self.words if ms <= heard_ms), default=0)
        return replace(self, heard_chars=chars)

    @property
    def heard_text(self) -> str:
        """The words that were heard."""
        return self.text[: self.heard_chars].rstrip()

    @property
    def unheard_text(self) -> str:
        """The reply from the first word that was not heard."""
        return self.text[self.heard_chars :].strip()


@dataclass(frozen=True, slots=True)
class Carried:
    """A conversation as it was left."""

    session_id: str
    conversation_id: str
    settings: SessionSettings
    items: tuple[Item, ...]
    rest: Rest = Rest()

    def heard_at(self, heard_ms: int) -> "Carried":
        """As the client says how much of the reply it has played."""
        return replace(self, rest=self.rest.heard_at(heard_ms)) if self.rest.item_id else self

    def restored_items(self) -> tuple[Item, ...]:
        """The history to begin with. A reply that goes on now counts as finished as far as it was heard."""
        rest = self.rest
        heard = (Part("output_audio", rest.heard_text),)
        interrupted = not rest.unheard_text
        return tuple(
            replace(item, content=heard, interrupted=item.interrupted and interrupted)
            if item.id == rest.item_id
            else item
            for item in self.items
        )


class Resume:
    """A session's offer to its client to come back, and the record of it."""

    def __init__(self, config: ResumeConfig, recorder: Recorder) -> None:
        self._within_s = config.within_s
        self._recorder = recorder
        self._token = secrets.token_urlsafe(_TOKEN_BYTES)

    @property
    def offer(self) -> dict[str, Any]:
        """What the client is told; nothing where it cannot come back."""
        return {"resume_token": self._token, "resume_within_s": self._within_s} if self._within_s else {}

    def record(self, settings: SessionSettings) -> None:
        """The conversation can be picked up in these settings."""
        digest = digest_of(self._token)
        if self._within_s and digest is not None:
            self._recorder.resumable(token_digest=digest, settings=settings.model_dump(mode="json"))

    def leave(self, closing: Closing, rest: Rest) -> None:
        """The session ends: say what it still owed, if its client may come back."""
        if self._within_s and closing not in FOR_GOOD:
            self._recorder.left_open(within_s=self._within_s, rest=asdict(rest))


def digest_of(token: str) -> str | None:
    """What is kept of a token: whoever reads the store cannot resume with it. None for what is no token."""
    return hashlib.sha256(token.encode()).hexdigest() if _TOKEN.fullmatch(token) else None


def item_of(known: dict[str, Any]) -> Item:
    """An item from the record's shape; one that was being made when its process died is as far as it was heard."""
    content = tuple(Part(part["type"], part.get("transcript", part.get("text"))) for part in known.get("content", ()))
    spoken = known["type"] == "message" and known.get("role") == "assistant"
    if spoken and known["status"] == "in_progress":
        content = tuple(Part(part.type, known.get("heard_text", part.text)) for part in content)
    status: ItemStatus = "completed" if known["status"] == "completed" else "incomplete"
    return Item(
        known["id"],
        known["type"],
        status,
        known.get("role"),
        content,
        known.get("call_id", ""),
        known.get("name", ""),
        known.get("arguments", ""),
        known.get("output", ""),
        interrupted=spoken and status == "incomplete",
    )
