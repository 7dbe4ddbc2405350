"""Tells a story, short or long, about whatever was asked for; and a joke."""

import re
import zlib
from typing import Final

from deployments.llm.rules.turn import Reply, Turn
from deployments.llm.rules.words import plain, turned

_ASKED: Final = re.compile(
    r"\b(?:story|tale|fairy tale|fairytale|stories)\b(?: (?:about|of|on|with) (?P<topic>.+?))?(?: please| for me| to me| now)*$"
)
_WANTS: Final = re.compile(
    r"\b(?:tell|read|give|make|invent|write|want|hear|like|another|more|one|love|need|have|know)\b|^(?:an? )?(?:\w+ ){0,3}(?:story|tale)\b"
)
_LONG: Final = re.compile(r"\b(?:long|longer|longest|really long|very long|bedtime|epic)\b")
_MORE: Final = r"(?:and |tell me |yes |can you tell me )*(?:another|one more|again|more)(?: one)?(?: please)?"
_JOKE: Final = re.compile(r"\b(?:joke|make me laugh|something funny)\b")

_NAMES: Final = ("Mira", "Oscar", "Tilda", "Benno", "Ida", "Felix")
_PLACES: Final = (
    "in a village between two green hills",
    "on a small island where the wind never slept",
    "at the edge of a forest older than any map",
    "in a harbour town that smelled of salt and bread",
    "high in the mountains, above the clouds",
)
_WISHES: Final = (
    "to find out where the river began",
    "to hear the bell that rings only once in a hundred years",
    "to bring back the lost light of the old lighthouse",
    "to see what lay behind the last hill",
    "to find a friend who would listen",
)
_HELPERS: Final = (
    "a grey owl who spoke in questions",
    "an old ferryman with a pocket full of maps",
    "a fox with one white ear",
    "a girl who mended broken clocks",
    "a travelling baker with a squeaking cart",
)
_TROUBLES: Final = (
    "a storm came up and hid the path",
    "the bridge was gone, and the water ran deep and fast",
    "a thick fog fell, and every sound seemed to come from everywhere",
    "the way split in three, and the signs had been turned around",
)
_TURNS: Final = (
    "stopped, listened, and heard a quiet song under the noise",
    "laughed instead of crying, and the echo showed the way",
    "shared the last piece of bread with a stranger, who knew a better road",
    "remembered something that everybody else had forgotten",
)
_ENDS: Final = (
    "And whenever the evening is still, people there tell this story again.",
    "And if you walk that way today, you can still see the footprints.",
    "And from that day on, no door in that place was ever locked again.",
)
_MIDDLES: Final = (
    "On the first day they crossed wide fields where the grass was taller than a cart, and they counted the larks above "
    "them until they ran out of numbers.",
    "On the second day it rained. They sat under a great oak, shared an apple, and told each other what they were afraid "
    "of, and after that they were less afraid.",
    "On the third day they met a miller who had not slept for a week, because his mill wheel kept him awake. They put a "
    "drop of oil on the axle, and he wept with joy and gave them a lantern.",
    "The lantern was an odd one. It gave no light at noon and none at midnight, but in the hour before dawn it shone so "
    "brightly that they could see the road ahead as if it had been drawn with chalk.",
    "At the end of that road stood a wall with a small round door. On the door was written: only those who are not in a "
    "hurry may come in. So they sat down and waited, and talked, and in the end the door grew bored and opened by itself.",
    "Behind it lay a garden in which everything that was ever lost had been put in order: gloves, keys, songs, and a "
    "whole shelf of forgotten names.",
)
_JOKES: Final = (
    "Why did the scarecrow win a prize? Because he was outstanding in his field.",
    "What do you call a bear without teeth? A gummy bear.",
    "Why was the maths book sad? It had too many problems.",
    "I told my computer that I needed a break. It said: no problem, I will go to sleep.",
)


def answer(turn: Turn) -> Reply | None:
    before = plain(turn.earlier[-1]) if turn.earlier else ""
    if turn.match(_MORE) and (_JOKE.search(before) or _ASKED.search(before)):
        return _told(turn, before)
    return _told(turn, turn.text)


def _told(turn: Turn, text: str) -> Reply | None:
    if _JOKE.search(text):
        return Reply(_JOKES[_count(turn, _JOKE) % len(_JOKES)])
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

    name = pick(_NAMES, 3)
    hero, opening = _hero(topic, name, pick(_PLACES, 5))
    parts = [
        opening,
        f"More than anything, {hero} wanted {pick(_WISHES, 7)}.",
        f"So one morning {hero} set out, and before the first mile was over there was company on the road: "
        f"{pick(_HELPERS, 11)}.",
        *(_MIDDLES if long else ()),
        f"For a while all went well. Then {pick(_TROUBLES, 13)}, and for a moment everything seemed lost.",
        f"But {hero} {pick(_TURNS, 17)}.",
        f"By evening they had arrived, and what {hero} had been looking for was there, smaller and kinder than anyone "
        "had imagined.",
        pick(_ENDS, 19),
    ]
    return " ".join(parts)


def _hero(topic: str, name: str, place: str) -> tuple[str, str]:
    """What the hero is called further on, and the first sentence."""
    words = topic.split()
    if not words:
        return name, f"Once upon a time, {place}, there lived a child named {name}."
    if words[0] in ("a", "an", "one"):
        return name, f"Once upon a time, {place}, there lived {topic}, and everyone called this hero {name}."
    return name, f"Once upon a time, {place}, there lived a child named {name}, who could think of nothing but {topic}."
