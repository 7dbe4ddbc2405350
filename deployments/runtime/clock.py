"""The only place that reads a clock.

Time inside a conversation is counted in samples of its streams; this clock paces playback and measures latencies.
The event loop's clock is used, so a virtual-time loop moves everything at once.
"""

import asyncio
import time


def now_s() -> float:
    """Monotonic seconds of the running event loop."""
    return asyncio.get_running_loop().time()


def wall_s() -> float:
    """Seconds since the epoch, for what people read: a record's date, a token's expiry."""
    return time.time()
