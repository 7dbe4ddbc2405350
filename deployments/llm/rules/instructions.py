"""What the instructions (the system's messages) ask for, as far as rules can tell."""

import re
from typing import Final

from deployments.llm.rules.numbers import parse
from deployments.llm.rules.turn import Turn
from deployments.llm.rules.words import sentence

NAME: Final = "Parley"

_PERSONA: Final = re.compile(
    r"\b(?i:you are|you're|your name is|act as|pretend to be|you play) (?i:called |named )?"
    r"(?P<name>(?!(?:A|An|The|I|In|Not)\b)[A-Z][\w'-]*(?: [A-Z][\w'-]*)?)(?:,? (?P<role>(?:an?|the) [^.,;!?\n]+))?"
)
_ROLE: Final = re.compile(r"\b(?:you are|you're|act as|pretend to be) (?P<role>(?:an?|the) [^.,;!?\n]+)", re.IGNORECASE)
_NAMED: Final = re.compile(r"\b(?i:your name is|called|named) (?P<name>[A-Z][\w'-]*)")
_SAY: Final = re.compile(
    r"(?:^|[.!\n] ?)(?:please |just |only |simply )?(?:say|reply with|respond with|answer with|repeat)"
    r"(?: (?:exactly|only|just|verbatim|the following|this|these words|to the user|aloud))*\s*:?\s*"
    r"(?:\"(?P<quoted>[^\"]+)\"|'(?P<single>[^']+)'(?=\W|$))"
    r"(?!\s*,?\s*(?:when|if|whenever|after|before|each|every|at the|to (?:any|every))\b)",
    re.IGNORECASE | re.MULTILINE,
)
_SAY_BARE: Final = re.compile(
    r"(?:^|[.!\n] ?)say (?:exactly|only|verbatim|the following)\s*:?\s*(?P<bare>[^\n]+)", re.IGNORECASE
)
_GREET: Final = re.compile(
    r"(?:^|[.!\n] ?)(?:please )?(?:greet|welcome|say hello to) the (?:user|caller|customer)", re.IGNORECASE
)
_FEW_SENTENCES: Final = re.compile(
    r"\b(?:in|with|to|use|at most|no more than|only) (?:at most |only |no more than |up to )?(?P<count>\w+)"
    r"(?: short| brief)? sentences?\b(?! (?:or|to) )",
    re.IGNORECASE,
)
_FEW_WORDS: Final = re.compile(
    r"\b(?:in|at most|no more than|up to|under|maximum(?: of)?) (?P<count>\w+) words\b(?: or (?:less|fewer))?",
    re.IGNORECASE,
)
_EDGE: Final = re.compile(
    r"\b(?P<edge>begin|start|end|finish)(?:ing)? (?:every|each|all|your|any)(?: of your)? "
    r"(?:reply|replies|answers?|responses?|sentences?|messages?) with (?:the words? |the phrase )?"
    r"[\"'](?P<what>[^\"'\n]+)[\"']",
    re.IGNORECASE,
)


def persona(turn: Turn) -> tuple[str, str]:
    """Its name, and its role ("a librarian") or ""."""
    text = "\n".join(turn.instructions)
    found = _PERSONA.search(text)
    if found:
        return found["name"], (found["role"] or _role(text)).strip()
    named = _NAMED.search(text)
    return (named["name"] if named else NAME), _role(text)


def _role(text: str) -> str:
    found = _ROLE.search(text)
    role = re.split(r" (?:called|named|who|that|and) ", found["role"])[0] if found else ""
    return "" if role.split()[-1:] in (["assistant"], ["AI"], ["agent"], ["bot"]) and len(role.split()) > 4 else role


def _newest(turn: Turn) -> str:
    quotes = str.maketrans("“”‘’", "\"\"''")
    return turn.instructions[-1].translate(quotes) if turn.instructions else ""


def words_to_say(turn: Turn) -> str | None:
    """What the newest instructions order to be said, word for word."""
    newest = _newest(turn)
    found = _SAY.search(newest)
    if found:
        return found["quoted"] or found["single"]
    bare = _SAY_BARE.search(newest)
    return bare["bare"].strip() if bare else None


def wants_greeting(turn: Turn) -> bool:
    """Whether the newest instructions order a greeting."""
    return bool(_GREET.search(_newest(turn)))


def in_style(turn: Turn, text: str) -> str:
    """The reply as the instructions want all of them: so many sentences or words, with this beginning and end."""
    orders = "\n".join(turn.instructions)
    if found := _FEW_SENTENCES.search(orders):
        count = _count(found["count"])
        parts = re.split(r"(?<=[.!?]) ", text)
        text = " ".join(parts[:count]) if count else text
    if found := _FEW_WORDS.search(orders):
        count = _count(found["count"])
        if count and len(text.split()) > count:
            text = sentence(" ".join(text.split()[:count]).rstrip(",;:"))
    for found in _EDGE.finditer(orders):
        what = found["what"].strip()
        text = f"{what} {text}" if found["edge"].lower() in ("begin", "start") else f"{text} {what}"
    return text


def _count(word: str) -> int:
    number = parse((word.lower(),)) if word.lower() != "a" else None
    return int(number[0]) if number else 1 if word.lower() in ("a", "single") else 0
