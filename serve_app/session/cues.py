"""Does a sentence look finished? Small lists of words per language; what they do not know is left open."""

import functools
import re

from serve_app.session.completeness import Completeness
from serve_app.session.lexicon import Lexicon, lexicon, words_of
from serve_app.session.numbers import is_number, number_completeness

_PAUSING = (",", ";", ":", "-", "–", "—", "…", "...", "、", "，")
_CLOSING = (".", "?", "!", "。", "？", "！")
_ASKING = ("?", "!", "？", "！")
_QUOTES = "\"'”’»)] "
_INSIDE_FIGURES = re.compile(r"(?<=\d)[.,:/](?=\d)")
"""As in 12:30 and 3.14, which are one number each."""


@functools.lru_cache(maxsize=1024)
def completeness(text: str, language: str | None) -> Completeness:
    """How the words look. Languages without a list are judged by their punctuation; None is taken for English."""
    text = text.rstrip(_QUOTES)
    words = words_of(_INSIDE_FIGURES.sub("", text))
    if not words:
        return Completeness.OPEN
    if text.endswith(_PAUSING):
        return Completeness.UNFINISHED
    if text.endswith(_ASKING):
        return Completeness.FINISHED
    cues = lexicon(language)
    if cues is None:
        return Completeness.FINISHED if text.endswith(_CLOSING) else Completeness.OPEN
    return _by_words(words, cues, closed=text.endswith(_CLOSING))


def _by_words(words: list[str], cues: Lexicon, *, closed: bool) -> Completeness:
    """`closed`: the recogniser put a full stop, which it also does where the sound merely stops."""
    question = words[0] in cues.askers
    last = words[-1]
    if tuple(words) in cues.answers:
        return Completeness.FINISHED
    if last in cues.fillers or _dangles(words, cues):
        return Completeness.UNFINISHED
    if last in cues.prepositions:
        return Completeness.OPEN if question else Completeness.UNFINISHED
    number = number_completeness(words, cues, closed=closed, question=question)
    if number is not None:
        return number
    if closed or (question and len(words) >= 3):
        return Completeness.FINISHED
    return Completeness.HALFWAY if last in cues.copulas else Completeness.OPEN


def _dangles(words: list[str], cues: Lexicon) -> bool:
    """Whether the last word wants another. "Uno" is an article and a number: after a number or "más" it is whole."""
    last = words[-1]
    before = words[-2] if len(words) > 1 else ""
    counts = bool(before) and is_number(before, cues)
    if last in cues.operators or last in cues.separators:
        return counts
    in_number = counts or before in cues.operators or before in cues.ranges or before in cues.separators
    return last in cues.dangling and not (last in cues.digits and in_number)
