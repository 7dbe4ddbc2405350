"""A face that says something to a file: no clock but its own, as fast as its reader takes it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from deployments.avatar.client import FaceClient
from deployments.avatar.contract import BLOCK_SAMPLES, AvatarReply
from deployments.media.audio import BYTES_PER_SAMPLE, VOICE_RATE_HZ, ms_to_samples
from deployments.runtime.errors import InvalidRequest
from serve_app.gateway.mp4 import Mp4Writer
from serve_app.gateway.speech import Speech

_BLOCK_BYTES = BYTES_PER_SAMPLE * BLOCK_SAMPLES


async def filmed(face: FaceClient, speech: Speech) -> AsyncGenerator[AvatarReply, None]:
    """The face says it, in blocks of 200 ms, and one block more in which it closes its mouth.

    The face is closed at the end. Read it inside `aclosing`. Raises InvalidRequest where there is nothing to say, and
    what `FaceClient.push` and the speech raise.
    """
    spoken = _Lookahead(speech)
    try:
        async with aclosing(speech.sound()) as pieces:
            while await spoken.fill(pieces, face.ahead_ms):
                yield await spoken.push_to(face)
            if not spoken.samples:
                raise InvalidRequest("There is nothing in it that can be said.", param="input")
        yield await face.push(bytes(_BLOCK_BYTES), phonemes=(), mood="idle")
    finally:
        await face.close()


async def as_mp4(blocks: AsyncGenerator[AvatarReply, None]) -> AsyncGenerator[bytes, None]:
    """The same as the bytes of an MP4, at most one item a block; some are empty. Read it inside `aclosing`."""
    writer = Mp4Writer()
    async with aclosing(blocks):
        async for block in blocks:
            yield await asyncio.to_thread(writer.add, block)
    yield await asyncio.to_thread(writer.finish)


class _Lookahead:
    """Speech that is taken some way ahead of what is shown."""

    def __init__(self, speech: Speech) -> None:
        self.samples = 0
        """Shown so far, less the silence that fills the last block."""
        self._speech = speech
        self._held = bytearray()
        self._over = False

    async def fill(self, pieces: AsyncIterator[bytes], ahead_ms: float) -> bool:
        """Have the next block and so much behind it, as far as there is any; False at the end."""
        wanted = _BLOCK_BYTES + self._ahead_bytes(ahead_ms)
        while len(self._held) < wanted and not self._over:
            piece = await anext(pieces, None)
            self._over = piece is None
            self._held += piece or b""
        return bool(self._held)

    async def push_to(self, face: FaceClient) -> AvatarReply:
        """The next block's pictures."""
        sound = bytes(self._held[:_BLOCK_BYTES])
        following = bytes(self._held[_BLOCK_BYTES : _BLOCK_BYTES + self._ahead_bytes(face.ahead_ms)])
        first, known = self.samples, (len(sound) + len(following)) // BYTES_PER_SAMPLE
        del self._held[:_BLOCK_BYTES]
        self.samples += len(sound) // BYTES_PER_SAMPLE
        return await face.push(
            sound + bytes(_BLOCK_BYTES - len(sound)),
            ahead=following,
            phonemes=self._speech.phonemes(first, first + known),
            mood="speaking",
        )

    @staticmethod
    def _ahead_bytes(ahead_ms: float) -> int:
        return BYTES_PER_SAMPLE * ms_to_samples(ahead_ms, VOICE_RATE_HZ)
