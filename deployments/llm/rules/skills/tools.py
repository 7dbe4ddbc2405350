"""Calls the declared tools that the user's words ask for, and asks for an argument that is missing."""

import json
import re
from typing import Any, Final

from deployments.llm.contract import Tool, ToolCall
from deployments.llm.rules.skills import arithmetic
from deployments.llm.rules.tools.arguments import Filled, fill, of_text, properties_of, stand_in
from deployments.llm.rules.tools.choosing import MOST_CALLS, best, is_calculator, name_words, wanted
from deployments.llm.rules.tools.strings import Source, finder, free_text
from deployments.llm.rules.turn import Call, Reply, Turn
from deployments.llm.rules.words import tidy

_FOLLOW_UP: Final = re.compile(
    r"(?:(?:and|or|what about|how about|also|now|the same|then)\b[, ]*)+(?P<rest>.+)", re.IGNORECASE
)
_PREPOSITION: Final = re.compile(r"(?:in|for|at|to|from|on|with|of)\b", re.IGNORECASE)
_SHORT_WORDS: Final = 12
"""Of more words nobody makes a follow-up or an answer to "which city?"."""


def answer(turn: Turn) -> Reply | None:
    """Under `auto`: only where the words ask for a tool, and not again when it has answered."""
    tools = turn.request.tools
    if turn.request.tool_choice != "auto" or turn.asked_at < 0 or _answered(turn):
        return None
    if arithmetic.answer(turn):
        tools = tuple(tool for tool in tools if is_calculator(tool))
    return (_answer_to_question(turn, tools) or _asked(turn, tools) or _follow_up(turn, tools)) if tools else None


def forced(turn: Turn) -> Reply | None:
    """Under `required` and a tool's name: always, with the best guess at the arguments."""
    choice = turn.request.tool_choice
    tools = [tool for tool in turn.request.tools if choice in ("required", tool.name)]
    if choice in ("auto", "none") or not tools or _answered(turn):
        return None
    asked = [(want.tool, want.text) for want in wanted(tools, turn.said)] or [(best(tools, turn.text), turn.said)]
    calls = [call for tool, text in asked for call in _calls(tool, _fill(turn, tool, text), turn.said)]
    return Reply(calls=tuple(calls[:MOST_CALLS]))


def _answered(turn: Turn) -> bool:
    """Whether tools have already answered since the user spoke."""
    return any(message.role == "tool" for message in turn.messages[turn.asked_at + 1 :])


def _asked(turn: Turn, tools: tuple[Tool, ...]) -> Reply | None:
    calls: list[Call] = []
    for want in wanted(tools, turn.said):
        filled = _fill(turn, want.tool, want.text)
        if filled.missing:
            return Reply(question(want.tool, filled.missing[0]))
        calls.extend(_calls(want.tool, filled, turn.said))
    return Reply(calls=tuple(calls[:MOST_CALLS])) if calls else None


def _answer_to_question(turn: Turn, tools: tuple[Tool, ...]) -> Reply | None:
    """ "Paris", after we asked for the city; perhaps after other questions before that one."""
    for tool in tools if turn.last_reply and len(turn.words) <= _SHORT_WORDS else ():
        names = {question(tool, name): name for name in properties_of(tool.parameters)}
        answers: dict[str, str] = {}
        at = turn.asked_at
        while at >= 2 and (name := names.get(turn.messages[at - 1].text.strip())):
            answers.setdefault(name, tidy(turn.messages[at].text))
            at -= 2
        request = tidy(turn.messages[at].text)
        if not answers or tool not in [want.tool for want in wanted(tools, request)]:
            continue
        filled = _fill(turn, tool, request)
        arguments = dict(filled.arguments)
        for name, said in answers.items():
            arguments[name] = of_text(name, properties_of(tool.parameters)[name], _source(turn, tool, said))
        missing = [name for name in filled.missing if name not in answers]
        if missing:
            return Reply(question(tool, missing[0]))
        ordered = {name: arguments[name] for name in properties_of(tool.parameters) if name in arguments}
        return Reply(calls=(Call(tool.name, ordered),))
    return None


def _follow_up(turn: Turn, tools: tuple[Tool, ...]) -> Reply | None:
    """ "and in London?" after a call: the same tool with what is new."""
    found = _FOLLOW_UP.fullmatch(turn.said.strip(" .?!"))
    last = _last_call(turn)
    tool = next((tool for tool in tools if last and tool.name == last.name), None)
    if not found or not last or not tool or len(turn.words) > _SHORT_WORDS:
        return None
    rest = found["rest"]
    new = _fill(turn, tool, rest if _PREPOSITION.match(rest) else f"in {rest}")
    try:
        old = json.loads(last.arguments)
    except ValueError:
        old = {}
    if not new.arguments or not isinstance(old, dict):
        return None
    return Reply(calls=_calls(tool, Filled({**old, **new.arguments}, (), new.several), turn.said))


def _last_call(turn: Turn) -> ToolCall | None:
    calls = [call for message in turn.messages[: turn.asked_at] for call in message.tool_calls]
    return calls[-1] if calls else None


def _source(turn: Turn, tool: Tool, text: str) -> Source:
    return Source(text, turn.now, {key: fact.value for key, fact in turn.known.items()}, tool)


def _fill(turn: Turn, tool: Tool, text: str) -> Filled:
    return fill(tool, _source(turn, tool, text))


def _calls(tool: Tool, filled: Filled, said: str) -> tuple[Call, ...]:
    """One call, or one for each value of the argument that was named more than once."""
    properties = properties_of(tool.parameters)
    guessed: dict[str, Any] = {name: stand_in(properties[name], said) for name in filled.missing}
    arguments = {**filled.arguments, **guessed}
    if not filled.several:
        return (Call(tool.name, arguments),)
    name, values = filled.several
    return tuple(Call(tool.name, {**arguments, name: value}) for value in values)


def question(tool: Tool, name: str) -> str:
    """Asks for an argument. Recognised again when the answer comes, so it follows from the names alone."""
    what = " ".join(name_words(name)) or name
    schema = properties_of(tool.parameters).get(name, {})
    if schema.get("type") in ("integer", "number"):
        return f"How many {what}?" if what.endswith("s") else f"What is the {what}?"
    return f"Which {what}, please?" if finder(name, schema) is not free_text else f"What shall the {what} be?"
