"""A text as it is said, and which place of it stands for which place of the text as it is written."""

import bisect
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Change:
    """`written[start:end]` is said as `words`; empty: not at all."""

    start: int
    end: int
    words: str


@dataclass(frozen=True, slots=True)
class _Stretch:
    """From here to the next stretch. A place inside a changed one stands for all of it."""

    spoken_start: int
    written_start: int
    written_end: int
    changed: bool


@dataclass(frozen=True, slots=True)
class Spoken:
    """What is said of one clause."""

    text: str
    _stretches: tuple[_Stretch, ...]

    @property
    def says_something(self) -> bool:
        """Whether there is a word in it, or a sign that stands for one."""
        return any(char.isalnum() for char in self.text)

    def written(self, start: int, end: int) -> tuple[int, int]:
        """The place in the written text of `text[start:end]`, both half open and at least a character long."""
        first, last = self._at(start), self._at(max(start, end - 1))
        begin = first.written_start if first.changed else first.written_start + start - first.spoken_start
        if last.changed:
            return begin, last.written_end
        return begin, min(last.written_end, last.written_start + end - last.spoken_start)

    def completes(self, end: int) -> bool:
        """Whether no further word is said for the written text that `text[:end]` ends in."""
        index = self._index(max(0, end - 1))
        if not self._stretches[index].changed:
            return True
        stop = self._stretches[index + 1].spoken_start if index + 1 < len(self._stretches) else len(self.text)
        return not any(char.isalnum() for char in self.text[end:stop])

    def _index(self, place: int) -> int:
        return max(0, bisect.bisect_right(self._stretches, place, key=lambda stretch: stretch.spoken_start) - 1)

    def _at(self, place: int) -> _Stretch:
        return self._stretches[self._index(place)]


def as_written(text: str) -> Spoken:
    """Said the way it is written."""
    return Spoken(text, (_Stretch(0, 0, len(text), changed=False),))


def changed(text: str, changes: Iterable[Change]) -> Spoken:
    """With these changes, which do not overlap. Where two words would run together, a space is put between them."""
    pieces: list[str] = []
    stretches: list[_Stretch] = []
    length = at = 0

    def add(piece: str, start: int, end: int, is_change: bool) -> None:
        nonlocal length
        if not piece:
            return
        if is_change or (stretches and stretches[-1].changed):
            before = pieces[-1][-1:] if pieces else ""
            if before.isalnum() and piece[0].isalnum():
                pieces.append(" ")
                length += 1
        stretches.append(_Stretch(length, start, end, is_change))
        pieces.append(piece)
        length += len(piece)

    for change in sorted(changes, key=lambda each: each.start):
        add(text[at : change.start], at, change.start, False)
        add(change.words, change.start, change.end, True)
        at = change.end
    add(text[at:], at, len(text), False)
    return Spoken("".join(pieces), tuple(stretches) or (_Stretch(0, 0, len(text), changed=True),))
