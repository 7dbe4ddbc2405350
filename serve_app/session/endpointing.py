"""When a turn of the user is over: the silence it takes, fixed or by what the words and their melody look like so far.

last speech sample                                            time ──▶
      │◀─ finalize_after_ms ─▶│ recognition is made final on the guess that nothing more comes
      │◀──────────── required silence ────────────▶│ the turn is over
"""

from dataclasses import dataclass
from typing import Protocol

from configs.vad import ProsodyConfig, SemanticWaits
from serve_app.session.completeness import Completeness
from serve_app.session.cues import completeness
from serve_app.session.prosody import Ending


@dataclass(frozen=True, slots=True)
class Pause:
    """What is known of the user's speech in a pause."""

    words: str
    """Interim words so far."""
    language: str | None
    """An ISO 639-1 code or a tag that begins with one."""
    ending: Ending = Ending.UNKNOWN
    """How the speech before it ended."""


class EndpointPolicy(Protocol):
    """How long the user must be silent for the turn to be over."""

    def required_silence_ms(self, pause: Pause) -> float:
        """Silence since the last speech sample that ends the turn. Pure.

        To be asked again with every frame: the words may still change.
        """
        ...


class SilenceEndpointing:
    """`server_vad`: a fixed silence."""

    def __init__(self, silence_duration_ms: float) -> None:
        self._silence_duration_ms = silence_duration_ms

    def required_silence_ms(self, pause: Pause) -> float:
        return self._silence_duration_ms


class SemanticEndpointing:
    """`semantic_vad`: early after a finished sentence, late where more must follow.

    The words choose a wait; where they tell little, the melody moves it towards a neighbour. Words of which more may or
    must follow are believed whatever the melody: voices fall at the end of each group of a number.

               finished_ms ─── finished_held ──▶ · ◀── falling ─── open_ms ── open_held ──▶ ·        unfinished_ms
                                                                                       halfway
    """

    def __init__(self, waits: SemanticWaits, prosody: ProsodyConfig) -> None:
        finished, opened, unfinished = waits.finished_ms, waits.open_ms, waits.unfinished_ms
        held_on = _between(opened, unfinished, prosody.open_held)
        self._wait_ms = {
            Completeness.FINISHED: finished,
            Completeness.OPEN: opened,
            Completeness.HALFWAY: held_on,
            Completeness.UNFINISHED: unfinished,
        }
        self._moved_ms = {
            (Completeness.FINISHED, Ending.LEVEL): _between(finished, opened, prosody.finished_held),
            (Completeness.OPEN, Ending.FALLING): _between(opened, finished, prosody.falling),
            (Completeness.OPEN, Ending.LEVEL): held_on,
            (Completeness.OPEN, Ending.RISING): held_on,
        }
        """A finished question may well rise."""

    def required_silence_ms(self, pause: Pause) -> float:
        looks = completeness(pause.words, pause.language)
        return self._moved_ms.get((looks, pause.ending), self._wait_ms[looks])


def _between(here: float, there: float, share: float) -> float:
    return here + share * (there - here)
