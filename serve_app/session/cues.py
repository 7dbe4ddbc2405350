"""Does a sentence look finished? Small lists of words per language; what they do not know is left open."""

import enum
import functools

from serve_app.session.lexicon import Lexicon, lexicon, words_of


class Completeness(enum.Enum):
    """How the words so far look."""

    FINISHED = "a whole sentence, a question, a short answer"
    OPEN = "nothing tells"
    UNFINISHED = "more must follow"


_PAUSING = (",", ";", ":", "-", "–", "—", "…", "...", "、", "，")
_CLOSING = (".", "?", "!", "。", "？", "！")
_ASKING = ("?", "!", "？", "！")
_QUOTES = "\"'”’»)] "
_DICTATED_DIGITS = 3


@functools.lru_cache(maxsize=1024)
def completeness(text: str, language: str | None) -> Completeness:
    """How the words look. Languages without a list are judged by their punctuation; None is taken for English."""
    text = text.rstrip(_QUOTES)
    words = words_of(text)
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
    if last in cues.dangling or last in cues.fillers or (last in cues.operators and len(words) > 1):
        return Completeness.UNFINISHED
    if last in cues.prepositions:
        return Completeness.OPEN if question else Completeness.UNFINISHED
    if _dictates(words, cues):
        return Completeness.OPEN
    if closed or (question and len(words) >= 3):
        return Completeness.FINISHED
    return Completeness.OPEN


def _dictates(words: list[str], cues: Lexicon) -> bool:
    """Digits one by one, as in a telephone number, come in groups with pauses between."""
    tail = words[-_DICTATED_DIGITS:]
    return len(tail) == _DICTATED_DIGITS and all(word in cues.digits or word.isdecimal() for word in tail)
