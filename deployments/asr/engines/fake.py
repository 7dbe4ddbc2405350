"""Hears a script: known words at once, for tests and for measuring the server's own share."""

import asyncio
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from deployments.asr.contract import AsrOptions, Transcript
from deployments.media.audio import SPEECH_RATE_HZ, samples_of
from deployments.media.timing import WordTime
from deployments.runtime.errors import InvalidRequest

Call = Literal["start", "open", "accept", "finalize"]


class Config(BaseModel):
    """What is heard, how long it takes, and what goes wrong on purpose."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    script: tuple[str, ...] = ("hello there",)
    """What each utterance says, in the order in which they are opened; begins again at the end."""
    words_per_s: float = Field(default=4.0, gt=0)
    """Interim words appear as this much is heard, the first with the first sample."""
    final: Literal["all", "heard"] = "all"
    """`finalize` gives all of the script's words, or those that the audio heard so far has room for."""
    accept_ms: float = Field(default=0.0, ge=0)
    """How long `accept` takes."""
    finalize_ms: float = Field(default=0.0, ge=0)
    """How long `finalize` takes."""
    fail_at: Call | None = None
    """This call raises RuntimeError."""
    hang_at: Literal["accept", "finalize"] | None = None
    """This call never returns."""
    translates: bool = True
    """Whether it takes `task="translate"`: it then hears the same words and calls them English."""
    good_calls: int = Field(default=0, ge=0)
    """So many calls of an utterance succeed before `fail_at` or `hang_at` applies."""


class Engine:
    """An AsrEngine without recognition. Waits by the event loop alone, so it works on a virtual clock."""

    languages: tuple[str, ...] = ("en",)

    def __init__(self, config: Config) -> None:
        self._config = config
        self._opened = 0

    async def start(self) -> None:
        """Nothing to load."""
        if self._config.fail_at == "start":
            raise RuntimeError("scripted failure of start")

    def open(self, options: AsrOptions) -> "FakeRecognizer":
        """Begin the script's next utterance."""
        if options.language not in (None, *self.languages):
            raise InvalidRequest(f"the fake recogniser does not speak {options.language!r}", param="language")
        if options.task == "translate" and not self._config.translates:
            raise InvalidRequest("the fake recogniser was told not to translate", "cannot_translate")
        if self._config.fail_at == "open":
            raise RuntimeError("scripted failure of open")
        script = self._config.script
        text = script[self._opened % len(script)] if script else ""
        self._opened += 1
        return FakeRecognizer(self._config, text)

    async def close(self) -> None:
        """Nothing to free."""


class FakeRecognizer:
    """One utterance of the script."""

    def __init__(self, config: Config, text: str) -> None:
        self._config = config
        self._words = text.split()
        self._samples = 0
        self._calls = 0
        self._closed = False

    async def accept(self, pcm: bytes) -> Transcript:
        """The words that the audio so far has room for."""
        await self._call("accept", self._config.accept_ms)
        self._samples += samples_of(pcm)
        return self._transcript(self._heard(), final=False)

    async def finalize(self) -> Transcript:
        """The words of the script; none where no audio was heard."""
        await self._call("finalize", self._config.finalize_ms)
        whole = self._config.final == "all" and self._samples > 0
        return self._transcript(len(self._words) if whole else self._heard(), final=True)

    async def close(self) -> None:
        """It can be used no more."""
        self._closed = True

    async def _call(self, name: Call, delay_ms: float) -> None:
        if self._closed:
            raise InvalidRequest("the utterance is closed")
        self._calls += 1
        await asyncio.sleep(delay_ms / 1000)
        if self._calls > self._config.good_calls:
            if self._config.fail_at == name:
                raise RuntimeError(f"scripted failure of {name}")
            if self._config.hang_at == name:
                await asyncio.Event().wait()

    def _heard(self) -> int:
        room = -(-self._samples * self._config.words_per_s // SPEECH_RATE_HZ)
        return min(len(self._words), int(room))

    def _transcript(self, count: int, *, final: bool) -> Transcript:
        times, text_end = [], -1
        per_word = SPEECH_RATE_HZ / self._config.words_per_s
        for index, word in enumerate(self._words[:count]):
            text_start, text_end = text_end + 1, text_end + 1 + len(word)
            times.append(WordTime(round(index * per_word), round((index + 1) * per_word), text_start, text_end))
        return Transcript(
            text=" ".join(self._words[:count]), final=final, language="en", confidence=1.0, words=tuple(times)
        )
