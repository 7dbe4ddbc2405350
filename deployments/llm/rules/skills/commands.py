"""Says what the instructions order to be said, word for word."""

from deployments.llm.rules.instructions import words_to_say
from deployments.llm.rules.turn import Reply, Turn


def answer(turn: Turn) -> Reply | None:
    words = words_to_say(turn)
    return Reply(words) if words else None
