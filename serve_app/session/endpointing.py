"""When a turn of the user is over: the silence it takes, from fixed time or from what the words look like."""

from typing import Protocol

from configs.vad import SemanticWaits


class EndpointPolicy(Protocol):
    """How long the user must be silent."""

    def required_silence_ms(self, interim_text: str, language: str | None) -> float:
        """Silence that ends the turn, given the words so far."""
        ...


class SilenceEndpointing:
    def __init__(self, silence_duration_ms: float) -> None:
        self._s = silence_duration_ms

    def required_silence_ms(self, interim_text: str, language: str | None) -> float:
        return self._s


class SemanticEndpointing:
    def __init__(self, waits: SemanticWaits) -> None:
        self._waits = waits

    def required_silence_ms(self, interim_text: str, language: str | None) -> float:
        return self._waits.open_ms
