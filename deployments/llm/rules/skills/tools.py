"""Calls the declared tools that the user's words ask for, and asks for an argument that is missing."""

import json
import re
from typing import Any, Final

from deployments.llm.contract import Tool, ToolCall
from deployments.llm.rules.memory import facts
from deployments.llm.rules.tools.arguments import Filled, Source, fill, properties_of, stand_in
from deployments.llm.rules.tools.choosing import MOST_CALLS, best, name_words, wanted
from deployments.llm.rules.turn import Call, Reply, Turn

_FOLLOW_UP: Final = re.compile(
    r"(?:and|or|what about|how about|and what about|and how about|also|now|same)\b (?P<rest>.+)"
)


def answer(turn: Turn) -> Reply | None:
    """Under `auto`: only where the words ask for a tool."""
    tools = turn.request.tools
    if not tools or turn.request.tool_choice != "auto" or turn.asked_at < 0:
        return None
    return _answered_question(turn) or _follow_up(turn) or _asked(turn)


def forced(turn: Turn) -> Reply | None:
    """Under `required` and a tool's name: always, with the best guess at the arguments."""
    choice, tools = turn.request.tool_choice, turn.request.tools
    if choice in ("auto", "none") or not tools or _answered(turn):
        return None
    named = [tool for tool in tools if tool.name == choice]
    found = [want for want in wanted(named or tools, turn.said)] if turn.said else []
    if not found:
        tool = best(named or tools, turn.text)
        return Reply(calls=_calls(tool, _fill(turn, tool, turn.said), turn))
    return Reply(calls=tuple(c for w in found for c in _calls(w.tool, _fill(turn, w.tool, w.text), turn))[:MOST_CALLS])


def _answered(turn: Turn) -> bool:
    """Whether the tools have already answered since the user spoke."""
    return any(message.role == "tool" for message in turn.messages[turn.asked_at + 1 :])


def _asked(turn: Turn) -> Reply | None:
    calls: list[Call] = []
    for want in wanted(turn.request.tools, turn.said):
        filled = _fill(turn, want.tool, want.text)
        if filled.missing:
            return Reply(question(want.tool, filled.missing[0]))
        calls.extend(_calls(want.tool, filled, turn))
    return Reply(calls=tuple(calls[:MOST_CALLS])) if calls else None


def _answered_question(turn: Turn) -> Reply | None:
    """ "Paris", after we asked for the city."""
    if not turn.last_reply or len(turn.words) > 12:
        return None
    for tool in turn.request.tools:
        for name, schema in properties_of(tool.parameters).items():
            if turn.last_reply.text.strip() != question(tool, name):
                continue
            before = turn.earlier[-1] if turn.earlier else ""
            said = turn.said.strip(" .!?")
            value = fill(Tool(tool.name, "", {"properties": {name: schema}}), _source(turn, tool, said)).arguments.get(
                name
            )
            if value is None or schema.get("type") == "string":
                value = value or re.sub(r"(?i)^(?:in|for|to|at|from|it is|the) ", "", said)
                value = (
                    value.title()
                    if isinstance(value, str) and value == value.lower() and len(value.split()) < 3
                    else value
                )
            known = _fill(turn, tool, f"{before} {said}")
            arguments = {**known.arguments, name: value}
            missing = [other for other in known.missing if other != name]
            return Reply(question(tool, missing[0])) if missing else Reply(calls=(Call(tool.name, arguments),))
    return None


def _follow_up(turn: Turn) -> Reply | None:
    """ "and in London?" after a call: the same tool with what is new."""
    found = _FOLLOW_UP.fullmatch(turn.text)
    last = _last_call(turn)
    tool = next((tool for tool in turn.request.tools if last and tool.name == last.name), None)
    if not found or not last or not tool or wanted(turn.request.tools, turn.said) or len(turn.words) > 10:
        return None
    lead = "" if re.match(r"(?:in|for|at|to|from|on|with|of)\b", found["rest"]) else "in "
    new = _fill(turn, tool, lead + turn.said[-len(found["rest"]) - turn.said.endswith(("?", ".", "!")) :].strip(" .?!"))
    try:
        old = json.loads(last.arguments)
    except ValueError:
        old = {}
    if not new.arguments or not isinstance(old, dict):
        return None
    several = Filled({**old, **new.arguments}, (), new.several)
    return Reply(calls=_calls(tool, several, turn))


def _last_call(turn: Turn) -> ToolCall | None:
    calls = [call for message in turn.messages[: turn.asked_at] for call in message.tool_calls]
    return calls[-1] if calls else None


def _source(turn: Turn, tool: Tool, text: str) -> Source:
    known = {fact.key: fact.value for fact in facts(turn.earlier)}
    return Source(text, turn.now, known, tool)


def _fill(turn: Turn, tool: Tool, text: str) -> Filled:
    return fill(tool, _source(turn, tool, text))


def _calls(tool: Tool, filled: Filled, turn: Turn) -> tuple[Call, ...]:
    """One call, or one for each value of the argument that was named more than once."""
    properties = properties_of(tool.parameters)
    guessed: dict[str, Any] = {name: stand_in(properties[name], turn.said) for name in filled.missing}
    arguments = {**filled.arguments, **guessed}
    if not filled.several:
        return (Call(tool.name, arguments),)
    name, values = filled.several
    return tuple(Call(tool.name, {**arguments, name: value}) for value in values)


def question(tool: Tool, name: str) -> str:
    """Asks for an argument. Recognised again when the answer comes, so it depends on nothing else."""
    return (
        f"For {' '.join(name_words(tool.name))}, I need to know the {' '.join(name_words(name)) or name}. What is it?"
    )
