"""What was said and is not played yet: the `output_audio_buffer` of the Realtime API.

A session sends each reply's sound a lead ahead of real time, so no more than that is ever held here. Replies that run
at the same time (one outside the conversation, say) are mixed. With a face all sound comes in its blocks, in one line.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from deployments.media.audio import BYTES_PER_SAMPLE, VOICE_RATE_HZ, fade_out, ms_to_samples, samples_of

_FADE_BYTES = BYTES_PER_SAMPLE * ms_to_samples(10, VOICE_RATE_HZ)
_REPLIES_KEPT = 32
_FACE = "face"
_TAIL = "tail"

Change = Literal["started", "stopped", "cleared"]


@dataclass(slots=True)
class Reply:
    """A response that has sent sound."""

    id: str
    item_id: str
    waiting: int = 0
    """Bytes not played yet."""
    played: int = 0
    """Bytes."""
    complete: bool = False
    """Nothing more of it will come."""
    over: bool = False
    """Played to its end, or cleared."""

    @property
    def played_ms(self) -> int:
        """How much of it has been played."""
        return self.played // BYTES_PER_SAMPLE * 1000 // VOICE_RATE_HZ


@dataclass(slots=True)
class _Span:
    pcm: bytes
    reply: Reply | None
    """None: silence, or the end of what was cut off."""


@dataclass(slots=True)
class _Line:
    spans: deque[_Span] = field(default_factory=deque)
    put: int = 0
    """Samples so far."""
    taken: int = 0


class OutputBuffer:
    """Filled by the session's events, emptied by the clock of the call. 24 kHz."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}
        self._replies: dict[str, Reply] = {}
        self._changes: list[tuple[Change, str]] = []

    def reply(self, response_id: str, item_id: str) -> Reply:
        """The response, known from its first sound on; the last few are kept."""
        reply = self._replies.setdefault(response_id, Reply(response_id, item_id))
        while len(self._replies) > _REPLIES_KEPT:
            del self._replies[next(iter(self._replies))]
        return reply

    def find(self, *, response_id: str | None = None, item_id: str | None = None) -> Reply | None:
        """The response of an id, or of an item's."""
        return next(
            (each for each in self._replies.values() if response_id == each.id or item_id == each.item_id), None
        )

    @property
    def sounding(self) -> tuple[Reply, ...]:
        """Those that are played, or about to be."""
        return tuple(reply for reply in self._replies.values() if not reply.over)

    @property
    def waiting_samples(self) -> int:
        """The longest line."""
        return max((line.put - line.taken for line in self._lines.values()), default=0)

    @property
    def face_at(self) -> int | None:
        """The sample of the face's sound that is played next; None where there is none."""
        line = self._lines.get(_FACE)
        return line.taken if line and line.spans else None

    def say(self, reply: Reply, pcm: bytes) -> None:
        """More of a reply's sound."""
        self._put(reply.id, pcm, reply)

    def show(self, pcm: bytes, spoken: Sequence[tuple[Reply, int]]) -> int:
        """The sound of a face's block, of which `spoken` says whose its first bytes are; the sample where it begins."""
        begin = self._lines.setdefault(_FACE, _Line()).put
        at = 0
        for reply, size in spoken:
            self._put(_FACE, pcm[at : at + size], reply)
            at += size
        self._put(_FACE, pcm[at:], None)
        return begin

    def take(self, samples: int) -> bytes:
        """The next sound, silence where there is none."""
        size = BYTES_PER_SAMPLE * samples
        sounding = [pcm for name in list(self._lines) if (pcm := self._take_from(name, size))]
        for reply in self.sounding:
            if reply.complete and not reply.waiting:
                self._end(reply, "stopped")
        if len(sounding) <= 1:
            return sounding[0].ljust(size, b"\0") if sounding else bytes(size)
        mixed = np.zeros(samples, dtype=np.int32)
        for pcm in sounding:
            mixed[: samples_of(pcm)] += np.frombuffer(pcm, "<i2")
        return np.clip(mixed, -32768, 32767).astype("<i2").tobytes()

    def clear(self, reply: Reply) -> None:
        """Drop what was not played of a reply, but for a fade of 10 ms. A face says it until `cut_face`."""
        line = self._lines.pop(reply.id, None)
        if line is not None:
            self._fade(line.spans)
        if not reply.over:
            self._end(reply, "cleared")

    def cut_face(self, *, all_of_it: bool) -> int:
        """Drop what was not played of the face's sound, but for a fade: its silent end, or all. Where it ends now."""
        line = self._lines.get(_FACE)
        if line is None:
            return 0
        kept: deque[_Span] = deque()
        while not all_of_it and any(span.reply is not None for span in line.spans):
            kept.append(line.spans.popleft())
        self._fade(line.spans)
        line.put -= sum(samples_of(span.pcm) for span in line.spans)
        line.spans = kept
        return line.put

    def changes(self) -> list[tuple[Change, str]]:
        """What has happened to which response since this was last asked."""
        changes, self._changes = self._changes, []
        return changes

    def _put(self, name: str, pcm: bytes, reply: Reply | None) -> None:
        if not pcm:
            return
        line = self._lines.setdefault(name, _Line())
        line.spans.append(_Span(pcm, reply))
        line.put += samples_of(pcm)
        if reply is not None:
            reply.waiting += len(pcm)

    def _take_from(self, name: str, size: int) -> bytes:
        line = self._lines[name]
        out = b""
        while line.spans and len(out) < size:
            span = line.spans[0]
            piece, span.pcm = span.pcm[: size - len(out)], span.pcm[size - len(out) :]
            out += piece
            if span.reply is not None:
                self._played(span.reply, len(piece))
            if not span.pcm:
                line.spans.popleft()
        line.taken += samples_of(out)
        if not line.spans and name != _FACE:
            del self._lines[name]
        return out

    def _played(self, reply: Reply, size: int) -> None:
        if not reply.played and not reply.over:
            self._changes.append(("started", reply.id))
        reply.waiting -= size
        reply.played += size

    def _fade(self, spans: Sequence[_Span]) -> None:
        rest = b""
        for span in spans:
            rest += span.pcm[: _FADE_BYTES - len(rest)]
            if span.reply is not None:
                span.reply.waiting -= len(span.pcm)
        self._put(_TAIL, fade_out(rest), None)

    def _end(self, reply: Reply, how: Change) -> None:
        reply.over = True
        if reply.played:
            self._changes.append((how, reply.id))
