"""Stops calling a server that is dead, and finds out when it is back.

closed     requests go through; failures in a row are counted
open       none goes through for `rest_s`
half open  one goes through, to try; its outcome closes or opens the breaker
"""

from enum import StrEnum, auto

from deployments.llm.upstream.settings import BreakerConfig


class State(StrEnum):
    CLOSED = auto()
    OPEN = auto()
    HALF_OPEN = auto()


class Event(StrEnum):
    """What happened to the breaker."""

    SUCCEEDED = auto()
    FAILED = auto()
    """And the row of failures is shorter than the limit."""
    FAILED_TOO_OFTEN = auto()
    RESTED = auto()
    """A request came, and the rest is over."""
    GIVEN_UP = auto()
    """A request ended with nothing learnt: its caller went, or the server was only busy."""


TABLE: dict[tuple[State, Event], State] = {
    (State.CLOSED, Event.SUCCEEDED): State.CLOSED,
    (State.CLOSED, Event.FAILED): State.CLOSED,
    (State.CLOSED, Event.FAILED_TOO_OFTEN): State.OPEN,
    (State.CLOSED, Event.GIVEN_UP): State.CLOSED,
    # Requests that were under way when it opened.
    (State.OPEN, Event.SUCCEEDED): State.CLOSED,
    (State.OPEN, Event.FAILED): State.OPEN,
    (State.OPEN, Event.FAILED_TOO_OFTEN): State.OPEN,
    (State.OPEN, Event.GIVEN_UP): State.OPEN,
    (State.OPEN, Event.RESTED): State.HALF_OPEN,
    (State.HALF_OPEN, Event.SUCCEEDED): State.CLOSED,
    (State.HALF_OPEN, Event.FAILED): State.OPEN,
    (State.HALF_OPEN, Event.FAILED_TOO_OFTEN): State.OPEN,
    (State.HALF_OPEN, Event.GIVEN_UP): State.OPEN,
}


class Breaker:
    """Of one server. Each request that `admit` let through ends in one of `succeeded`, `failed`, `given_up`."""

    def __init__(self, config: BreakerConfig) -> None:
        self.state = State.CLOSED
        self._config = config
        self._failures = 0
        self._opened_s = 0.0

    def admit(self, now_s: float) -> bool:
        """Whether a request may be sent now."""
        if self.state is State.OPEN and now_s >= self._opened_s + self._config.rest_s:
            self._step(Event.RESTED)
            return True
        return self.state is State.CLOSED

    def rests_for_s(self, now_s: float) -> float:
        """How long until the next request may try; 0 where it may now, or one is trying."""
        return max(0.0, self._opened_s + self._config.rest_s - now_s) if self.state is State.OPEN else 0.0

    def succeeded(self) -> None:
        """The server answered."""
        self._failures = 0
        self._step(Event.SUCCEEDED)

    def failed(self, now_s: float) -> None:
        """It did not, or not with an answer."""
        self._failures += 1
        was = self.state
        self._step(Event.FAILED_TOO_OFTEN if self._failures >= self._config.failures else Event.FAILED)
        if self.state is State.OPEN and was is not State.OPEN:
            self._opened_s = now_s

    def given_up(self) -> None:
        """Nothing was learnt; a try that ended so is made again by the next request."""
        self._step(Event.GIVEN_UP)

    def _step(self, event: Event) -> None:
        self.state = TABLE[self.state, event]
