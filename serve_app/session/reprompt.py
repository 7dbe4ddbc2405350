"""What the assistant says when the user keeps silent after a reply ("Are you still there?").

It is a reply like others, without a model: an item of the conversation, which keeps what was heard of it.
"""

from collections.abc import Sequence

from configs.session import RepromptConfig
from serve_app.session.items import Item
from serve_app.session.lexicon import lexicon


class Reprompt:
    """Counts how often in a row it has spoken into one silence."""

    def __init__(self, config: RepromptConfig) -> None:
        self._config = config
        self._row = 0
        self._answers: str | None = None
        """What the user had said last when the row began."""

    def is_due(self, silent_ms: float) -> bool:
        """Whether so much silence since a reply is enough."""
        return self._config.after_s is not None and silent_ms >= 1000 * self._config.after_s

    def words(self, items: Sequence[Item], language: str | None) -> str:
        """What to say now, given the conversation; empty for nothing: a function works, or the row is complete."""
        said = [item for item in items if item.type == "message" and item.text.strip()]
        calls = {item.call_id for item in items if item.type == "function_call"}
        answered = {item.call_id for item in items if item.type == "function_call_output"}
        if not said or said[-1].role != "assistant" or calls - answered:
            return ""
        answers = next((item.id for item in reversed(said) if item.role == "user"), None)
        if answers != self._answers:
            self._answers, self._row = answers, 0
        if self._row >= self._config.at_most:
            return ""
        known = lexicon(language)
        text = self._config.text or (known.still_there if known else "")
        self._row += bool(text)
        return text
