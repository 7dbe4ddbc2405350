"""The weight-free language model: skills asked in order, the first that has something to say answers.

Deterministic: a reply follows from the request and the time alone.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from deployments.llm.rules.instructions import in_style
from deployments.llm.rules.skills import (
    arithmetic,
    clock,
    commands,
    continuing,
    counting,
    identity,
    languages,
    memory,
    reflection,
    repeating,
    results,
    smalltalk,
    spelling,
    story,
    tools,
)
from deployments.llm.rules.turn import Reply, Turn

Skill = Callable[[Turn], Reply | None]


def reply(turn: Turn) -> Reply:
    """What to answer."""
    for skill in SKILLS:
        if answer := skill(turn):
            return (
                replace(answer, text=in_style(turn, answer.text)) if answer.text and skill not in _VERBATIM else answer
            )
    raise AssertionError("reflection answers everything")


SKILLS: Final[tuple[Skill, ...]] = (
    results.answer,
    tools.forced,
    commands.answer,
    partial(continuing.answer, answer_before=reply),
    repeating.answer,
    spelling.answer,
    counting.answer,
    story.answer,
    tools.answer,
    languages.answer,
    arithmetic.answer,
    clock.answer,
    memory.answer,
    identity.answer,
    smalltalk.answer,
    reflection.answer,
)
"""Facts and orders first, then skills with a clear form, then talk, which takes anything."""

_VERBATIM: Final = (commands.answer, repeating.answer)
