"""When a turn of the user is over: the silence it takes, fixed or by what the words so far look like.

last speech sample                                            time ──▶
      │◀─ finalize_after_ms ─▶│ recognition is made final on the guess that nothing more comes
      │◀──────────── required silence ────────────▶│ the turn is over
"""

from typing import Protocol

from configs.vad import SemanticWaits
from serve_app.session.cues import Completeness, completeness


class EndpointPolicy(Protocol):
    """How long the user must be silent for the turn to be over."""

    def required_silence_ms(self, interim_text: str, language: str | None) -> float:
        """Silence since the last speech sample that ends the turn, given the words so far.

        To be asked again with every frame: the words may still change. `language` is an ISO 639-1 code or a tag that
        begins with one.
        """
        ...


class SilenceEndpointing:
    """`server_vad`: a fixed silence."""

    def __init__(self, silence_duration_ms: float) -> None:
        self._silence_duration_ms = silence_duration_ms

    def required_silence_ms(self, interim_text: str, language: str | None) -> float:
        return self._silence_duration_ms


class SemanticEndpointing:
    """`semantic_vad`: early after a finished sentence, late where more must follow."""

    def __init__(self, waits: SemanticWaits) -> None:
        self._wait_ms = {
            Completeness.FINISHED: waits.finished_ms,
            Completeness.OPEN: waits.open_ms,
            Completeness.UNFINISHED: waits.unfinished_ms,
        }

    def required_silence_ms(self, interim_text: str, language: str | None) -> float:
        return self._wait_ms[completeness(interim_text, language)]
