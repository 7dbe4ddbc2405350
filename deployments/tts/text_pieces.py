"""Cutting a long text into pieces that are spoken one after the other."""

import re
from collections.abc import Iterator

_CUTS = (
    re.compile(r"[.!?…][\"'”’)\]]*\s|[。！？]|\n", re.DOTALL),
    re.compile(r"[,;:—–][\"'”’)\]]*\s|[、，；：]", re.DOTALL),
    re.compile(r"\s", re.DOTALL),
)
"""Where to cut, best first: after a sentence, after a clause, between words."""


_UNSAYABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def sayable(text: str) -> str:
    """The text, as long as it was, with spaces for control characters and halves of surrogate pairs: espeak obeys some
    (0x01 changes rate and pitch), C strings end at 0, and a half cannot be encoded.
    """
    return _UNSAYABLE.sub(" ", text)


def pieces(text: str, max_chars: int) -> Iterator[tuple[int, int]]:
    """Half open places that cover `text`, each at most `max_chars` long, cut as late and as well as possible."""
    start = 0
    while len(text) - start > max_chars:
        end = _cut(text, start, start + max_chars)
        yield start, end
        start = end
    if start < len(text):
        yield start, len(text)


def _cut(text: str, start: int, limit: int) -> int:
    for cut in _CUTS:
        ends = [match.end() for match in cut.finditer(text, start, limit)]
        if ends:
            return ends[-1]
    return limit
