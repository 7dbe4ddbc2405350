"""A recogniser that reads what is said from a script, with the lag of a real one, on the loop's clock."""

from dataclasses import dataclass

from benchmarks.duplex.line import Said
from deployments.asr.contract import AsrOptions, Transcript
from deployments.runtime import clock

_LAG_S = 0.15
"""From a word's end until it is among the interim words; with the blocks of 100 ms in which a session feeds it, 150 to
250 ms. The embedded recogniser, blocks included: median 120 ms, three quarters 210, nine tenths 290 (142 words of the
recordings). With 0.35 instead, 36 of 40 backchannels keep the turn instead of 37."""
_BEFORE_ONSET_S = 0.6
"""An utterance is opened at most this long after it began: padding, and the time to be certain of speech."""


class ScriptedEars:
    """An AsrEngine. Hears the words that `foretell` was given, each when it is due."""

    languages: tuple[str, ...] = ()

    def __init__(self, language: str) -> None:
        self._language = language
        self._words: list[tuple[str, float]] = []

    def foretell(self, words: Said) -> None:
        """These come."""
        self._words += words

    async def start(self) -> None:
        """Nothing to load."""

    def open(self, options: AsrOptions) -> "ScriptedRecognizer":
        """Begin an utterance now: words that ended before it belong to another one."""
        return ScriptedRecognizer(self, clock.now_s() - _BEFORE_ONSET_S)

    def heard(self, since_s: float, until_s: float) -> Transcript:
        """The words that ended in between."""
        text = " ".join(word for word, end_s in self._words if since_s <= end_s <= until_s)
        return Transcript(text=text, language=self._language)

    async def close(self) -> None:
        """Nothing to free."""


@dataclass(slots=True)
class ScriptedRecognizer:
    """One utterance."""

    ears: ScriptedEars
    since_s: float

    async def accept(self, pcm: bytes) -> Transcript:
        """What has been recognised by now."""
        return self.ears.heard(self.since_s, clock.now_s() - _LAG_S)

    async def finalize(self) -> Transcript:
        """All that was said by now."""
        return self.ears.heard(self.since_s, clock.now_s())

    async def close(self) -> None:
        """Nothing to free."""
