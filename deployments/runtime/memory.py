"""Keeps Python's garbage collector from stopping conversations."""

import gc


def keep_what_is_loaded() -> None:
    """Call it once everything is loaded: what exists by now lives as long as the process, so it is not looked at again.

    Without this a full collection walks all modules of Ray and of the engines and holds the event loop for 140 ms
    (Gateway, 172,794 objects); with it, for what conversations leave behind.
    """
    gc.collect()
    gc.freeze()
