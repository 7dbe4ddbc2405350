"""Whether the user is interrupting: decided while playback is held."""

import enum
from dataclasses import dataclass
from typing import Protocol

from configs.interruption import InterruptionConfig
from serve_app.session.lexicon import lexicon, words_of


class Decision(enum.Enum):
    """What to do with held playback."""

    INTERRUPT = "the user wants the turn"
    RESUME = "it was nothing"
    WAIT = "too early to say"


@dataclass(frozen=True, slots=True)
class Overlap:
    """What is known about the user's sound since playback was held."""

    speech_ms: float
    """From its onset to its last speech sample so far."""
    silence_ms: float
    """Since its last speech sample; 0 while the user goes on."""
    words: str
    """Interim words so far."""
    final: bool
    """The words are those of all the sound, and will not change unless the user goes on."""
    language: str | None


class InterruptionPolicy(Protocol):
    """Asked with every frame while playback is held, the first time at once."""

    def decide(self, overlap: Overlap) -> Decision:
        """Pure: the same overlap gives the same decision."""
        ...


class InterruptAtOnset:
    """Any speech takes the turn."""

    def decide(self, overlap: Overlap) -> Decision:
        """INTERRUPT, always."""
        return Decision.INTERRUPT


class TwoStepInterruption:
    """Words decide where there are any, else how long the sound lasts and whether the user goes on.

    speech goes on   a word that takes the turn, or several of content → interrupt; `max_hold_ms` → interrupt, or
                     resume if all of it is backchannels
    silence          no words, backchannels, or one word of a short sound → resume; anything else → interrupt
    """

    def __init__(self, config: InterruptionConfig) -> None:
        self._config = config

    def decide(self, overlap: Overlap) -> Decision:
        words = words_of(overlap.words)
        known = lexicon(overlap.language)
        content = known.content(words) if known else words
        if (known and known.wants_turn(words)) or len(content) >= self._config.min_content_words:
            return Decision.INTERRUPT
        only_backchannels = bool(words) and not content
        if overlap.silence_ms < self._config.resume_after_ms:
            if overlap.speech_ms < self._config.max_hold_ms:
                return Decision.WAIT
            return Decision.RESUME if only_backchannels else Decision.INTERRUPT
        if not overlap.final and overlap.silence_ms < self._config.words_within_ms:
            return Decision.WAIT
        if content and overlap.speech_ms >= self._config.min_speech_ms:
            return Decision.INTERRUPT
        return Decision.RESUME


def policy(config: InterruptionConfig) -> InterruptionPolicy:
    """The one that the configuration names."""
    return TwoStepInterruption(config) if config.policy == "two_step" else InterruptAtOnset()
