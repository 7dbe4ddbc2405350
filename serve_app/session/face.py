"""The session's face: picture and sound go out in blocks of 200 ms, what a reply says or silence."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from deployments.avatar.client import FaceClient
from deployments.avatar.contract import BLOCK_SAMPLES, AvatarReply, Mood
from deployments.media.audio import BYTES_PER_SAMPLE, VOICE_RATE_HZ, ms_to_samples, samples_of, samples_to_ms
from deployments.media.timing import PhonemeTime
from deployments.media.video import BLOCK_MS
from deployments.runtime import clock
from deployments.runtime.errors import ParleyError, StageTimeout
from serve_app.session.events import VideoBlock
from serve_app.session.playout import Playout

log = logging.getLogger(__name__)

_BLOCK_BYTES = BYTES_PER_SAMPLE * BLOCK_SAMPLES
_BLOCK_S = BLOCK_MS / 1000
_IDLE_AHEAD_S = 0.2
"""In silence the client has at least so much picture: little, since the next reply voids it."""
_LAST_MOMENT_S = 0.1
"""With so little left at the client, what there is of a reply's sound goes out, be it less than a block."""
_NOW_S = 1e-6
"""Due within so little is due: less than that, added to the clock, may be lost in rounding."""
_RENDER_DEADLINE_S = 0.5
_BLIND_S = (0.2, 30.0)
"""After a failure sound goes on without a picture for so long, twice as long after each further one."""
_LATE = "The face is not shown for now: its pictures come too late. The conversation goes on with sound."

Cut = Literal["silence", "all"] | None
Phonemes = Callable[[int, int], tuple[PhonemeTime, ...] | None]


