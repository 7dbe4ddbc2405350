"""What two decodings of a growing utterance agree on is stable (LocalAgreement-2).

Macháček, Dabre, Bojar: "Turning Whisper into Real-Time Transcription System", 2023.
"""

from collections.abc import Sequence

from deployments.asr.whisper.heard import Word, text_of


class Agreement:
    """The stable words of one window. They only grow; decodings are made to begin with them."""

    def __init__(self) -> None:
        self._last: tuple[Word, ...] = ()
        self.stable: tuple[Word, ...] = ()

    def add(self, words: Sequence[Word]) -> bool:
        """Take the newer decoding; whether it begins with what is stable. One that does not is not taken.

        The very last word is never stable: its end may not have been spoken yet.
        """
        if not text_of(words).startswith(text_of(self.stable)):
            return False
        agreed = 0
        for before, now in zip(self._last, words, strict=False):
            if before.text != now.text:
                break
            agreed += 1
        agreed = min(agreed, len(words) - 1)
        if agreed > len(self.stable):
            self.stable = tuple(words[:agreed])
        self._last = tuple(words)
        return True
