"""Items of a conversation, in the shapes of OpenAI's Realtime API."""

from dataclasses import dataclass
from typing import Any, Literal

ItemType = Literal["message", "function_call", "function_call_output"]
ItemRole = Literal["system", "user", "assistant"]
ItemStatus = Literal["in_progress", "completed", "incomplete"]
PartType = Literal["input_text", "input_audio", "output_text", "output_audio"]


@dataclass(frozen=True, slots=True)
class Part:
    """One content part of a message."""

    type: PartType
    text: str | None = None
    """The text, or for audio its transcript; None while a transcript is not known."""

    def wire(self) -> dict[str, Any]:
        """As the Realtime API shows it; sound itself is never repeated."""
        key = "transcript" if self.type in ("input_audio", "output_audio") else "text"
        return {"type": self.type, key: self.text}


@dataclass(frozen=True, slots=True)
class Item:
    """A message, a function call or a function's output. Changed by replacing it in the history."""

    id: str
    type: ItemType
    status: ItemStatus = "completed"
    role: ItemRole | None = None
    content: tuple[Part, ...] = ()
    call_id: str = ""
    name: str = ""
    arguments: str = ""
    output: str = ""
    interrupted: bool = False
    """An assistant's message that the user cut off; its text is what was heard."""

    @property
    def text(self) -> str:
        """All text of a message, transcripts included."""
        return "".join(part.text or "" for part in self.content)

    def wire(self) -> dict[str, Any]:
        """As the Realtime API shows it."""
        head: dict[str, Any] = {"id": self.id, "object": "realtime.item", "type": self.type, "status": self.status}
        if self.type == "message":
            return head | {"role": self.role, "content": [part.wire() for part in self.content]}
        if self.type == "function_call":
            return head | {"call_id": self.call_id, "name": self.name, "arguments": self.arguments}
        return head | {"call_id": self.call_id, "output": self.output}
