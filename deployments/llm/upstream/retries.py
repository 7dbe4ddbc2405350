"""How long to wait before a server is asked again."""

import email.utils
from collections.abc import Callable


def backoff_s(attempt: int, first_s: float, retry_after_s: float | None, chance: Callable[[], float]) -> float:
    """Before retry `attempt` (0 is the first). The server's own wish goes before ours. `chance`: in [0, 1).

    Chance keeps many clients of one server apart, who would else all come back at the same moment.
    """
    ours_s: float = first_s * 2**attempt * (1 - 0.5 * chance())
    return ours_s if retry_after_s is None else max(ours_s, retry_after_s)


def retry_after_s(header: str | None, now_s: float) -> float | None:
    """What `Retry-After` asks for: seconds or a date (RFC 9110 §10.2.3); None where it says neither.

    `now_s`: seconds since the epoch.
    """
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(header).timestamp() - now_s
        except ValueError:
            return None
    return max(0.0, seconds) if seconds < float("inf") else None
