"""Markdown and HTML marks, which are never said: emphasis, headings, lists, quotes, code, links, tables."""

import re
from collections.abc import Callable, Iterator
from typing import Final

from deployments.media.speakable.spoken import Change

_SILENT: Final = tuple(
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        r"^[ \t]*(?:```|~~~)[\w+-]*[ \t]*$\n?",  # a fence of code
        r"^[ \t]*(?:[-*_=][ \t]*){3,}$\n?",  # a rule, or what underlines a heading
        r"^[ \t]*\|?(?:[ \t]*:?-{2,}:?[ \t]*\|)+[ \t]*:?-*:?[ \t]*$\n?",  # below a table's head
        r"^[ \t]*#{1,6}(?=[ \t])",  # a heading
        r"^[ \t]*(?:>[ \t]?)+",  # a quote
        r"^[ \t]*(?:[-*+•‣◦][ \t]+)(?:\[[ xX]\][ \t])?",  # an item of a list
        r"</?[a-zA-Z][^<>]*>|<!--.*?-->",
        r"`+",
        r"\*\*+|~~+|(?<![\w_])__+|__+(?![\w_])",
        r"\*(?=[^\s*])|(?<=[^\s*])\*",
        r"(?<![\w_])_(?=\w)|(?<=\w)_(?![\w_])",
        r"\\(?=[*_`#\[\]()~>|\\.!+-])",
        r"\[|\]",
    )
)
_LINKS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"!?\[(?=[^\[\]]*\]\()",  # a link's or picture's text begins
        r"\]\([^()\s]*(?:\([^()\s]*\)[^()\s]*)*(?:\s+\"[^\"]*\")?\)",  # and ends
        r"(?<=\w)\](?:\[[^\[\]]*\]|\([^()\s]*\)?)",
        r"\[\^?\w{1,3}\]",  # a footnote
    )
)
_ANGLED: Final = re.compile(r"<(?:https?://|mailto:)[^\s<>]+>")
_SPOKEN: Final = (
    (re.compile(r"^[ \t]*\|[ \t]*|[ \t]*\|[ \t]*$", re.MULTILINE), ""),
    (re.compile(r"[ \t]*\|[ \t]*"), ", "),
    (re.compile(r"(?<=\w)_+(?=\w)"), " "),
    # An item or a heading without a full stop would run into the next line.
    (re.compile(r"(?:(?<=[\w)])|(?<=[\w)][*_`\]])|(?<=[\w)]\*\*))[ \t]*\n\s*"), ".\n"),
)
_MARKED: Final = re.compile(r"[\\*_`#\[\]()~>|<\n•‣◦=-]")


def _silent(text: str, pattern: re.Pattern[str]) -> Iterator[Change]:
    for match in pattern.finditer(text):
        yield Change(match.start(), match.end(), "")


def link_finders() -> tuple[Callable[[str], Iterator[Change]], ...]:
    """Of links, whose addresses are not said: to be asked before `addresses.py`."""
    return (_find_links,)


def finders() -> tuple[Callable[[str], Iterator[Change]], ...]:
    """Of all others, in the order in which they are to be asked."""
    return (_find,)


def _find_links(text: str) -> Iterator[Change]:
    if "]" in text or "[" in text or "<" in text:
        for match in _ANGLED.finditer(text):
            yield Change(match.start(), match.start() + 1, "")
            yield Change(match.end() - 1, match.end(), "")
        for pattern in _LINKS:
            yield from _silent(text, pattern)


def _find(text: str) -> Iterator[Change]:
    if not _MARKED.search(text):
        return
    for pattern in _SILENT:
        yield from _silent(text, pattern)
    for pattern, words in _SPOKEN:
        for match in pattern.finditer(text):
            yield Change(match.start(), match.end(), words)
