"""Puts clauses into the words in which they are said."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Final

from deployments.media.speakable import (
    abbreviations,
    addresses,
    dates,
    lexicon,
    marks,
    money,
    numbers,
    pictures,
    times,
    units,
)
from deployments.media.speakable.languages import LANGUAGES, Language, language_of
from deployments.media.speakable.numerals import cardinal
from deployments.media.speakable.spoken import Change, Spoken, as_written, changed

Finder = Callable[[str], Iterator[Change]]

_PERHAPS: Final = re.compile(
    r"[^\w\s.,;:!?'’\"„“”«»()-]|[\d_\n@]|\w\.\w|\b(?:[A-Z]\w{0,4}|\w{1,6})\.|[ \t]-|^-|Mme|\bDr\b|\bSt\b"
)
"""Anything that is not plain prose. Most clauses are, and cost nothing."""


class Speaker:
    """Of one language and lexicon; keeps nothing between clauses."""

    def __init__(self, language: str | None, words: Mapping[str, str] | None = None) -> None:
        """`language`: ISO 639-1, with or without a region. In one that `languages.py` does not have, or None, figures
        stay for the engine to read; marks are dropped and addresses shortened in all. `words`: the lexicon.
        """
        code = (language or "").replace("_", "-").partition("-")[0].lower() or None
        self._has_lexicon = bool(words)
        self._finders = (*lexicon.finders(words or {}), *_of_language(code))

    def spoken(self, clause: str) -> Spoken:
        """What is said of it."""
        if not self._has_lexicon and not _PERHAPS.search(clause):
            return as_written(clause)
        taken = bytearray(len(clause))
        changes: list[Change] = []
        for find in self._finders:
            for change in find(clause):
                # Who comes first has it: a date's figures are no numbers.
                if change.start < change.end and not any(taken[change.start : change.end]):
                    taken[change.start : change.end] = b"\1" * (change.end - change.start)
                    changes.append(change)
        return changed(clause, changes) if changes else as_written(clause)


def warm_up() -> None:
    """Load what every language needs: once and off the event loop, for it takes tens of milliseconds each."""
    for code in LANGUAGES:
        Speaker(code).spoken("5 km, $12.50, 2026-03-03, 3.3.2026, 14:30, 50%, 1,5 ½ 😀")
        for value in range(100):
            cardinal(value, code)


@lru_cache(maxsize=64)
def _of_language(code: str | None) -> tuple[Finder, ...]:
    language = language_of(code)
    return (
        *marks.link_finders(),
        *addresses.finders(language),
        *(_of_figures(language) if language else ()),
        *marks.finders(),
        *pictures.finders(code),
    )


def _of_figures(language: Language) -> tuple[Finder, ...]:
    return (
        *dates.finders(language),
        *times.finders(language),
        *money.finders(language),
        *units.finders(language),
        *numbers.finders(language),
        *abbreviations.finders(language),
    )
