"""Text and tokens: what the model is told before it hears, and the words of what it wrote."""

from collections.abc import Sequence
from typing import Any, Final

from deployments.asr.whisper.heard import UNSPACED, Question, Word

HINTS_MOST: Final = 223
"""Half of the 448 tokens that the model takes, less the one that announces them."""


class Tokens:
    """One model's tokenizer."""

    def __init__(self, tokenizer: Any, *, multilingual: bool) -> None:
        """`tokenizer`: of the library `tokenizers`."""
        from faster_whisper.tokenizer import Tokenizer

        self.multilingual = multilingual
        self._tokenizer = tokenizer
        self._names = {name: tokenizer.token_to_id(f"<|{name}|>") for name in _SPECIAL}
        self._names["nospeech"] = self._names["nospeech"] or self._names["nocaptions"]
        # Only its splitting is used, which looks at neither task nor language.
        self._splitter = Tokenizer(tokenizer, multilingual=False)
        self.suppressed = [-1, *(self._names[name] for name in _NEVER_WRITTEN if self._names[name] is not None)]
        """Never to be written; -1 stands for the model's own list."""

    def language_token(self, language: str) -> int | None:
        """None where the model does not have it."""
        token: int | None = self._tokenizer.token_to_id(f"<|{language}|>")
        return token

    def hints(self, prompt: str, hotwords: Sequence[str]) -> tuple[int, ...]:
        """Tokens of what is likely to be said. Text that looks like one of Whisper's own marks is left out."""
        texts = [", ".join(word.strip() for word in hotwords if word.strip()), prompt.strip()]
        return tuple(self._text_tokens("".join(f" {text}" for text in texts if text))[:HINTS_MOST])

    def _text_tokens(self, text: str) -> list[int]:
        ids = self._tokenizer.encode(text, add_special_tokens=False).ids
        return [token for token in ids if self._is_text(token)]

    def start(self, question: Question, language: str) -> list[int]:
        """The marks that say what is to be written."""
        marks = [self._names["startoftranscript"]]
        if self.multilingual:
            marks += [self.language_token(language), self._names[question.task]]
        return [mark for mark in marks if mark is not None]

    def prompt(self, question: Question, language: str) -> list[int]:
        """All that precedes the answer, its prefix included."""
        hints = [self._names["startofprev"], *question.hints[-HINTS_MOST:]] if question.hints else []
        return [*hints, *self.start(question, language), self._names["notimestamps"], *question.prefix]

    def text_only(self, tokens: Sequence[int]) -> list[int]:
        """Without marks and times."""
        return [token for token in tokens if self._is_text(token)]

    def words(self, tokens: Sequence[int], language: str) -> tuple[Word, ...]:
        """Of text tokens, in order, with all of them. Tokens that are no text by themselves stay with a word."""
        unspaced = language in UNSPACED
        units, unit_tokens = self._splitter.split_tokens_on_unicode(list(tokens))
        words: list[Word] = []
        for unit, ids in zip(units, unit_tokens, strict=True):
            text = "".join(unit.split())
            begins = unit[:1].isspace() or (unspaced and text.isalnum())
            if words and not (begins and text and words[-1].text):
                last = words[-1]
                words[-1] = Word(last.text + text, (*last.tokens, *ids), last.spaced)
            else:
                words.append(Word(text, tuple(ids), unit[:1].isspace()))
        return tuple(word for word in words if word.text)

    def _is_text(self, token: int) -> bool:
        return token < int(self._names["endoftext"])


_NEVER_WRITTEN: Final = ("transcribe", "translate", "startoftranscript", "startofprev", "startoflm", "nospeech")
_SPECIAL: Final = (*_NEVER_WRITTEN, "endoftext", "nocaptions", "notimestamps")
