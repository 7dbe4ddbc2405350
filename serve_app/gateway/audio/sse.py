"""Server-sent events, as OpenAI's streaming answers have them."""

from typing import Any, Final

import orjson

from deployments.runtime.errors import ParleyError

MEDIA_TYPE: Final = "text/event-stream"


def event(data: dict[str, Any]) -> bytes:
    """One event; its `type` is in the data."""
    return b"data: " + orjson.dumps(data) + b"\n\n"


def comment(text: str) -> bytes:
    """A line that clients skip: progress for people, and a sign of life for what is in between."""
    return f": {text}\n\n".encode()


def error_event(error: ParleyError) -> bytes:
    """What went wrong after the answer had begun, in the shape of every error; OpenAI's client raises it."""
    said = {"message": error.message, "type": error.realtime_type, "code": error.code, "param": error.param}
    return event({"type": "error", "error": said})
