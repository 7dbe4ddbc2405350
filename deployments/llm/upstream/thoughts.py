"""Splits a model's thoughts off where the server leaves them in the text: `<think>…</think>` before the answer."""

from typing import Final

_OPEN: Final = "<think>"
_CLOSE: Final = "</think>"


class ThoughtSplitter:
    """One reply's text in, what is to be said out."""

    def __init__(self) -> None:
        self._held = ""
        self._inside: bool | None = None
        """None: not known yet."""

    def feed(self, text: str) -> str:
        """What of the text so far is certain to be said, and was not given yet."""
        if self._inside is False:
            return text
        self._held += text
        if self._inside is None:
            begun = self._held.lstrip()
            if begun.startswith(_OPEN):
                self._inside = True
            elif _OPEN.startswith(begun):
                return ""
            else:
                return self._say(self._held)
        end = self._held.find(_CLOSE)
        if end < 0:
            self._held = self._held[-max(len(_CLOSE), len(_OPEN)) :]
            return ""
        return self._say(self._held[end + len(_CLOSE) :].lstrip())

    def flush(self) -> str:
        """The reply ended; an end of thoughts that never came leaves nothing to say."""
        return "" if self._inside else self._say(self._held)

    def _say(self, text: str) -> str:
        self._inside, self._held = False, ""
        return text
