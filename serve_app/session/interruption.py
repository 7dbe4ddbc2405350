"""Whether the user is interrupting: decided while playback is held."""

import enum
from dataclasses import dataclass
from typing import Protocol


class Decision(enum.Enum):
    """What to do with held playback."""

    INTERRUPT = "the user wants the turn"
    RESUME = "it was nothing"
    WAIT = "too early to say"


@dataclass(frozen=True, slots=True)
class Overlap:
    """What is known about the user's sound since playback was held."""

    speech_ms: float
    """Since its onset."""
    words: str
    """Interim words so far."""
    language: str | None


class InterruptionPolicy(Protocol):
    """Asked with every frame while playback is held, the first time at once."""

    def decide(self, overlap: Overlap) -> Decision:
        """Pure: the same overlap gives the same decision."""
        ...


class InterruptAtOnset:
    """Any speech takes the turn."""

    def decide(self, overlap: Overlap) -> Decision:
        """INTERRUPT, always."""
        return Decision.INTERRUPT
