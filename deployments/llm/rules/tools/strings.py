"""Finds an argument of type string by what its name says that it is: a place, a person, a date, or free text."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from deployments.llm.contract import Tool
from deployments.llm.rules.phrasing import symbols
from deployments.llm.rules.tools import spans, times
from deployments.llm.rules.tools.choosing import name_words, stem
from deployments.llm.rules.words import vocabulary


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
        """Those that no other argument has, and that are not the beginning of the request ("to book a flight")."""
        return [v for v in found if v.lower() not in self.used and not self.is_tool_word(v.partition(" ")[0])]

    def is_tool_word(self, span: str) -> bool:
        """Whether these words are of the tool's name."""
        names = {stem(part) for part in name_words(self.tool.name)}
        return all(stem(word.lower()) in names for word in span.split())


Finder = Callable[[Source, str], list[str]]
"""All values that the words name for the argument of this name."""

_NO_PLACE: Final = vocabulary("the what is current how today local my me of exact right about a an all like do does")
_HOME: Final = re.compile(r"\b(?:at home|my (?:city|town|home|place)|where I live|here)\b", re.IGNORECASE)
_CALLED: Final = re.compile(
    r"\b(?:call|phone|ring|email|mail|message|text|tell|invite|ask|contact|dial) "
    r"(?!(?:a|an|the|me|to|that|from|about|saying)\b)(?:my )?([\w'-]+)",
    re.IGNORECASE,
)
_INTRODUCED_BY: Final = (r":", r"(?:saying|that says|which says|to say|says|say)(?: that)?")
_ALSO_INTRODUCED_BY: Final = (
    r"(?:called|named|titled|entitled)",
    r"remind (?:me|us) (?:to|that|about|of)",
    r"that",
    r"(?:search|look|google|find)(?: [\w ]{1,30}?)? for",
    r"(?:search|look up|google|play|translate|find)(?: (?:the|on the) (?:web|internet|net))?",
    r"(?:about|for)",
)
_LEAD: Final = re.compile(r"^(?:please|can you|could you|would you|i want to|i would like to|let us)\s+", re.IGNORECASE)


def place(source: Source, name: str) -> list[str]:
    if "home" in source.known and _HOME.search(source.text):
        return [source.known["home"]]
    found = source.fresh(spans.spans_after(source.text, ("in", "at", "near", "around", "for", "of", "to")))
    found = (
        found
        or _before_tool_word(source)
        or _after_tool_word(source)
        or source.fresh(spans.spans_after(source.text, ("about", "on", "like")))
    )
    return found or ([source.known["home"]] if "home" in source.known else [])


def _before_tool_word(source: Source) -> list[str]:
    """ "the kitchen light", "london's weather"."""
    words = re.findall(r"[^\W_]+(?:-[^\W_]+)*", re.sub(r"'s\b", "", source.text))
    for at in range(len(words) - 1, 0, -1):
        before = words[at - 1]
        if source.is_tool_word(words[at]) and not source.is_tool_word(before) and before.lower() not in _NO_PLACE:
            return [] if before.lower() in ("on", "off", "and", "some", "any") else [before]
    return []


def _after_tool_word(source: Source) -> list[str]:
    """ "weather paris"."""
    words = source.text.split()
    ends = [at + 1 for at, word in enumerate(words) if source.is_tool_word(word.strip(".,!?"))]
    found = spans.spans_after(" ".join(["in", *words[ends[-1] :]]), ("in",)) if ends else []
    return [span for span in found if len(span.split()) <= 2]


def code(source: Source, name: str) -> list[str]:
    """A number of an order or an account: the word with digits in it."""
    found = source.fresh(re.findall(r"\b[\w-]*\d[\w-]*\b", source.text))
    return found[:1]


def named_place(source: Source, name: str) -> list[str]:
    return [titled(span) for span in place(source, name)]


def origin(source: Source, name: str) -> list[str]:
    return [titled(span) for span in source.fresh(spans.spans_after(source.text, ("from",)))][:1]


def destination(source: Source, name: str) -> list[str]:
    return [titled(span) for span in source.fresh(spans.spans_after(source.text, ("to", "into", "for")))]


def person(source: Source, name: str) -> list[str]:
    direct = _CALLED.search(source.text)
    found = source.fresh(spans.spans_after(source.text, ("to", "with", "for")))
    if direct:
        found = source.fresh([direct[1]]) or found
    if not found and "name" in source.known and re.search(r"\b(?:my name|me)\b", source.text):
        found = [source.known["name"]]
    return [titled(span.removeprefix("my ")) for span in found]


