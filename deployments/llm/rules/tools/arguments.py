"""Fills a tool's arguments from the user's words, by JSON schema."""

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from deployments.llm.contract import Tool
from deployments.llm.rules.numbers import written
from deployments.llm.rules.tools import spans, strings, times
from deployments.llm.rules.tools.choosing import name_words, stem
from deployments.llm.rules.tools.strings import Source, finder
from deployments.llm.rules.words import plain

_DEEPEST: Final = 3
_FREE: Final = 2


@dataclass(frozen=True, slots=True)
class Filled:
    """What was found. `several` has the values of an argument named more than once: a call for each."""

    arguments: dict[str, Any]
    missing: tuple[str, ...]
    several: tuple[str, tuple[Any, ...]] | None = None


def properties_of(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The arguments with their schemas; what is not a schema is left out."""
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return {}
    return {str(name): entry for name, entry in properties.items() if isinstance(entry, dict)}


def fill(tool: Tool, source: Source) -> Filled:
    """Every argument for which the words say something, and the names of the required ones for which they do not."""
    arguments: dict[str, Any] = {}
    several = None
    properties = properties_of(tool.parameters)
    required = required_of(tool.parameters)
    # Choices, dates and numbers have a form of their own; names take what is left, and free text the rest.
    for name in sorted(properties, key=lambda n: (_looseness(n, properties[n]), n not in required)):
        values = _values(name, properties[name], source, name in required)
        if not values:
            continue
        arguments[name] = values[0]
        if _looseness(name, properties[name]) < _FREE:
            source.used.update(str(value).lower() for value in values)
        if len(values) > 1 and several is None:
            several = name, tuple(values)
    ordered = {name: arguments[name] for name in properties if name in arguments}
    return Filled(ordered, tuple(name for name in required if name not in ordered), several)


def of_text(name: str, schema: dict[str, Any], source: Source) -> Any:
    """The value of one argument that was asked for: the whole text, where nothing in it stands out."""
    found = _values(name, schema, source, True)
    if found and finder(name, schema) is not strings.free_text:
        return found[0]
    text = source.text.strip(" .!?")
    bare = re.sub(r"^(?:in|for|to|at|from|it is|the)\s+", "", text, flags=re.IGNORECASE)
    if _type(schema) != "string" or "enum" in schema:
        return found[0] if found else stand_in(schema, bare)
    return strings.titled(bare) if finder(name, schema) in strings.NAMES else bare


def required_of(schema: dict[str, Any]) -> tuple[str, ...]:
    required = schema.get("required")
    return tuple(name for name in required if name in properties_of(schema)) if isinstance(required, list) else ()


def stand_in(schema: dict[str, Any], text: str) -> Any:
    """A value that the schema allows, for a call that must be made without knowing."""
    if "const" in schema or "default" in schema:
        return schema.get("const", schema.get("default"))
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0]
    kind = _type(schema)
    if kind in ("number", "integer"):
        low, high = schema.get("minimum", 0), schema.get("maximum")
        return min(max(low, 1), high) if isinstance(high, (int, float)) else max(low, 1)
    if kind == "object":
        properties = properties_of(schema)
        return {name: stand_in(properties[name], text) for name in required_of(schema)}
    if kind == "array":
        return [stand_in(schema.get("items") or {}, text)] if schema.get("minItems") else []
    return {"boolean": True, "null": None}.get(kind, text)


def _type(schema: dict[str, Any]) -> str:
    """The first type that is not null, looking into anyOf and oneOf."""
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind is None:
        for choice in ("anyOf", "oneOf", "allOf"):
            if isinstance(schema.get(choice), list):
                kinds = [_type(one) for one in schema[choice] if isinstance(one, dict)]
                return next((one for one in kinds if one != "null"), "string")
        if "properties" in schema:
            return "object"
    return kind if isinstance(kind, str) else "string"


def _values(name: str, schema: dict[str, Any], source: Source, required: bool, depth: int = 0) -> list[Any]:
    """The values of one argument that the words name."""
    if "const" in schema:
        return [schema["const"]]
    if isinstance(schema.get("enum"), list):
        return _choices(schema["enum"], source)[:1]
    kind = _type(schema)
    if kind in ("number", "integer"):
        return _numbers(name, schema, source, whole=kind == "integer")
    if kind == "boolean":
        return _truth(name, source, required)
    if kind == "array":
        found = _items(name, schema.get("items"), source, depth)
        return [found] if found else []
    if kind == "object":
        if depth >= _DEEPEST:
            return []
        inner = {n: v[0] for n, s in properties_of(schema).items() if (v := _values(n, s, source, False, depth + 1))}
        return [inner] if inner else []
    return _strings(name, schema, source, required)


def _items(name: str, schema: Any, source: Source, depth: int) -> list[Any]:
    schema = schema if isinstance(schema, dict) else {}
    if isinstance(schema.get("enum"), list):
        return _choices(schema["enum"], source)
    return _values(name.removesuffix("s"), schema, source, False, depth + 1) if depth < _DEEPEST else []


def _choices(enum: list[Any], source: Source) -> list[Any]:
    """The values of an enumeration that are in the text, the longest first."""
    words = plain(source.text).split()
    text = f" {' '.join(words)} "
    stems = {stem(word) for word in words}
    exact = [value for value in enum if f" {plain(str(value).replace('_', ' '))} " in text]
    if exact:
        return sorted(exact, key=lambda value: len(str(value)), reverse=True)
    return [v for v in enum if isinstance(v, str) and len(v) > 2 and all(stem(w) in stems for w in name_words(v))]


def _numbers(name: str, schema: dict[str, Any], source: Source, *, whole: bool) -> list[Any]:
    """Numbers that are not used yet, each in the unit of time that the argument's name or description gives."""
    found = times.amounts_in(times.without_times(source.text)) or times.amounts_in(source.text)
    found = [amount for amount in found if str(amount.value) not in source.used]
    stems = {stem(word) for word in name_words(name)}
    named = [amount for amount in found if stems & {stem(word) for word in amount.around}]
    unit_s = _unit_of(name, schema)
    timed = [amount for amount in found if amount.unit_s] if unit_s else []
    chosen = timed or named[:1] or [amount for amount in found if not amount.unit_s][:1] or found[:1]
    values = []
    for amount in chosen:
        source.used.add(str(amount.value))
        value = amount.value * amount.unit_s / unit_s if unit_s and amount.unit_s else amount.value
        value = max(value, schema["minimum"]) if isinstance(schema.get("minimum"), (int, float)) else value
        value = min(value, schema["maximum"]) if isinstance(schema.get("maximum"), (int, float)) else value
        values.append(round(value) if whole or value == int(value) else float(written(Fraction(value), 6)))
    return values


def _unit_of(name: str, schema: dict[str, Any]) -> int:
    """Seconds in the unit of time that the argument counts, 0 where it counts none."""
    text = " ".join(name_words(name)) + " " + str(schema.get("description", "")).lower()
    return next(filter(None, map(times.unit_s, re.findall(r"[a-z]+", text))), 0)


def _truth(name: str, source: Source, required: bool) -> list[Any]:
    words = plain(source.text).split()
    mentioned = any(stem(part) in {stem(word) for word in words} for part in name_words(name))
    if any(word in words for word in ("off", "without", "disable", "false", "no")) or (mentioned and "not" in words):
        return [False] if mentioned or required else []
    if any(word in words for word in ("on", "enable", "true", "yes")) and required:
        return [True]
    return [True] if mentioned else []


def _looseness(name: str, schema: dict[str, Any]) -> int:
    """How much an argument may be mistaken: 0 for what has a form of its own, 1 for names, 2 for free text."""
    if _type(schema) != "string" or "enum" in schema or finder(name, schema) in (strings.date, strings.time):
        return 0
    return _FREE if finder(name, schema) in (strings.free_text, strings.expression) else 1


def _strings(name: str, schema: dict[str, Any], source: Source, required: bool) -> list[Any]:
    find = finder(name, schema)
    if find is strings.free_text and not required:
        find = strings.optional_text
    found = find(source, name)
    if find is strings.date and (schema.get("format") == "date" or "YYYY" in str(schema.get("description", ""))):
        return [iso for said in found if (iso := times.iso_date(said, source.now.date()))]
    if not found and find is not strings.free_text and (inside := source.fresh(spans.quoted(source.text))):
        return inside[:1]
    return list(found)
