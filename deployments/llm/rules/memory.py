"""What the user has said about themselves, found again in the conversation: nothing is kept anywhere else."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from deployments.llm.rules.words import turned


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that the user said."""

    key: str
    """ "name", "age", "home", "favourite colour", "dog" (what it is called), "like apples"."""
    value: str
    phrase: str
    """As it is told to the user: "your name is Anna"."""
    in_passing: bool = False
    """Said without being meant for remembering: "my head is empty"."""


@dataclass(frozen=True, slots=True)
class _Form:
    """A way in which people say it. The pattern's groups `k` and `v` fill the templates `key` and `phrase`."""

    pattern: re.Pattern[str]
    key: str
    phrase: str
    is_name: bool
    in_passing: bool


def _form(pattern: str, key: str, phrase: str, *, is_name: bool = False, in_passing: bool = False) -> _Form:
    return _Form(re.compile(pattern, re.IGNORECASE), key, phrase, is_name, in_passing)


def _any(words: str) -> str:
    return rf"(?:{'|'.join(words.split())})\b"


_NEXT = _any("my i what how who where when do can could tell please you it she he they then count remember")
_END: Final = rf"(?=\s*(?:[.,;:!?]|$|\s(?:and )?{_NEXT}|\s(?:but|because|so)\b))"
_V: Final = rf"(?P<v>[^.,;:!?]{{1,80}}?){_END}"
_KIND: Final = r"(?P<k>[\w ]{1,30}?)"
_NO_NAME: Final = _any(
    "and but what how who where when which can could do does is are i you nice please so the that by from tell my it "
    "not too also now okay then because say count thanks thank in at on a an to for later back maybe tomorrow if again "
    "remember by"
)
_NO_INTRODUCTION: Final = _any(
    "fine good well ok okay tired ready happy sad hungry thirsty sorry new lost bored busy sick ill home here going "
    "great glad sure afraid alone cold hot late old young just very really looking trying thinking feeling doing "
    "having calling done your right wrong talking speaking all"
)
_NAME: Final = rf"(?P<v>(?!{_NO_NAME})[^\W\d_]+(?:[ '-](?!{_NO_NAME})[^\W\d_]+)?)"
_LASTING: Final = _any(
    "birthday number phone email address job hobby code password car bike wife husband partner girlfriend boyfriend "
    "son daughter mother father mum mom dad sister brother friend boss teacher dog cat pet team city town country "
    "language size height sign nickname surname school company house street order appointment"
)
_QUESTION: Final = _any("what who which where when why how is are do does did can could tell")
_TENS: Final = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"

