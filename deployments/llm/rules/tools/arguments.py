"""Fills a tool's arguments from the user's words, by JSON schema."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from deployments.llm.contract import Tool
from deployments.llm.rules.tools import spans
from deployments.llm.rules.tools.choosing import name_words, stem
from deployments.llm.rules.words import plain

_DEEPEST: Final = 3


@dataclass
class Source:
    """Where arguments come from. What one argument has used, no other gets."""

    text: str
    """The user's words, tidy."""
    now: datetime
    known: dict[str, str]
    """Facts about the user, by key."""
    tool: Tool
    used: set[str] = field(default_factory=set)

    def fresh(self, found: list[str]) -> list[str]:
        return [value for value in found if value.lower() not in self.used]


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
    # Words with an own form (dates, numbers, choices) first, free text takes what is left; required before optional.
    for name in sorted(properties, key=lambda n: (_is_free(n, properties[n]), n not in required)):
        values = _values(name, properties[name], source, name in required)
        if not values:
            continue
        arguments[name] = values[0]
        source.used.update(str(value).lower() for value in values)
        if len(values) > 1 and several is None:
            several = name, tuple(values)
    ordered = {name: arguments[name] for name in properties if name in arguments}
    return Filled(ordered, tuple(name for name in required if name not in ordered), several)


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
        return _choice(name, schema["enum"], source)
    kind = _type(schema)
    if kind in ("number", "integer"):
        return _numbers(name, schema, source, whole=kind == "integer")
    if kind == "boolean":
        return _truth(name, source, required)
    if kind == "array":
        items = schema.get("items") if isinstance(schema.get("items"), dict) else {}
        found = _values(name.removesuffix("s"), items or {}, source, required, depth + 1) if depth < _DEEPEST else []
        return [found] if found else []
    if kind == "object":
        if depth >= _DEEPEST:
            return []
        inner = {n: v[0] for n, s in properties_of(schema).items() if (v := _values(n, s, source, False, depth + 1))}
        return [inner] if inner else []
    return _strings(name, schema, source)


def _choice(name: str, enum: list[Any], source: Source) -> list[Any]:
    """A value of an enumeration: as a word of the text, or by its first letters ("c" is not "celsius")."""
    words = plain(source.text).split()
    text = f" {' '.join(words)} "
    stems = {stem(word) for word in words}
    exact = [value for value in enum if f" {plain(str(value).replace('_', ' '))} " in text]
    if exact:
        return sorted(exact, key=lambda value: len(str(value)), reverse=True)[:1]
    return [v for v in enum if isinstance(v, str) and len(v) > 2 and all(stem(w) in stems for w in name_words(v))][:1]


def _numbers(name: str, schema: dict[str, Any], source: Source, *, whole: bool) -> list[Any]:
    """Numbers that are not used yet; the unit of time that the argument's name or description names is converted to."""
    found = [entry for entry in spans.numbers_in(source.text) if str(entry[0]) not in source.used]
    named = [entry for entry in found if set(name_words(name)) & set(entry[2].split())]
    unit_s = _unit_of(name, schema)
    timed = [entry for entry in found if entry[1]] if unit_s else []
    chosen = named[:1] or timed or ([entry for entry in found if not entry[1]] or found)
    values = []
    for number, said_unit_s, _ in chosen:
        source.used.add(str(number))
        value = number * said_unit_s / unit_s if unit_s and said_unit_s else number
        value = max(value, schema["minimum"]) if isinstance(schema.get("minimum"), (int, float)) else value
        value = min(value, schema["maximum"]) if isinstance(schema.get("maximum"), (int, float)) else value
        values.append(round(value) if whole or value == int(value) else float(value))
    return values if timed else values[:1]


def _unit_of(name: str, schema: dict[str, Any]) -> int:
    """Seconds in the unit of time that the argument counts, 0 where it counts none."""
    text = " ".join(name_words(name)) + " " + str(schema.get("description", "")).lower()
    units = {"second": 1, "sec": 1, "minute": 60, "min": 60, "hour": 3600, "day": 86_400}
    return next(
        (units[word.removesuffix("s")] for word in re.findall(r"[a-z]+", text) if word.removesuffix("s") in units), 0
    )


def _truth(name: str, source: Source, required: bool) -> list[Any]:
    words = plain(source.text).split()
    mentioned = any(stem(part) in {stem(word) for word in words} for part in name_words(name))
    if any(word in words for word in ("off", "without", "disable", "false", "no")) or (mentioned and "not" in words):
        return [False] if mentioned or required else []
    if any(word in words for word in ("on", "enable", "true", "yes")) and required:
        return [True]
    return [True] if mentioned else []


_Finder = Callable[[Source, str], list[str]]


def _place(source: Source, name: str) -> list[str]:
    if (
        re.search(r"\b(?:at home|my (?:city|town|home|place)|where I live)\b", source.text, re.IGNORECASE)
        and "home" in source.known
    ):
        return [source.known["home"]]
    found = source.fresh(spans.spans_after(source.text, ("in", "at", "near", "around", "for", "of", "to")))
    found = found or source.fresh(spans.spans_after(source.text, ("on", "about", "like")))
    names = [_titled(span) for span in found if not _is_tool_word(span, source)]
    if not names and (
        before := re.search(
            r"(?:^|\bthe |\bis |\babout )((?:[\w-]+ )?[\w-]+?)(?:'s)? (?:weather|forecast|temperature|time)\b",
            source.text,
        )
    ):
        word = before[1].split()[-1]
        if not re.fullmatch(r"(?i)the|what|is|current|how|today|local|my|me|of|exact|right|about", word):
            names = [_titled(word)]
    return names or ([source.known["home"]] if "home" in source.known else [])