def date(source: Source, name: str) -> list[str]:
    said = times.date_in(source.text)
    source.used.update([said.lower()] if said else [])
    return [said] if said else []


def time(source: Source, name: str) -> list[str]:
    found = times.time_in(source.text)
    source.used.update([found[1].lower()] if found else [])
    return [found[0]] if found else []


def language(source: Source, name: str) -> list[str]:
    return [span.title() for span in spans.spans_after(source.text, ("to", "into", "in"))][-1:]


def expression(source: Source, name: str) -> list[str]:
    found = symbols(source.text)
    return [found] if found else free_text(source, name)


def free_text(source: Source, name: str) -> list[str]:
    """What is to be written, searched or asked: after a word that introduces it, to the end."""
    if inside := spans.quoted(source.text):
        return inside[:1]
    for lead in (*_INTRODUCED_BY, _own(name), *_ALSO_INTRODUCED_BY):
        if what := _after(lead, source, name):
            return [what]
    rest = _LEAD.sub("", source.text)
    hits = [found.end() for found in re.finditer(r"[^\W_]+", rest) if source.is_tool_word(found[0])]
    what = _trimmed(rest[hits[-1] :] if hits else rest, source, name)
    return [what] if what else []


def optional_text(source: Source, name: str) -> list[str]:
    """Free text that may be left out: only where it is named or in quotes."""
    if inside := source.fresh(spans.quoted(source.text)):
        return inside[:1]
    what = _after(_own(name), source, name) or _after(r"(?:called|named|titled|entitled)", source, name)
    return [what] if what else []


def _own(name: str) -> str:
    """ "label is", "message to"."""
    return rf"(?:{'|'.join(map(re.escape, name_words(name) or (name,)))}) (?:is|of|to|as)"


def _after(lead: str, source: Source, name: str) -> str:
    found = re.search(rf"(?:^|(?<=\s)|(?<=\w)(?=:))(?:{lead})\s+(.+)", source.text, re.IGNORECASE)
    what = _trimmed(found[1], source, name) if found else ""
    return "" if spans.is_time_like(what) else what


def _trimmed(text: str, source: Source, name: str) -> str:
    """Without the argument's name, what other arguments have taken from the end, and loose prepositions."""
    text = text.strip(" .?!,")
    for used in sorted(source.used, key=len, reverse=True):
        if used and text.lower().endswith(f" {used}"):
            text = re.sub(r"\s+(?:to|on|at|in|for|into|from)$", "", text[: -len(used)].strip(), flags=re.IGNORECASE)
    own = "|".join(map(re.escape, name_words(name)))
    loose = (
        r"^(?:(?:of|for|to|about|in|on|from|with|that|by|at)(?:\s+|$))?(?:(?:a|an|the)\s+)?"
        rf"(?:(?:{own})\s+(?=\w))?|\s+please$"
    )
    return re.sub(loose, "", text, flags=re.IGNORECASE).strip(" .?!,")


def titled(span: str) -> str:
    """ "new york" as "New York"; what has capitals stays."""
    return span.title().replace("'S", "'s") if span == span.lower() else span


_KINDS: Final[tuple[tuple[frozenset[str], Finder], ...]] = (
    (vocabulary("language lang"), language),
    (vocabulary("expression equation formula"), expression),
    (vocabulary("from origin source departure"), origin),
    (vocabulary("destination arrival dest"), destination),
    (vocabulary("city location place town country region address"), named_place),
    (vocabulary("room area where"), place),
    (vocabulary("recipient to contact person who attendee attendees guest customer callee"), person),
    (vocabulary("date day when datetime"), date),
    (vocabulary("id number code reference zip postcode phone"), code),
    (vocabulary("time"), time),
)


NAMES: Final = (origin, destination, named_place, person)
"""What they find has capitals."""


def finder(name: str, schema: dict[str, Any]) -> Finder:
    """How to look for an argument, by its format and name: "departure_city" is where one comes from."""
    by_format: dict[str, Finder] = {"date": date, "date-time": date, "time": time}
    if found := by_format.get(str(schema.get("format"))):
        return found
    words = name_words(name)
    return next((find for kinds, find in _KINDS if kinds.intersection(words)), free_text)
