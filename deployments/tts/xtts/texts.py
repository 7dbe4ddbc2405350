"""Cutting a text to what XTTS takes at once."""

import re
from collections.abc import Callable, Iterator
from typing import Final

from deployments.runtime.errors import InvalidRequest
from deployments.tts.text_pieces import pieces, sayable
from deployments.tts.voices import primary_subtag

LANGUAGES: Final = {
    "ar": 166, "cs": 186, "de": 253, "en": 250, "es": 239, "fr": 273, "hi": 150, "hu": 224, "it": 213, "ja": 71,
    "ko": 95, "nl": 251, "pl": 224, "pt": 203, "ru": 182, "tr": 226, "zh": 82,
}  # fmt: skip
"""What XTTS-v2 speaks (ISO 639-1), and how many characters of it at once without cutting the sound short."""

# Brackets hold the tokenizer's control tokens; a number of many digits cannot be put into words.
_BRACKETS = re.compile(r"[\[\]]")
_LONG_NUMBER = re.compile(r"\d{13,}")


def language_of(tag: str | None, default: str) -> str:
    """One of `LANGUAGES`. Raises InvalidRequest."""
    language = primary_subtag(tag or default)
    if language not in LANGUAGES:
        known = ", ".join(LANGUAGES)
        raise InvalidRequest(f"XTTS does not speak {tag!r}; languages: {known}", param="language")
    return language


def takes(text: str, language: str, encode: Callable[[str], list[int]], max_tokens: int) -> Iterator[list[int]]:
    """The tokens of what is spoken in one go, one after the other. What has nothing to say is left out."""
    prepared = _BRACKETS.sub(" ", sayable(text))
    prepared = _LONG_NUMBER.sub(lambda match: " ".join(match.group()), prepared)
    for start, end in pieces(prepared, LANGUAGES[language]):
        yield from _fitting(prepared[start:end], encode, max_tokens)


def _fitting(text: str, encode: Callable[[str], list[int]], max_tokens: int) -> Iterator[list[int]]:
    """The piece in one go, or in halves where its words are too many tokens."""
    text = text.strip()
    if not any(character.isalnum() for character in text):
        return
    tokens = encode(text.lower())
    if len(tokens) <= max_tokens:
        yield tokens
    elif len(text) == 1:
        yield tokens[:max_tokens]
    else:
        for start, end in pieces(text, (len(text) + 1) // 2):
            yield from _fitting(text[start:end], encode, max_tokens)
