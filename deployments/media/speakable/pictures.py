"""Emoji, said by their names; a row of the same once."""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Final

import emoji

from deployments.media.speakable.spoken import Change

_PERHAPS: Final = re.compile(r"[\u00a9\u00ae\u203c-\u3299\U0001f000-\U0001faff]")
_TONES: Final = re.compile("[\U0001f3fb-\U0001f3ff]")


def finders(code: str | None) -> tuple[Callable[[str], Iterator[Change]], ...]:
    """`code`: ISO 639-1; without one, or for a language whose names are not known, they are not said at all."""
    return (partial(_find, code=code if code in emoji.LANGUAGES else None),)


def _find(text: str, *, code: str | None) -> Iterator[Change]:
    if not _PERHAPS.search(text):
        return
    before, end = "", 0
    for found in emoji.emoji_list(text):
        start, stop, sign = found["match_start"], found["match_end"], _TONES.sub("", found["emoji"])
        again = sign == before and not text[end:start].strip()
        yield Change(start, stop, "" if again or code is None else f" {_name(sign, code)} ")
        before, end = sign, stop


@lru_cache(maxsize=512)
def _name(sign: str, code: str) -> str:
    name: str = emoji.demojize(sign, language=code, delimiters=("", ""))
    return "" if name == sign else name.replace("_", " ").replace("-", " ")
