"""What a session measures of itself, as it sees the one who counts."""

from typing import Protocol

from serve_app.session.events import ResponseStatus


class SessionMetrics(Protocol):
    """Called in the hot path: returns at once and never raises."""

    def first_output(self, from_decision_ms: float, from_speech_ms: float | None) -> None:
        """The first of a reply went out: since the endpoint decision (or request), and since the last speech sample."""
        ...

    def response_ended(self, status: ResponseStatus, spoken_ms: int, worst_gap_ms: float) -> None:
        """A response ended; the gap is the longest time for which the client had nothing to play."""
        ...

    def interrupted(self) -> None:
        """The user took the turn from the assistant."""
        ...


class NullMetrics:
    """Counts nothing."""

    def first_output(self, from_decision_ms: float, from_speech_ms: float | None) -> None:
        """Forgotten."""

    def response_ended(self, status: ResponseStatus, spoken_ms: int, worst_gap_ms: float) -> None:
        """Forgotten."""

    def interrupted(self) -> None:
        """Forgotten."""
