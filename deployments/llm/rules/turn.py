"""What a skill looks at and what it gives back."""

import re
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from deployments.llm.contract import LlmRequest, Message
from deployments.llm.rules.memory import Fact, facts
from deployments.llm.rules.words import plain, tidy

LOOKED_BACK: Final = 200
"""Messages of the conversation that are looked at."""
LONGEST_RAW: Final = 4000
"""Characters of what the user said last, word for word: what is to be repeated may be long."""
LONGEST_EARLIER: Final = 400
"""Characters that are looked at of what the user said before."""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool to be called, its arguments filled in."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a skill answers: text, or calls."""

    text: str = ""
    calls: tuple[Call, ...] = ()


@dataclass(frozen=True)
class Turn:
    """One request as the skills see it."""

    request: LlmRequest
    now: datetime
    """With the time zone in which people are told the time."""

    @cached_property
    def messages(self) -> tuple[Message, ...]:
        """The conversation without instructions, oldest first."""
        return tuple(m for m in self.request.messages if m.role != "system")[-LOOKED_BACK:]

    @cached_property
    def asked_at(self) -> int:
        """Index in `messages` of what the user said last; -1 where the user has said nothing."""
        return max((i for i, message in enumerate(self.messages) if message.role == "user"), default=-1)

    @cached_property
    def raw(self) -> str:
        """What the user said last, word for word, white space single."""
        return " ".join(self.messages[self.asked_at].text[:LONGEST_RAW].split()) if self.asked_at >= 0 else ""

    @cached_property
    def said(self) -> str:
        """What the user said last, tidy, letters as they were."""
        return tidy(self.raw)

    @cached_property
    def text(self) -> str:
        """The words of `said` in lower case, without punctuation and without fillers at the beginning."""
        return plain(self.said)

    @cached_property
    def words(self) -> tuple[str, ...]:
        return tuple(self.text.split())

    @cached_property
    def earlier(self) -> tuple[str, ...]:
        """What the user said before, tidy, oldest first."""
        before = self.messages[: max(self.asked_at, 0)]
        return tuple(tidy(message.text[:LONGEST_EARLIER]) for message in before if message.role == "user")

    @cached_property
    def known(self) -> dict[str, Fact]:
        """What the user has said about themselves, by key."""
        return {fact.key: fact for fact in facts((*self.earlier, self.said))}

    @cached_property
    def last_reply(self) -> Message | None:
        """What was answered last before the user spoke."""
        before = self.messages[: max(self.asked_at, 0)]
        return next((m for m in reversed(before) if m.role == "assistant" and m.text.strip()), None)

    @cached_property
    def instructions(self) -> tuple[str, ...]:
        """All instructions, the newest last, word for word."""
        return tuple(m.text[:LONGEST_RAW] for m in self.request.messages if m.role == "system")

    def at(self, index: int) -> "Turn":
        """The turn as it was when `messages[index]` was the newest."""
        system = tuple(m for m in self.request.messages if m.role == "system")
        kept = (*system, *self.messages[: index + 1])
        return Turn(LlmRequest(kept, language=self.request.language), self.now)

    def match(self, *patterns: str) -> re.Match[str] | None:
        """The first of the patterns that fits the whole of `text`."""
        return next((found for pattern in patterns if (found := re.fullmatch(pattern, self.text))), None)