_FORMS: Final = (
    _form(rf"\bmy (?:full |first )?name is {_NAME}", "name", "your name is {v}", is_name=True),
    _form(
        rf"\b(?:I am called|I go by|^call me|(?:just|can|you) call me) {_NAME}",
        "name",
        "your name is {v}",
        is_name=True,
    ),
    _form(rf"^I am (?!{_NO_INTRODUCTION}){_NAME} by the way", "name", "your name is {v}", is_name=True),
    _form(rf"^this is {_NAME} speaking", "name", "your name is {v}", is_name=True),
    _form(
        rf"\b(?:hello|hi|hey|yes|no|morning|evening|afternoon|day),? I am (?!{_NO_INTRODUCTION}){_NAME}",
        *("name", "your name is {v}"),
        is_name=True,
    ),
    _form(r"\bI am (?P<v>[\w-]+(?: [\w-]+)?) years old\b", "age", "you are {v} years old"),
    _form(rf"\bI am (?P<v>\d{{1,3}}|(?:{_TENS})(?:[ -]\w+)?)(?=[.,;!?]|$)", "age", "you are {v} years old"),
    _form(rf"\bmy age is {_V}", "age", "you are {v} years old"),
    _form(rf"\bI (?:live|am living) in {_V}", "home", "you live in {v}", is_name=True),
    _form(rf"\bI (?:am|come) from {_V}", "origin", "you come from {v}", is_name=True),
    _form(rf"\bI was born (?P<k>in|on) {_V}", "birth", "you were born {k} {v}", is_name=True),
    _form(rf"\bI work (?P<k>as|at|for|in|with) {_V}", "work", "you work {k} {v}"),
    _form(rf"\bI am (?P<k>an?) (?!(?:bit|little|lot|few)\b){_V}", "work", "you are {k} {v}"),
    _form(rf"\bI am (?P<k>allergic to|married to|afraid of|interested in|learning) {_V}", "{k}", "you are {k} {v}"),
    _form(rf"\bI (?P<k>speak|play|study|drive|collect|teach) {_V}", "{k}", "you {k} {v}"),
    _form(rf"\bmy favourite {_KIND} (?:is|are) {_V}", "favourite {k}", "your favourite {k} is {v}"),
    _form(
        rf"(?:^|\band )(?P<v>(?!{_QUESTION})[\w ]{{1,40}}?) (?:is|are) my favourite {_KIND}{_END}",
        *("favourite {k}", "your favourite {k} is {v}"),
    ),
    _form(
        rf"\bI (?:really |also )?(?P<k>like|love|enjoy|hate|dislike) (?!(?:you|it|that|this|to know)\b){_V}",
        *("{k} {v}", "you {k} {v}"),
    ),
    _form(rf"\bI do not like (?!(?:you|it|that|this)\b){_V}", "dislike {v}", "you do not like {v}"),
    _form(rf"\bI have (?:an? )?{_KIND} (?:called|named) {_NAME}", "{k}", "your {k} is called {v}", is_name=True),
    _form(
        r"\bI have (?P<v>(?:an?|one|two|three|four|five|six|\d+) (?!(?:question|problem|idea|lot|bit)\b)[\w ]{1,40}?)"
        rf"(?:(?= called| named)|{_END})",
        *("have {v}", "you have {v}"),
    ),
    _form(rf"\bmy {_KIND} is (?:called|named) {_NAME}", "{k}", "your {k} is called {v}", is_name=True),
    _form(rf"\bmy {_KIND}'?s name is {_NAME}", "{k}", "your {k} is called {v}", is_name=True),
    _form(rf"\bthe name of my {_KIND} is {_NAME}", "{k}", "your {k} is called {v}", is_name=True),
    _form(rf"\bremember (?:the|this|my) (?P<k>word|number|code|password|name) (?!is\b){_V}", "{k}", "the {k} is {v}"),
    _form(rf"\bremember (?:the |that (?:the )?)(?P<k>\w+(?: \w+)?) is {_V}", "{k}", "the {k} is {v}"),
    _form(rf"\bmy (?P<k>(?:\w+ ){{0,2}}?{_LASTING}) is {_V}", "{k}", "your {k} is {v}"),
    _form(rf"\bmy (?P<k>\w+(?: \w+)?) is {_V}", "{k}", "your {k} is {v}", in_passing=True),
)


def facts(texts: Iterable[str]) -> tuple[Fact, ...]:
    """Everything said in these tidy texts, oldest first; of two with the same key the newer."""
    known: dict[str, Fact] = {}
    for text in texts:
        for fact in stated(text):
            known.pop(fact.key, None)
            known[fact.key] = fact
    return tuple(known.values())


def stated(text: str) -> tuple[Fact, ...]:
    """What one tidy text says. The first form that gives a key wins."""
    found: dict[str, Fact] = {}
    for form in _FORMS:
        for match in form.pattern.finditer(text):
            groups = match.groupdict()
            kind = (groups.get("k") or "").strip().lower()
            value = _capitalised(groups["v"].strip()) if form.is_name else turned(groups["v"].strip())
            key = form.key.format(k=kind, v=value).lower()
            found.setdefault(key, Fact(key, value, form.phrase.format(k=kind, v=value), form.in_passing))
    return tuple(found.values())


def _capitalised(name: str) -> str:
    """Recognition gives lower case: "new york" becomes "New York"; what has capitals or an article stays."""
    if name != name.lower() or name.split()[0] in ("a", "an", "the"):
        return name
    return " ".join(
        word if word in ("of", "and", "the", "in") else word[:1].upper() + word[1:] for word in name.split()
    )
