"""Knows the assistant's own sound in what the microphone hears, and takes it out while the user has the turn.

A backchannel comes back from the loudspeaker while the user is listened to: it must not count as words, nor as speech
that prolongs the turn. A frame that is its echo is replaced by a frame of the room as it was just before.
"""

from deployments.media.audio import BYTES_PER_SAMPLE, SPEECH_RATE_HZ, ms_to_samples
from serve_app.session.echo import EchoGuard
from serve_app.session.loudspeaker import Loudspeaker

_COMPARED_MS = 320
"""Of the microphone's sound, with what was played. With 160 ms rooms blur the difference between echoes and people."""
_MOST_DELAY_MS = 600
"""From sending sound that is due at once to its echo: the network twice, the client's buffers, the room."""

_COMPARED_BYTES = BYTES_PER_SAMPLE * ms_to_samples(_COMPARED_MS, SPEECH_RATE_HZ)
_REACH_S = (_COMPARED_MS + _MOST_DELAY_MS) / 1000


class OwnVoice:
    """Used by the session's one loop, frame by frame."""

    def __init__(self, guard: EchoGuard, loudspeaker: Loudspeaker) -> None:
        self._guard = guard
        self._loudspeaker = loudspeaker
        self._recent = bytearray()
        self._room = b""
        self._until_s = 0.0
        self.room_db = -100.0
        """Level of the room when nothing is played: a steady echo would be taken for it."""

    def is_heard(self, now_s: float) -> bool:
        """Whether the newest sound of the microphone is what the client has just played."""
        return self._guard.is_echo(bytes(self._recent), self._loudspeaker.played(now_s, _REACH_S), self.room_db)

    def without(self, frame: bytes, now_s: float, *, sounds: bool, user_speaks: bool) -> bytes:
        """The microphone's next frame, or the room's sound in its place. `sounds`: a backchannel is made or played."""
        self._recent += frame
        del self._recent[:-_COMPARED_BYTES]
        if sounds:
            self._until_s = now_s + _REACH_S
        if now_s >= self._until_s:
            self._room = frame
        elif user_speaks and self.is_heard(now_s):
            return self._room
        return frame
