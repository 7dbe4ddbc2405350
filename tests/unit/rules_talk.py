"""Talks to the rules in a few lines: what the user says, what tools answer, what was cut off."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from deployments.llm.contract import LlmRequest, Message, Tool, ToolCall
from deployments.llm.rules import reply
from deployments.llm.rules.turn import Call, Turn

NOW = datetime(2026, 8, 21, 15, 5, tzinfo=UTC)
"""A Friday."""


@dataclass
class Talk:
    """A conversation that grows with each line."""

    tools: Sequence[Tool] = ()
    tool_choice: str = "auto"
    instructions: str = ""
    language: str | None = None
    now: datetime = NOW
    messages: list[Message] = field(default_factory=list)

    def say(self, text: str) -> str:
        """What is answered in words."""
        return self._turn(text)[0]

    def call(self, text: str) -> list[tuple[str, dict[str, object]]]:
        """What tools are called, with their arguments."""
        return [(call.name, call.arguments) for call in self._turn(text)[1]]

    def result(self, *texts: str) -> str:
        """The tools called last give these results; what is said then."""
        calls = self.messages[-1].tool_calls
        for call, text in zip(calls, texts, strict=True):
            self.messages.append(Message("tool", text, tool_call_id=call.call_id))
        return self._reply()[0]

    def heard(self, text: str) -> None:
        """Of the last reply only this was heard before the user spoke."""
        self.messages[-1] = Message("assistant", text, interrupted=True)

    def _turn(self, text: str) -> tuple[str, tuple[Call, ...]]:
        self.messages.append(Message("user", text))
        return self._reply()

    def _reply(self) -> tuple[str, tuple[Call, ...]]:
        system = (Message("system", self.instructions),) if self.instructions else ()
        request = LlmRequest((*system, *self.messages), tuple(self.tools), self.tool_choice, language=self.language)
        made = reply(Turn(request, self.now))
        calls = tuple(
            ToolCall(f"c{len(self.messages)}.{i}", call.name, json.dumps(call.arguments))
            for i, call in enumerate(made.calls)
        )
        self.messages.append(Message("assistant", made.text, calls))
        return made.text, made.calls


def say(text: str, instructions: str = "") -> str:
    """One line and its answer."""
    return Talk(instructions=instructions).say(text)
