"""Logs: one JSON object per line with the session's and the turn's id, in the files of Serve's `logging_config`.

What may be logged: ids, names, counts, durations, errors. What people say or are told may not, at any level.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from deployments.runtime.errors import ParleyError

_OURS: Final = ("configs", "deployments", "serve_app")
_SERVE: Final = "ray.serve"

_context: ContextVar[dict[str, str] | None] = ContextVar("parley_log_context", default=None)


@contextmanager
def log_context(**ids: str) -> Iterator[None]:
    """Put ids (`session_id`, `turn_id`) on every record logged inside, in this task and those it starts.

    Ids given further out stay; an empty value takes one off.
    """
    outside = _context.get()
    _context.set({name: value for name, value in {**(outside or {}), **ids}.items() if value})
    try:
        yield
    finally:
        # Not by a token: Serve closes a cancelled generator in another context, which refuses one.
        _context.set(outside)


def configure_logging() -> None:
    """Call once in every replica: our loggers write where Serve's do, and only warnings reach the terminal.

    The ids become attributes of the records, which Serve's JSON formatter writes out; its access lines get them too.
    Serve's traceback of an error that we raised on purpose stays in the files: its caller is told.
    """
    factory = logging.getLogRecordFactory()
    if not isinstance(factory, _RecordFactory):
        logging.setLogRecordFactory(_RecordFactory(factory))
    serve = logging.getLogger(_SERVE)
    for name in _OURS:
        ours = logging.getLogger(name)
        # Below Serve's logger they share its level and its handlers, also those of a later `logging_config`.
        ours.parent = serve
        ours.setLevel(logging.NOTSET)
    for handler in serve.handlers:
        if type(handler) is logging.StreamHandler:
            handler.setLevel(logging.WARNING)
            handler.addFilter(_is_no_error_of_ours)


def _is_no_error_of_ours(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], ParleyError))


def warnings_to_terminal() -> None:
    """For a process of Serve that is told to log to files alone: warnings and errors go to the terminal, too."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    handler.addFilter(lambda record: getattr(record, "log_to_stderr", None) is not False)
    logging.getLogger(_SERVE).addHandler(handler)


def announce(line: str) -> None:
    """Print a line for the person at the terminal; Ray carries it there from the replica."""
    out = sys.__stdout__
    if out is not None:
        out.write(f"{line}\n")
        out.flush()


class _RecordFactory:
    """Records with the ids of their context."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record: logging.LogRecord = self._inner(*args, **kwargs)
        record.__dict__.update(_context.get() or {})
        return record
