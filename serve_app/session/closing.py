"""Why a session ends, in the terms of a WebSocket's close frame (RFC 6455 §7.4)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Closing:
    """A close code and a reason in words (at most 123 bytes on the wire)."""

    code: int
    reason: str


CLIENT_LEFT = Closing(1000, "the client left")
CONNECTION_LOST = Closing(1006, "the connection was lost")
TAKEN_OVER = Closing(4001, "the conversation goes on over another connection")
IDLE = Closing(1000, "idle for too long: connect again when you want to talk")
SHUTTING_DOWN = Closing(1001, "the server is shutting down")
SLOW_CLIENT = Closing(1008, "the client reads too slowly")
FAILED = Closing(1011, "internal error")
SERVER_FULL = Closing(1013, "the server is full: try again later")

FOR_GOOD = frozenset({CLIENT_LEFT, IDLE})
"""After these there is nothing to come back to."""
