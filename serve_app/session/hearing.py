"""Recognises one utterance while it is spoken."""

import asyncio
from collections.abc import Callable

from deployments.asr.client import AsrClient, Utterance
from deployments.asr.contract import AsrOptions, Transcript
from deployments.media.audio import BYTES_PER_SAMPLE, SPEECH_RATE_HZ, ms_to_samples, samples_of
from deployments.runtime.errors import ParleyError, TooLarge

_BLOCK_BYTES = BYTES_PER_SAMPLE * ms_to_samples(100, SPEECH_RATE_HZ)
_MOST_BYTES = BYTES_PER_SAMPLE * ms_to_samples(1000, SPEECH_RATE_HZ)
"""What a slow recogniser left lying is sent in pieces of this, fewer and larger."""


class Hearing:
    """One utterance on its way through recognition. `feed` is called by the session, `run` by a task of it."""

    def __init__(
        self,
        asr: AsrClient,
        session_id: str,
        options: AsrOptions,
        *,
        max_samples: int,
        on_interim: Callable[[Transcript], None],
    ) -> None:
        self._asr = asr
        self._session_id = session_id
        self._options = options
        self._max_samples = max_samples
        self._on_interim = on_interim
        self._pending = bytearray()
        self._moved = asyncio.Event()
        self._settled = asyncio.Event()
        self._wants_final = False
        self._dropped = False
        self._failure: ParleyError | None = None
        self._final_of_samples = -1
        self.fed_samples = 0
        self.transcript = Transcript()
        """The newest words, interim or final."""

    @property
    def full(self) -> bool:
        """Whether it is as long as an utterance may be."""
        return self.fed_samples >= self._max_samples

    @property
    def is_final(self) -> bool:
        """The words are those of all that was fed."""
        return self._final_of_samples == self.fed_samples

    def feed(self, pcm: bytes) -> None:
        """Hear more. Raises TooLarge over the bound, keeping what was heard before."""
        if self.fed_samples + samples_of(pcm) > self._max_samples:
            raise TooLarge(
                f"more than {self._max_samples // SPEECH_RATE_HZ} s of sound wait for an answer: commit or clear it",
                "input_audio_buffer_full",
            )
        self._pending += pcm
        self.fed_samples += samples_of(pcm)
        self._wants_final = False
        self._moved.set()

    def settle(self) -> None:
        """Make the words of what was fed final, on the guess that nothing more comes."""
        self._wants_final = True
        self._moved.set()

    def drop(self) -> None:
        """Nobody wants the words any more."""
        self._dropped = True
        self._pending.clear()
        self._moved.set()

    async def final(self) -> Transcript:
        """The final words of all that was fed. Raises what recognition raised."""
        self.settle()
        while not self.is_final:
            if self._failure is not None:
                raise self._failure
            self._settled.clear()
            await self._settled.wait()
        self.drop()
        return self.transcript

    async def run(self, after: "asyncio.Task[None] | None" = None) -> None:
        """Push blocks as they come, until the words are taken or dropped.

        A stage holds one utterance of a session at a time: this one waits for the one before to end.
        """
        if after is not None:
            await asyncio.wait((after,))
        utterance = self._asr.open(self._session_id, self._options)
        try:
            while not self._dropped:
                if self._ready():
                    await self._push(utterance)
                elif self._wants_final and not self.is_final:
                    await self._finalize(utterance)
                else:
                    self._moved.clear()
                    await self._moved.wait()
        except ParleyError as error:
            self._failure = error
        finally:
            self._settled.set()
            await utterance.close()

    def _ready(self) -> bool:
        return len(self._pending) >= (1 if self._wants_final else _BLOCK_BYTES)

    async def _push(self, utterance: Utterance) -> None:
        block = bytes(self._pending[:_MOST_BYTES])
        del self._pending[:_MOST_BYTES]
        before = self.transcript.text
        self.transcript = await utterance.push(block)
        if self.transcript.text != before and not self._dropped:
            self._on_interim(self.transcript)

    async def _finalize(self, utterance: Utterance) -> None:
        fed_samples = self.fed_samples
        self.transcript = await utterance.finalize()
        self._final_of_samples = fed_samples
        self._settled.set()
