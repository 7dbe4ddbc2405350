"""Which of the declared tools the user's words ask for."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from deployments.llm.contract import Tool
from deployments.llm.rules.words import plain, split, vocabulary

MOST_CALLS: Final = 8
_NAME_HIT, _SYNONYM_HIT, _WEAK_HIT = 3, 2, 1
_ENOUGH: Final = 4
_MOST_DESCRIPTION_HITS: Final = 3


_EMPTY: Final = vocabulary(
    "get set do the a an of to for in on by and or with api tool function current my make is what fetch run new user "
    "data info information this that it from at as when be use used return returns given if you i me can could would "
    "how are your please want need like all any not about name value one some tell give into has have"
)
_WEAK: Final = vocabulary("find list show check create add read lookup look up update query manage handle start stop")
_GROUPS: Final = tuple(
    vocabulary(group)
    for group in (
        "weather forecast temperature rain raining rainy sunny hot cold umbrella snow degrees wetter météo clima",
        "email mail e-mail",
        "message text sms",
        "light lamp lights lamps",
        "call phone ring dial telephone",
        "timer countdown",
        "alarm wake",
        "music song songs play playlist",
        "flight flights fly plane",
        "appointment meeting calendar schedule event",
        "calculator calculate calculation arithmetic maths math sum plus minus times divided multiplied",
        "time clock",
        "news headlines",
        "stock stocks share shares price",
        "switch turn",
        "remind reminder reminders",
        "translate translation translator",
        "remove delete cancel",
        "buy order purchase",
        "reserve book reservation booking",
        "find search lookup google",
        "restaurant restaurants eat dinner lunch",
        "heating thermostat temperature warmer cooler",
        "dice die roll",
        "joke jokes",
        "hang goodbye end",
        "stop pause quit",
        "transfer human person agent operator representative",
        "balance money funds",
    )
)
_ENDING: Final = vocabulary("end stop pause cancel delete remove close disable hang")
"""A tool that ends something is never meant by words that do not say so."""
_CALCULATORS: Final = vocabulary("calculator calculate calculation calculations arithmetic maths math expression")
_STATEMENT: Final = re.compile(
    r"(?:i|we|my|it|you|he|she|they|that|this)\b(?! (?:want|need|would|wonder|must|have to|should|am looking|am going))"
)
_BREAKS: Final = re.compile(
    r"\s*[;?!]\s*|\.\s+|\.$|\s*,\s*(?:and\s+)?(?:then\s+)?|\s+and\s+(?:then\s+|also\s+)?|\s+then\s+|\s+also\s+"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A tool and the words that ask for it."""

    tool: Tool
    text: str


def stem(word: str) -> str:
    """Near enough for matching: "minutes" and "minute", "playing" and "play"."""
    for ending in ("ing", "ed", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word.removesuffix(ending)
            break
    return word.removesuffix("e")


@lru_cache(maxsize=1024)
def name_words(name: str) -> tuple[str, ...]:
    """The words of an identifier: get_weather, getWeather, get-weather."""
    return tuple(word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+", name))


def is_calculator(tool: Tool) -> bool:
    return any(word in _CALCULATORS for word in (*name_words(tool.name), *split(tool.description)))


def best(tools: Sequence[Tool], text: str) -> Tool:
    """The tool that fits best, however badly."""
    return max(tools, key=lambda tool: _score(tool, text, tools)[0])


def wanted(tools: Sequence[Tool], said: str) -> list[Wanted]:
    """Each tool that a tidy text asks for, in order; a part that names none belongs to the one before it."""
    found: list[Wanted] = []
    lead = ""
    for part in _BREAKS.split(said, maxsplit=2 * MOST_CALLS):
        tool = _asked_for(tools, plain(part)) if part else None
        if tool and len(found) < MOST_CALLS:
            found.append(Wanted(tool, f"{lead} {part}".strip()))
            lead = ""
        elif found and part:
            found[-1] = Wanted(found[-1].tool, f"{found[-1].text} and {part}")
        elif part:
            lead = f"{lead} {part}".strip()
    if not found and (tool := _asked_for(tools, plain(said))):
        found = [Wanted(tool, said)]
    return found


def _asked_for(tools: Sequence[Tool], text: str) -> Tool | None:
    if _STATEMENT.match(text):
        return None
    scored = [(score, covered, tool) for tool in tools for score, covered in [_score(tool, text, tools)]]
    enough = [entry for entry in scored if entry[0] >= _ENOUGH or entry[1]]
    return max(enough, key=lambda entry: entry[0])[2] if enough else None


def _score(tool: Tool, text: str, tools: Sequence[Tool]) -> tuple[float, bool]:
    """How well the words fit, and whether they hold every telling word of the name."""
    words = split(text)
    stems = {stem(word) for word in words}
    groups = {i for i, group in enumerate(_GROUPS) if group.intersection(words)}
    score, missed, telling = 0.0, 0, 0
    for word in dict.fromkeys(name_words(tool.name)):
        if word in _EMPTY:
            continue
        weak = word in _WEAK
        telling += not weak
        if stem(word) in stems:
            score += _WEAK_HIT if weak else _NAME_HIT
        elif any(word in _GROUPS[i] for i in groups):
            score += _SYNONYM_HIT
        elif word in _ENDING:
            return 0.0, False
        else:
            missed += not weak
    first = next((word for word in words if word not in _EMPTY), "")
    alike = {first}.union(*(group for group in _GROUPS if first in group))
    score += any(word in alike or stem(word) == stem(first) for word in name_words(tool.name))
    score += min(len(stems & _description(tool, tools)), _MOST_DESCRIPTION_HITS)
    score += 2 * any(
        str(value).lower().replace("_", " ") in f" {text} " for value in _choices(tool.parameters) if value
    )
    return score, telling > 0 and missed == 0


def _description(tool: Tool, tools: Sequence[Tool]) -> frozenset[str]:
    """Telling words of the description that are not in the name and not in every tool's description."""
    common = frozenset.intersection(*(_telling(one.description) for one in tools)) if len(tools) > 1 else frozenset()
    return _telling(tool.description) - common - {stem(word) for word in name_words(tool.name)}


@lru_cache(maxsize=1024)
def _telling(description: str) -> frozenset[str]:
    return frozenset(stem(word) for word in split(description) if word not in _EMPTY and word not in _WEAK)


def _choices(schema: dict[str, Any]) -> list[Any]:
    """String values of the enumerations among the arguments."""
    properties = schema.get("properties")
    entries = properties.values() if isinstance(properties, dict) else ()
    enums = [entry.get("enum") for entry in entries if isinstance(entry, dict)]
    return [
        value for enum in enums if isinstance(enum, list) for value in enum if isinstance(value, str) and len(value) > 3
    ]
