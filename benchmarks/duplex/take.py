"""What a client noted of one trial."""

from dataclasses import dataclass, field
from typing import Any

from benchmarks.duplex.mixing import Heard
from benchmarks.duplex.playback import Block
from deployments.media.audio import VOICE_RATE_HZ


@dataclass(frozen=True, slots=True)
class Said:
    """A sound of the user's side, on the loop's clock."""

    start_s: float
    heard: Heard

    @property
    def first_s(self) -> float:
        """Its first sample that can be heard."""
        return self.start_s + self.heard.first / VOICE_RATE_HZ

    @property
    def last_s(self) -> float:
        """Its last one."""
        return self.start_s + self.heard.last / VOICE_RATE_HZ


@dataclass(slots=True)
class Take:
    """Seconds of the loop's clock."""

    said: list[Said] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    events: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    """Everything that arrived but sound."""
    kept: dict[str, str] = field(default_factory=dict)
    """Item → its text as the server remembers it at the end."""
    answered_calls: list[str] = field(default_factory=list)
    """The calls whose results were sent."""
    wake_late_ms: float = 0.0
    """How late this side itself sent a frame at worst."""
    ended_s: float = 0.0

    def of(self, kind: str) -> list[tuple[float, dict[str, Any]]]:
        """The events of a type."""
        return [(at_s, event) for at_s, event in self.events if event["type"] == kind]

    def responses(self) -> list[str]:
        """Ids of those in the conversation that were heard, in order."""
        return list(dict.fromkeys(block.response_id for block in self.blocks))

    def blocks_of(self, response_id: str) -> list[Block]:
        """A response's sound."""
        return [block for block in self.blocks if block.response_id == response_id]
