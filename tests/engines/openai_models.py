"""A server for the `openai` engine to ask: on loopback, with the embedded model behind it."""

import atexit
from pathlib import Path
from typing import Any

from tests.upstreams import Background, StandIn, thinking_by_rules


def options(folder: Path) -> dict[str, Any]:
    """Its address; the server lives as long as the tests."""
    background = Background(StandIn([thinking_by_rules]))
    address = background.start()
    atexit.register(background.stop)
    return {"base_url": address, "model": "rules"}
