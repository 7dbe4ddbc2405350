"""Settings of what happens when the user speaks over a reply."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class InterruptionConfig(BaseModel):
    """How it is decided who has the turn. `docs/interruption.md` explains how to tune it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: Literal["two_step", "onset"] = "two_step"
    """`two_step` holds the reply at once and decides by what is said; with `onset` any speech takes the turn."""
    max_hold_ms: float = Field(default=700, ge=100, le=3000)
    """Speech over a held reply that lasts this long takes the turn, unless it is nothing but backchannels."""
    resume_after_ms: float = Field(default=200, ge=60, le=2000)
    """Silence after which short speech without words of its own was nothing, and the reply goes on."""
    words_within_ms: float = Field(default=350, ge=0, le=3000)
    """How long after the user fell silent the words are waited for that decide about short speech."""
    min_content_words: int = Field(default=2, ge=1, le=10)
    """So many words that are no backchannels take the turn at once."""
    min_speech_ms: float = Field(default=350, ge=0, le=3000)
    """A single word takes the turn if the sound lasted this long: shorter ones are misheard too often."""
    echo_likeness: float = Field(default=0.38, gt=0, le=1)
    """From this resemblance to what the client is playing on, a sound is the assistant's own voice. Measured (240 ms to
    320 ms of speech, espeak against recorded people): copies at -6 to -20 dB 0.9 and more, through a room 0.43 and
    more, other people 0.31 at most."""
