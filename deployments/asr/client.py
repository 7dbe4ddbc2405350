"""The Asr stage as a session sees it: utterances that survive the loss of a replica."""

import asyncio
import contextlib
import uuid

from deployments.asr.contract import AsrOptions, AsrPush, AsrReply, Transcript
from deployments.media.audio import BYTES_PER_SAMPLE, SPEECH_RATE_HZ, samples_of
from deployments.runtime.errors import Conflict, InvalidRequest, StageError, StageUnavailable, StateLost, TooLarge
from deployments.runtime.ports import PushPort


class AsrClient:
    """Opens utterances over any port."""

    def __init__(self, port: PushPort[AsrPush, AsrReply], deadline_s: float, max_audio_s: float = 60.0) -> None:
        """`deadline_s` bounds the wait for a reply, `max_audio_s` the audio of an utterance."""
        self._port = port
        self._deadline_s = deadline_s
        self._max_audio_s = max_audio_s

    def open(self, session_id: str, options: AsrOptions | None = None) -> "Utterance":
        """Begin an utterance; nothing is sent yet. It ends the one that the session had before."""
        return Utterance(self._port, session_id, options or AsrOptions(), self._deadline_s, self._max_audio_s)


class Utterance:
    """One utterance. Calls wait for each other, so that one is in flight.

    Keeps its audio, and sends it again from the beginning to another replica when its own is lost: once per call.
    Cancelling a call leaves the utterance usable: what it sent is asked for again before the next is sent.
    """

    def __init__(
        self,
        port: PushPort[AsrPush, AsrReply],
        session_id: str,
        options: AsrOptions,
        deadline_s: float,
        max_audio_s: float,
    ) -> None:
        self._port = port
        self._session_id = session_id
        self._options = options
        self._deadline_s = deadline_s
        self._max_audio_s = max_audio_s
        self._id = uuid.uuid4().hex
        self._next_n = 0
        self._audio = bytearray()
        self._sent_bytes = 0
        self._unanswered: AsrPush | None = None
        self._turn = asyncio.Lock()
        self._closed = False

    @property
    def audio_s(self) -> float:
        """How much it has been given."""
        return len(self._audio) / BYTES_PER_SAMPLE / SPEECH_RATE_HZ

    async def push(self, pcm: bytes) -> Transcript:
        """Hear 16 kHz speech; the interim words so far.

        Raises TooLarge when it would grow over the limit, InvalidRequest for half a sample, StageUnavailable or
        StateLost when a retry has failed too, StageTimeout, EngineFailed, ServerFull.
        """
        self._check(pcm)
        async with self._turn:
            self._check(pcm)
            self._audio += pcm
            return await self._send()

    async def finalize(self, pcm: bytes = b"") -> Transcript:
        """The final words of all that was heard, the last block included; more may be pushed after.

        Raises what `push` raises.
        """
        self._check(pcm)
        async with self._turn:
            self._check(pcm)
            self._audio += pcm
            return await self._send(finalize=True)

    async def close(self) -> None:
        """Let the stage forget it. May be called more than once; a stage that has lost it has nothing to forget."""
        if self._closed:
            return
        self._closed = True
        async with self._turn:
            if self._next_n > 0:
                request = AsrPush(self._id, self._next_n, close=True, options=self._options)
                with contextlib.suppress(StageError):
                    await self._port.push(self._session_id, request, deadline_s=self._deadline_s)

    def _check(self, pcm: bytes) -> None:
        if self._closed:
            raise Conflict("the utterance is closed")
        try:
            more_s = samples_of(pcm) / SPEECH_RATE_HZ
        except ValueError as error:
            raise InvalidRequest(str(error), param="pcm") from error
        if self.audio_s + more_s > self._max_audio_s:
            raise TooLarge(f"an utterance is at most {self._max_audio_s:g} s long; finalise it and begin another")

    async def _send(self, *, finalize: bool = False) -> Transcript:
        """Push what has not been sent yet; when the replica is lost, everything to another."""
        try:
            if self._unanswered is not None:
                await self._exchange(self._unanswered)
            return await self._exchange(self._request(finalize))
        except (StateLost, StageUnavailable):
            self._id = uuid.uuid4().hex
            self._next_n = self._sent_bytes = 0
            return await self._exchange(self._request(finalize))

    def _request(self, finalize: bool) -> AsrPush:
        pcm = bytes(self._audio[self._sent_bytes :])
        request = AsrPush(self._id, self._next_n, pcm, finalize, options=self._options)
        self._next_n += 1
        self._sent_bytes = len(self._audio)
        return request

    async def _exchange(self, request: AsrPush) -> Transcript:
        """One request and its reply. A long block gets as much more time as it lasts."""
        self._unanswered = request
        block_s = len(request.pcm) / BYTES_PER_SAMPLE / SPEECH_RATE_HZ
        reply = await self._port.push(self._session_id, request, deadline_s=self._deadline_s + block_s)
        self._unanswered = None
        return reply.transcript
