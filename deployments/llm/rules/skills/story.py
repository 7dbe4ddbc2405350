"""Tells a story, short or long, about whatever was asked for; and a joke."""

import re
import zlib
from typing import Final

from deployments.llm.rules import tales
from deployments.llm.rules.turn import Reply, Turn
from deployments.llm.rules.words import plain, turned

_ASKED: Final = re.compile(
    r"\b(?:story|tale|fairytale|stories)\b(?: (?:about|of|on|with) (?P<topic>.+?))?(?: please| for me| to me| now)*$"
)
_WANTS: Final = re.compile(
    r"\b(?:tell|read|give|make|invent|write|want|hear|like|another|more|one|love|need|have|know)\b|"
    r"^(?:an? )?(?:\w+ ){0,3}(?:story|tale)\b"
)
_LONG: Final = re.compile(r"\b(?:long|longer|longest|really long|very long|bedtime|epic)\b")
_MORE: Final = r"(?:and |tell me |yes |can you tell me )*(?:another|one more|again|more)(?: one)?(?: please)?"
OFFER: Final = "Shall I tell you a story?"
_JOKE: Final = re.compile(r"\b(?:jokes?|make me laugh|something funny)\b")


def answer(turn: Turn) -> Reply | None:
    offered = turn.last_reply is not None and turn.last_reply.text.endswith(OFFER)
    if offered and turn.match(
        r"(?:yes|yeah|yep|sure|ok|okay|please|of course|why not|i would like that)(?: please| do)?"
    ):
        return Reply(_story("", long=False, told=_count(turn, _ASKED)))
    before = plain(turn.earlier[-1]) if turn.earlier else ""
    if turn.match(_MORE) and (_JOKE.search(before) or _ASKED.search(before)):
        return _told(turn, before)
    return _told(turn, turn.text)


def _told(turn: Turn, text: str) -> Reply | None:
    if _JOKE.search(text):
        return Reply(tales.JOKES[_count(turn, _JOKE) % len(tales.JOKES)])
    found = _ASKED.search(text)
    if not found or not _WANTS.search(text):
        return None
    return Reply(_story(turned(found["topic"] or ""), long=bool(_LONG.search(text)), told=_count(turn, _ASKED)))


def _count(turn: Turn, asked: re.Pattern[str]) -> int:
    """How often it was asked for before, so that the next one differs."""
    return sum(bool(asked.search(plain(text)) or re.fullmatch(_MORE, plain(text))) for text in turn.earlier)


def _story(topic: str, *, long: bool, told: int) -> str:
    seed = zlib.crc32(topic.encode()) + told

    def pick(choices: tuple[str, ...], turn: int) -> str:
        return choices[(seed // turn + seed) % len(choices)]

    name = pick(tales.NAMES, 3)
    helper, trouble, turn = pick(tales.HELPERS, 11), pick(tales.TROUBLES, 13), pick(tales.TURNS, 17)
    parts = [
        _opening(topic, name, pick(tales.PLACES, 5)),
        f"More than anything, {name} wanted {pick(tales.WISHES, 7)}.",
        f"So one morning {name} set out, and before the first mile was over there was company on the road: {helper}.",
        *(tales.MIDDLES if long else ()),
        f"For a while all went well. Then {trouble}, and for a moment everything seemed lost.",
        f"But {name} {turn}.",
        f"By evening they had arrived, and what {name} had been looking for was there.",
        "It was smaller and kinder than anyone had imagined.",
        pick(tales.ENDS, 19),
    ]
    return " ".join(parts)


def _opening(topic: str, name: str, place: str) -> str:
    if not topic:
        return f"Once upon a time, {place}, there lived a child named {name}."
    if topic.startswith(("a ", "an ", "one ")):
        return f"Once upon a time, {place}, there lived {topic}, and everyone called this hero {name}."
    return f"Once upon a time, {place}, there lived a child named {name}, who could think of nothing but {topic}."
