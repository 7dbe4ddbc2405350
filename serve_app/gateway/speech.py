"""What a film says: text that is spoken as it is needed, or a recording."""

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol

from deployments.llm.client import LlmClient
from deployments.llm.contract import Finished, LlmRequest, TextPiece, Usage
from deployments.media.audio import VOICE_RATE_HZ, samples_of
from deployments.media.clauses import ClauseCutter
from deployments.media.speakable.speaker import Speaker
from deployments.media.speakable.spoken import as_written
from deployments.media.timing import PhonemeTime
from deployments.runtime.errors import StageError
from deployments.tts.client import TtsClient
from deployments.tts.contract import SpeechRequest
from serve_app.session.ledger import Ledger

log = logging.getLogger(__name__)

_CUT_CHARS = 1000
"""Of a text are looked at before its first clause is spoken: cutting takes 2.4 ms for so many."""


class Speech(Protocol):
    """Sound, and what is said in it."""

    def sound(self) -> AsyncGenerator[bytes, None]:
        """All of it, 24 kHz, as it comes. Read it inside `aclosing`, once."""
        ...

    def phonemes(self, first_sample: int, end_sample: int) -> tuple[PhonemeTime, ...] | None:
        """What is said in a stretch, counted from its first sample; None where that is not known."""
        ...


class Recording:
    """Sound that was given."""

    def __init__(self, pcm: bytes) -> None:
        self._pcm = pcm

    async def sound(self) -> AsyncGenerator[bytes, None]:
        """As it is."""
        yield self._pcm

    def phonemes(self, first_sample: int, end_sample: int) -> tuple[PhonemeTime, ...] | None:
        """Not known."""
        return None


class SpokenText:
    """Clauses, spoken one after the other; the next is asked for when the sound of the last one is taken."""

    def __init__(
        self,
        tts: TtsClient,
        clauses: AsyncGenerator[str, None],
        request: SpeechRequest,
        at_most_s: float,
        speaker: Speaker | None = None,
    ) -> None:
        """`request`: voice, language and pace. It ends with the clause in which it gets longer than `at_most_s`.
        `speaker` puts clauses into words; None: they are said as they are written.
        """
        self._tts = tts
        self._speaker = speaker
        self._clauses = clauses
        self._request = request
        self._most_samples = int(at_most_s * VOICE_RATE_HZ)
        self._ledger = Ledger(request.speed)

    @property
    def text(self) -> str:
        """What was said so far."""
        return self._ledger.text.strip()

    def phonemes(self, first_sample: int, end_sample: int) -> tuple[PhonemeTime, ...] | None:
        """As the speech engine tells them."""
        return self._ledger.phonemes(first_sample, end_sample)

    async def sound(self) -> AsyncGenerator[bytes, None]:
        """Raises what `TtsClient.speak` and the clauses raise."""
        samples = 0
        async with aclosing(self._clauses) as clauses:
            async for clause in clauses:
                said = self._speaker.spoken(clause) if self._speaker is not None else as_written(clause)
                self._ledger.begin_clause(clause, samples, said)
                if said.says_something:
                    async with aclosing(self._spoken(said.text)) as pieces:
                        async for pcm in pieces:
                            samples += samples_of(pcm)
                            yield pcm
                self._ledger.end_clause(samples)
                if samples >= self._most_samples:
                    return

    async def _spoken(self, clause: str) -> AsyncGenerator[bytes, None]:
        """A clause's sound. After a replica died in the middle of it, the rest comes from another."""
        request = replace(self._request, text=clause)
        given = 0
        for attempt in (1, 2):
            skip = given
            try:
                async with aclosing(self._tts.speak(request)) as blocks:
                    async for block in blocks:
                        if attempt == 1:
                            self._ledger.add_times(block.words, block.phonemes)
                        pcm = block.pcm[skip:]
                        skip = max(0, skip - len(block.pcm))
                        given += len(pcm)
                        yield pcm
                return
            except StageError as error:
                if attempt == 2 or not error.retryable:
                    raise
                log.warning("speech broke off, asking again: %s", error)


async def clauses_of(text: str) -> AsyncGenerator[str, None]:
    """A text in pieces that can be spoken."""
    cutter = ClauseCutter()
    for at in range(0, len(text), _CUT_CHARS):
        for clause in cutter.feed(text[at : at + _CUT_CHARS]):
            yield clause
    for clause in cutter.flush():
        yield clause


class SpokenReply(SpokenText):
    """What the model says, spoken."""

    def __init__(
        self,
        tts: TtsClient,
        llm: LlmClient,
        asked: LlmRequest,
        request: SpeechRequest,
        at_most_s: float,
        speaker: Speaker | None = None,
    ) -> None:
        super().__init__(tts, self._clauses_of_reply(llm, asked), request, at_most_s, speaker)
        self.usage = Usage()
        """What it cost the model, once it is whole."""

    async def _clauses_of_reply(self, llm: LlmClient, asked: LlmRequest) -> AsyncGenerator[str, None]:
        async with aclosing(llm.reply(asked)) as items:
            async for item in items:
                if isinstance(item, TextPiece):
                    yield item.text
                elif isinstance(item, Finished):
                    self.usage = item.usage


async def whole(speech: Speech) -> bytes:
    """All of its sound."""
    async with aclosing(speech.sound()) as pieces:
        return b"".join([piece async for piece in pieces])
