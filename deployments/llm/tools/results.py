"""What the model reads of a tool that was called."""

import json
from typing import Final

_MOST_CHARS: Final = 20_000
"""Of a result: the model's window is not for filling by one tool."""


def error(message: str) -> str:
    """Why there is no result."""
    return json.dumps({"error": message}, ensure_ascii=False)


def bounded(result: str) -> str:
    """As much of it as the model is given."""
    return result if len(result) <= _MOST_CHARS else result[:_MOST_CHARS] + "… (cut off)"
