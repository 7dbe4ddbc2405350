"""Words of a language that steer a conversation: data files in `configs/languages`, one per language."""

import functools
import importlib.resources
import re
from collections.abc import Sequence
from typing import Annotated

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict

from deployments.runtime.errors import ConfigError

_MOST_WORDS = 4
"""Of a phrase."""
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation."""
    return _WORD.findall(text.casefold().replace("’", "'"))


def _words(text: object) -> object:
    return frozenset(text.casefold().split()) if isinstance(text, str) else text


def _phrases(text: object) -> object:
    return frozenset(tuple(words_of(phrase)) for phrase in text.split(",")) if isinstance(text, str) else text


def _sayings(text: object) -> object:
    return tuple(saying.strip() for saying in text.split(",")) if isinstance(text, str) else text


Words = Annotated[frozenset[str], BeforeValidator(_words)]
Phrases = Annotated[frozenset[tuple[str, ...]], BeforeValidator(_phrases)]
Sayings = Annotated[tuple[str, ...], BeforeValidator(_sayings)]


class Lexicon(BaseModel):
    """One language's words, in lower case."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dangling: Words
    """No sentence ends with these: conjunctions, articles, possessives."""
    prepositions: Words
    """At the end only of a question ("where are you from")."""
    copulas: Words
    """Between a subject and what is said of it: "my name is"."""
    askers: Words
    """What a question begins with."""
    answers: Phrases
    """Utterances that are whole by themselves."""
    operators: Words
    """Between two numbers."""
    ranges: Words
    """Between two numbers that are the ends of a range."""
    digits: Words
    tens: Words
    """Numbers of two digits; a digit may follow those from twenty on."""
    scales: Words
    """Hundred, thousand and so on: a number with one of these is counted, not read out."""
    number_parts: Words = frozenset()
    """What else numbers written in one word are made of."""
    joins: Words
    """Within a number, behind tens and hundreds."""
    separators: Words
    """Within a number that is read out."""
    dates: Words
    """Months and ordinals."""
    links: Words
    """Between what announces a number and the number."""
    announcements: dict[int, Phrases]
    """What announces a number, by how many digits it has at least."""
    introductions: Phrases
    """What may announce one."""
    fillers: Words
    """Sounds of one who thinks."""
    backchannels: Phrases
    """Said over a reply without wanting the turn."""
    takers: Phrases
    """Said over a reply, these want the turn however short they are."""
    one_moment: str
    """Said while a function takes long."""
    still_there: str
    """Said when the user keeps silent after a reply."""
    listening_sounds: Sayings
    """Said in turn while the user tells something long."""

    def announced_digits(self, words: Sequence[str]) -> int | None:
        """How many digits the number has at least that the last words announce; None if they do not."""
        for size in range(min(len(words), _MOST_WORDS), 0, -1):
            if (least := self._announced.get(tuple(words[-size:]))) is not None:
                return least
        return None

    def is_compound_number(self, word: str) -> bool:
        """Whether a word is made of several numbers, as "dreiundzwanzig" is."""
        return self._compound.fullmatch(word) is not None

    def wants_turn(self, words: Sequence[str]) -> bool:
        """Whether a phrase that takes the turn is among the words."""
        return any(_phrase_at(words, at, self.takers) for at in range(len(words)))

    @functools.cached_property
    def _announced(self) -> dict[tuple[str, ...], int]:
        return {phrase: least for least, phrases in self.announcements.items() for phrase in phrases}

    @functools.cached_property
    def _compound(self) -> re.Pattern[str]:
        parts = "|".join(map(re.escape, sorted(self.digits | self.tens | self.number_parts)))
        return re.compile(f"(?:{parts})(?:-?(?:{parts}))+")

    def content(self, words: Sequence[str]) -> list[str]:
        """The words without backchannels and fillers."""
        left: list[str] = []
        at = 0
        while at < len(words):
            taken = _phrase_at(words, at, self.backchannels)
            if not taken and words[at] not in self.fillers:
                left.append(words[at])
            at += taken or 1
        return left


def lexicon(language: str | None) -> Lexicon | None:
    """Of an ISO 639-1 code or a tag that begins with one; None is taken for English. None where there is no file."""
    return _load((language or "en").split("-")[0].lower())


@functools.cache
def _load(code: str) -> Lexicon | None:
    file = importlib.resources.files("configs") / "languages" / f"{code}.yaml"
    if not code.isalpha() or not file.is_file():
        return None
    try:
        return Lexicon.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{file}: {error}") from error


def _phrase_at(words: Sequence[str], at: int, phrases: frozenset[tuple[str, ...]]) -> int:
    """How many words the longest phrase has that stands there; 0 if there is none."""
    longest = min(len(words) - at, _MOST_WORDS)
    return next((size for size in range(longest, 0, -1) if tuple(words[at : at + size]) in phrases), 0)
