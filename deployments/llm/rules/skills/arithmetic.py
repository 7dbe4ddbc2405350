"""Works out "what is seven times eight", and goes on from there: "plus two", "divide that by three"."""

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from deployments.llm.rules.expressions import Impossible, Term, read
from deployments.llm.rules.numbers import is_exact, say, written
from deployments.llm.rules.phrasing import infixed
from deployments.llm.rules.turn import Reply, Turn
from deployments.llm.rules.words import plain, sentence, vocabulary

LONGEST_CHAIN: Final = 10
"""Questions before this one through which "that" is followed."""

_ASKS: Final = re.compile(
    r"\b(what|how much|how many|calculate|compute|work out|solve|tell me|equals?|result|answer)\b"
)
_ASIDES: Final = vocabulary(
    "and then is the now hello hi yes no equals = so that thanks thank you can could please hey um"
)
_BACK: Final = re.compile(r"\b(?:that|it|this|the (?:last )?(?:result|answer))\b")
_GOES_ON: Final = re.compile(
    r"(?:(?:and|then|now|what about|how about|what is that|what is it) )*"
    r"(?=(?:plus|minus|times|multiplied by|divided by|take away|to the power of|squared|cubed|[-+*/×÷^])(?: |$))"
)


def answer(turn: Turn) -> Reply | None:
    text = turn.text
    for fact in turn.known.values():
        text = text.replace(f"my {fact.key}", plain(fact.value))
    try:
        term = _evaluate(text, _before(turn.earlier))
    except Impossible as error:
        return Reply(str(error))
    return Reply(sentence(f"{term.spoken} is {_said(term)}")) if term else None


def value_of(turn: Turn, text: str) -> Fraction | None:
    """The bare result, for languages in which there are no words for it here."""
    try:
        term = _evaluate(plain(text), _before(turn.earlier))
    except Impossible:
        return None
    return term.value if term else None


def _evaluate(text: str, before: str | None) -> Term | None:
    goes_on = _GOES_ON.match(text)
    text = infixed(text if goes_on is None else f"that {text[goes_on.end() :]}")
    if before is not None:
        text = infixed(_BACK.sub(before, text))
    words = text.split()
    found = _longest(words)
    if not found:
        return None
    start, term = found
    outside = {*words[:start], *words[term.end :]}
    return term if outside <= _ASIDES or _ASKS.search(text) else None


def _longest(words: list[str]) -> tuple[int, Term] | None:
    """The expression with the most operations, and where it begins."""
    best: tuple[int, Term] | None = None
    start = 0
    while start < len(words):
        term = read(words, start)
        if term and term.operations > (best[1].operations if best else 0):
            best = start, term
        start = term.end if term and term.operations else start + 1
    return best


def _before(earlier: Sequence[str]) -> str | None:
    """What "that" means: the newest result, in digits, each question building on the one before."""
    result: str | None = None
    for text in earlier[-LONGEST_CHAIN:]:
        try:
            term = _evaluate(plain(text), result)
        except Impossible:
            result = None
            continue
        if term:
            result = written(term.value)
    return result


def _said(term: Term) -> str:
    places = 4
    size = abs(term.value)
    while 0 < size * 10**places < 100 and places < 15:
        places += 1
    exact = term.exact and is_exact(term.value, places)
    return say(term.value, places) if exact else f"about {say(term.value, places)}"
