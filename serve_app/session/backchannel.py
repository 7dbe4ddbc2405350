"""The assistant's "uh-huh" while the user tells something long.

It is said in a pause that the words leave open and that is far from ending the turn. It changes nothing: the user keeps
the turn, no item remembers it, the model never sees it. On the wire it is a response outside the conversation.
"""

from collections.abc import Callable

from configs.session import BackchannelConfig
from serve_app.session.completeness import Completeness
from serve_app.session.cues import completeness
from serve_app.session.interruption import Overlap
from serve_app.session.lexicon import lexicon, words_of
from serve_app.session.turn import Turn


class Backchannel:
    """Listens to one utterance after the other. Its rule knows no chance: the same telling hears the same sounds."""

    def __init__(
        self, config: BackchannelConfig, say: Callable[[str], Turn | None], hush: Callable[[Turn], None]
    ) -> None:
        """`say` begins a sound, unless that does not suit; `hush` stops one."""
        self._config = config
        self._say = say
        self._hush = hush
        self._turn: Turn | None = None
        self._answered_ms = 0.0
        """So much of the utterance had been told when it was last answered."""
        self._said = 0

    @property
    def is_on(self) -> bool:
        """Whether it is configured."""
        return self._config.after_s is not None

    @property
    def sounds(self) -> bool:
        """Whether a sound is being made or played."""
        return self._turn is not None and not self._turn.over

    def begin(self) -> None:
        """The user begins to speak."""
        self._answered_ms = 0.0

    def end(self) -> None:
        """The user's turn is over: not one sample more."""
        turn, self._turn = self._turn, None
        if turn is not None and not turn.over:
            self._hush(turn)

    def listen(self, told: Overlap, left_of_pause_ms: Callable[[], float]) -> None:
        """With each frame: what has been told so far, and how far a pause is from ending the turn."""
        if self._turn is not None and self._turn.over:
            self._turn = None
        if self._turn is None:
            if self._is_moment(told, left_of_pause_ms):
                self._answer(told)
        elif told.silence_ms < self._config.pause_ms and self._turn.times.first_audio_s is None:
            self.end()  # too late: the user speaks again

    def _is_moment(self, told: Overlap, left_of_pause_ms: Callable[[], float]) -> bool:
        if self._config.after_s is None or told.speech_ms - self._answered_ms < 1000 * self._config.after_s:
            return False
        if not told.final or told.silence_ms < self._config.pause_ms or not words_of(told.words):
            return False
        if completeness(told.words, told.language) is Completeness.FINISHED:
            return False
        return left_of_pause_ms() >= self._config.room_ms

    def _answer(self, told: Overlap) -> None:
        known = lexicon(told.language)
        if known is None or not known.listening_sounds:
            return
        self._turn = self._say(known.listening_sounds[self._said % len(known.listening_sounds)])
        if self._turn is not None:
            self._said += 1
            self._answered_ms = told.speech_ms
