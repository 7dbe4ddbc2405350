"""Keeps Python's garbage collector from stopping conversations, and from slowing the start."""

import gc
from typing import Final

_USUAL: Final = gc.get_threshold()
_LOADING: Final = (50_000, 20, 100)


def load_quickly() -> None:
    """Call it before the imports: they leave little to collect, and looking for it takes a fifth of their time (0.5 s
    of 2.9 s: Serve's replica and the Gateway).
    """
    gc.set_threshold(*_LOADING)


def keep_what_is_loaded() -> None:
    """Call it once everything is loaded: what exists by now lives as long as the process, so it is not looked at again.

    Without this a full collection walks all modules of Ray and of the engines and holds the event loop for 140 ms
    (Gateway, 172,794 objects); with it, for what conversations leave behind.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_USUAL)
