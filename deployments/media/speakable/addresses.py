"""Addresses on the net, said short: a page is its host, without the way to it."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from deployments.media.speakable.languages import Language
from deployments.media.speakable.spoken import Change

_MAIL: Final = re.compile(r"(?:mailto:)?([\w.+-]+)@([\w-]+(?:\.[\w-]+)+)")
_PAGE: Final = re.compile(r"(?:(?:https?|ftp|wss?)://|\bwww\.)[^\s<>()\[\]\"'“”]+", re.IGNORECASE)
_HOST: Final = re.compile(
    r"(?<![\w@.])(?:[a-zA-Z0-9](?:[\w-]*[a-zA-Z0-9])?\.)+(?:com|org|net|io|ai|dev|app|edu|gov|eu|uk|us|de|fr|es|it|ch|at|nl)"
    r"(?![\w-]|\.\w)(?::\d+)?(?:/[^\s<>()\[\]\"'“”]*)?"
)
_STOPS: Final = ".,;:!?*_~…"


def finders(language: Language | None) -> tuple[Callable[[str], Iterator[Change]], ...]:
    """In the order in which they are to be asked. In other languages hosts are said as they are written."""
    return (
        partial(_mails, language=language),
        partial(_pages, pattern=_PAGE, language=language),
        partial(_pages, pattern=_HOST, language=language),
    )


def _mails(text: str, *, language: Language | None) -> Iterator[Change]:
    for match in _MAIL.finditer(text):
        at = f" {language.at} " if language else "@"
        yield Change(match.start(), match.end(), _spelt(match[1], language) + at + _spelt(match[2], language))


def _pages(text: str, *, pattern: re.Pattern[str], language: Language | None) -> Iterator[Change]:
    for match in pattern.finditer(text):
        written = match[0].rstrip(_STOPS)
        host = re.sub(r"^\w+://", "", written)
        host = re.split(r"[/?#]", host, maxsplit=1)[0].rpartition("@")[2].partition(":")[0]
        host = re.sub(r"^www\.", "", host, flags=re.IGNORECASE)
        if host:
            yield Change(match.start(), match.start() + len(written), _spelt(host, language))


def _spelt(name: str, language: Language | None) -> str:
    if language is None:
        return name
    words = {".": language.dot, "-": language.dash, "_": language.underscore, "+": language.signs["+"]}
    return re.sub(r"[._+-]", lambda match: f" {words[match[0]]} ", name).strip()