@dataclass(frozen=True, slots=True)
class _Source:
    """The reply that is spoken."""

    playout: Playout
    phonemes: Phonemes
    """What is said between two samples of it."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """What goes into the next block."""

    source: _Source | None = None
    sound: bytes = b""
    """Of the reply; empty: silence."""


class LiveFace:
    """Pulls a reply's sound, has it rendered and sends both. `run` by one task; the rest may be called meanwhile.

    Nothing is rendered much before it is sent, so what is held or cut off was at most being rendered: that is not
    sent, the sound stays in the playout, and the next block begins with a keyframe.
    """

    def __init__(
        self,
        client: FaceClient,
        say: Callable[[VideoBlock], None],
        mood: Callable[[], Mood],
        lead_ms: float,
        on_trouble: Callable[[ParleyError], None],
    ) -> None:
        """`lead_ms`: how far ahead of real time a reply is sent. `on_trouble` is told why the picture fails, once until
        there is one again, and not of a single block whose picture was late or lost with its replica.
        """
        self._client = client
        self._say = say
        self._mood = mood
        self._lead_s = lead_ms / 1000
        self._on_trouble = on_trouble
        self._source: _Source | None = None
        self._stirred = asyncio.Event()
        self._sent_until_s = 0.0
        self._spoken_until_s = 0.0
        """By when the client will have shown what it was sent, and the part of it in which a reply is heard."""
        self._at_ms = -BLOCK_MS
        self._over = False
        self._void_all = False
        """The client has dropped what it was sent."""
        self._keyframe = True
        self._blind_until_s = 0.0
        self._blind_s = _BLIND_S[0]
        self._told = False

    @property
    def ahead_ms(self) -> float:
        """How much of the following sound a block wants to know."""
        return self._client.ahead_ms

    @property
    def shows(self) -> bool:
        """It has not ended."""
        return not self._over

    async def run(self) -> None:
        """Show the face until cancelled."""
        try:
            while True:
                await self._next_block()
        finally:
            self._over = True
            if self._source is not None:
                self._source.playout.stir()
            await self._client.close()

    async def play(self, playout: Playout, phonemes: Phonemes) -> None:
        """Speak a reply; returns when all of it is sent, or it is stopped. One at a time.

        Should the face end before, without it.
        """
        source = self._source = _Source(playout, phonemes)
        playout.watch = self._stirred.set
        self._stirred.set()
        try:
            await playout.drained(unless=lambda: self._over)
        finally:
            playout.watch = None
            if self._source is source:
                self._source = None
        if self._over:
            await playout.run()

    def cut(self) -> None:
        """The reply is over and the client drops what it has of it: close the mouth now."""
        self._sent_until_s = self._spoken_until_s = clock.now_s()
        self._void_all = self._keyframe = True
        self._stirred.set()

    def refresh(self) -> None:
        """The client lost something: begin the next block with a keyframe."""
        self._keyframe = True

    def set_bitrate(self, kbps: int) -> None:
        """Of the picture, from the next block on."""
        self._client.bitrate_kbps = kbps

    async def _next_block(self) -> None:
        self._stirred.clear()
        now_s = clock.now_s()
        source = self._source
        ready = source is not None and self._is_ready(source.playout, now_s)
        wait_s = self._due_in_s(now_s, ready)
        if wait_s > _NOW_S:
            await self._wait(wait_s)
            return
        piece = _Piece(source, source.playout.next_sound(_BLOCK_BYTES)) if source is not None and ready else _Piece()
        cut: Cut = None
        if self._void_all:
            cut = "all"
        elif piece.sound and self._sent_until_s > max(now_s, self._spoken_until_s):
            cut = "silence"
        self._keyframe = self._keyframe or cut is not None
        reply = await self._render(piece)
        if piece.sound and not self._still_wanted(piece):
            self._keyframe = True
        elif reply is not None or piece.sound or cut is not None:
            self._send(piece, reply, cut)

    def _is_ready(self, playout: Playout, now_s: float) -> bool:
        due = playout.due_samples(now_s)
        if playout.complete or (self._spoken_until_s - now_s < _LAST_MOMENT_S and playout.lacks_sound):
            return due > 0
        return due >= BLOCK_SAMPLES + ms_to_samples(self.ahead_ms, VOICE_RATE_HZ)

    def _due_in_s(self, now_s: float, ready: bool) -> float:
        """When the next block is to be made."""
        if self._void_all:
            return 0.0
        if ready:
            return self._spoken_until_s - now_s - (self._lead_s - _BLOCK_S)
        playout = self._source.playout if self._source is not None else None
        if playout is not None and (rest_s := playout.rests_for_s(now_s)) > 0:
            return rest_s
        just_spoke = self._sent_until_s == self._spoken_until_s
        more_comes = playout is not None and playout.lacks_sound
        ahead_s = self._lead_s - _BLOCK_S if just_spoke and not more_comes else _IDLE_AHEAD_S
        return max(self._sent_until_s - now_s - ahead_s, self._blind_until_s - now_s)

    def _still_wanted(self, piece: _Piece) -> bool:
        source = piece.source
        return source is self._source and source is not None and source.playout.due_samples(clock.now_s()) > 0

    async def _render(self, piece: _Piece) -> AvatarReply | None:
        """The block's picture; None where there is none for now."""
        if clock.now_s() < self._blind_until_s - _NOW_S:
            return None
        pcm = piece.sound + bytes(_BLOCK_BYTES - len(piece.sound))
        ahead, phonemes = self._around(piece)
        keyframe, self._keyframe = self._keyframe, False
        try:
            async with asyncio.timeout(_RENDER_DEADLINE_S):
                reply = await self._client.push(
                    pcm, ahead=ahead, phonemes=phonemes, mood=self._mood(), keyframe=keyframe
                )
        except (ParleyError, TimeoutError) as error:
            self._go_blind(error)
            return None
        self._blind_s = _BLIND_S[0]
        self._told = False
        return reply

    def _go_blind(self, error: ParleyError | TimeoutError) -> None:
        if isinstance(error, TimeoutError):
            self._client.reopen()
        trouble = error if isinstance(error, ParleyError) else StageTimeout(_LATE)
        log.warning("no picture for %.1f s: %s", self._blind_s, trouble)
        lasting = not trouble.retryable or self._blind_s > _BLIND_S[0]
        if lasting and not self._told:
            self._told = True
            self._on_trouble(trouble)
        self._blind_until_s = clock.now_s() + self._blind_s
        self._blind_s = min(2 * self._blind_s, _BLIND_S[1])
        self._keyframe = True

    def _around(self, piece: _Piece) -> tuple[bytes, tuple[PhonemeTime, ...] | None]:
        """The sound behind the piece, and what is said in both."""
        if piece.source is None:
            return b"", ()
        playout = piece.source.playout
        ahead = playout.following(len(piece.sound), BYTES_PER_SAMPLE * ms_to_samples(self.ahead_ms, VOICE_RATE_HZ))
        first = playout.sent_samples
        return ahead, piece.source.phonemes(first, first + samples_of(piece.sound) + samples_of(ahead))

    def _send(self, piece: _Piece, reply: AvatarReply | None, cut: Cut) -> None:
        now_s = clock.now_s()
        sound = piece.sound
        if piece.source is not None:
            piece.source.playout.send(len(sound), now_s)
        elif self._source is not None:
            sound = self._source.playout.fade()
        if cut == "all":
            self._void_all = False
        self._at_ms += BLOCK_MS
        begins_s = max(now_s, self._spoken_until_s if cut else self._sent_until_s)
        self._sent_until_s = begins_s + _BLOCK_S
        if piece.sound:
            self._spoken_until_s = self._sent_until_s
        self._say(
            VideoBlock(
                at_ms=self._at_ms,
                frames=reply.frames if reply else (),
                width=reply.width if reply else 0,
                height=reply.height if reply else 0,
                pcm=sound + bytes(_BLOCK_BYTES - len(sound)),
                spoken_ms=samples_to_ms(samples_of(piece.sound), VOICE_RATE_HZ),
                cut=cut,
            )
        )

    async def _wait(self, at_most_s: float) -> None:
        try:
            async with asyncio.timeout(at_most_s):
                await self._stirred.wait()
        except TimeoutError:
            return