def _origin(source: Source, name: str) -> list[str]:
    return [_titled(span) for span in source.fresh(spans.spans_after(source.text, ("from",)))][:1]


def _destination(source: Source, name: str) -> list[str]:
    return [_titled(span) for span in source.fresh(spans.spans_after(source.text, ("to", "into", "for")))]


def _person(source: Source, name: str) -> list[str]:
    direct = re.search(
        r"\b(?:call|phone|ring|email|mail|message|text|tell|invite|ask|contact|dial) (?!a\b|an\b|the\b|me\b|to\b)([\w'-]+)",
        source.text,
        re.IGNORECASE,
    )
    found = source.fresh(spans.spans_after(source.text, ("to", "with", "for")))
    if direct and direct[1].lower() not in ("that", "from", "about", "saying"):
        found = [*source.fresh([direct[1]]), *found][:1]
    if not found and "name" in source.known and re.search(r"\b(?:my name|for me|me)\b", source.text):
        found = [source.known["name"]]
    return [_titled(span.removeprefix("my ")) for span in found if not _is_tool_word(span, source)]


def _date(source: Source, name: str) -> list[str]:
    said = spans.date_in(source.text)
    return [said] if said else []


def _time(source: Source, name: str) -> list[str]:
    found = spans.time_in(source.text)
    return [found] if found else []


def _language(source: Source, name: str) -> list[str]:
    return [span.title() for span in spans.spans_after(source.text, ("to", "into", "in"))][-1:]


def _free_text(source: Source, name: str) -> list[str]:
    """What is to be written, searched or asked: after a word that introduces it, to the end."""
    if inside := spans.quoted(source.text):
        return inside[:1]
    for lead in (
        r":",
        r"(?:saying|that says|which says|to say|says|say)(?: that)?",
        rf"{'|'.join(map(re.escape, name_words(name)))} (?:is|of|to|as)?",
        r"(?:called|named|titled|entitled)",
        r"remind (?:me|us) (?:to|that|about|of)",
        r"that",
        r"(?:search|look|google|play|translate|find)(?: (?:the|on the) (?:web|internet|net))?(?: up)?(?: for)?",
        r"(?:about|for)",
    ):
        if found := re.search(rf"(?:^|\s|\b)(?:{lead})\s+(.+)", source.text, re.IGNORECASE):
            what = _without_tail(found[1], source)
            if what and not spans.is_time_like(what):
                return [what]
    rest = re.sub(
        r"^(?:please|can you|could you|would you|i want to|i would like to|let us)\s+",
        "",
        source.text,
        flags=re.IGNORECASE,
    )
    hits = [m.end() for m in re.finditer(r"[^\W_]+", rest) if _is_tool_word(m[0], source)]
    what = _without_tail(rest[hits[-1] :] if hits else rest, source)
    return [what] if what else []


def _without_tail(text: str, source: Source) -> str:
    """Without what other arguments have already taken from the end, and the word that introduced it."""
    text = text.strip(" .?!,")
    for used in sorted(source.used, key=len, reverse=True):
        if used and text.lower().endswith(f" {used}"):
            text = re.sub(r"\s+(?:to|on|at|in|for|into|from)$", "", text[: -len(used)].strip(), flags=re.IGNORECASE)
    text = re.sub(r"(?:^(?:a|an|the)\s+)|\s+please$", "", text, flags=re.IGNORECASE)
    return text.strip(" .?!,")


_KINDS: Final[tuple[tuple[frozenset[str], _Finder], ...]] = (
    (frozenset(["language", "lang"]), _language),
    (frozenset(["from", "origin", "source", "departure"]), _origin),
    (frozenset(["destination", "arrival", "dest"]), _destination),
    (frozenset("city location place town country region where area address room".split()), _place),
    (frozenset("recipient to contact person who attendee attendees guest customer callee".split()), _person),
    (frozenset(["date", "day"]), _date),
    (frozenset(["time"]), _time),
    (frozenset(["datetime", "when"]), _date),
)


def _finder(name: str, schema: dict[str, Any]) -> _Finder:
    if schema.get("format") in ("date", "date-time"):
        return _date
    if schema.get("format") == "time":
        return _time
    words = name_words(name)
    # The last word of a name says what it is: "departure_city" is a city, but one after "from".
    for kinds, finder in _KINDS:
        if kinds.intersection(words):
            return finder
    return _free_text


def _is_free(name: str, schema: dict[str, Any]) -> bool:
    return _type(schema) == "string" and "enum" not in schema and _finder(name, schema) is _free_text


def _strings(name: str, schema: dict[str, Any], source: Source) -> list[Any]:
    finder = _finder(name, schema)
    found = finder(source, name)
    if finder is _date and (
        schema.get("format") == "date" or re.search(r"YYYY|ISO", str(schema.get("description", "")))
    ):
        return [iso for said in found if (iso := spans.iso_date(said, source.now.date()))]
    if not found and finder is not _free_text and (inside := source.fresh(spans.quoted(source.text))):
        return inside[:1]
    return list(found)


def _is_tool_word(span: str, source: Source) -> bool:
    return all(stem(word.lower()) in {stem(part) for part in name_words(source.tool.name)} for word in span.split())


def _titled(span: str) -> str:
    """ "new york" as "New York"; what has capitals stays."""
    return span.title().replace("'S", "'s") if span == span.lower() else span
