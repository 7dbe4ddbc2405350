"""Settings of voice activity detection and endpointing."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Eagerness = Literal["low", "medium", "high", "auto"]
"""OpenAI's `turn_detection.eagerness`; `auto` means `medium`."""


class VadConfig(BaseModel):
    """When a sound counts as speech."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: float = Field(default=0.5, gt=0, lt=1)
    """Probability of speech, by Silero, from which a 32 ms chunk counts as speech."""
    hysteresis: float = Field(default=0.15, ge=0, lt=1)
    """Speech goes on while the probability is at least `threshold - hysteresis`."""
    min_speech_ms: float = Field(default=60, ge=0, le=1000)
    """Sound shorter than this is no onset. At least two chunks must agree whatever is set: a click makes one."""
    release_ms: float = Field(default=150, ge=50, le=1000)
    """Silence after which an offset is reported. Shorter dips are part of the speech."""
    prefix_padding_ms: float = Field(default=300, ge=0, le=2000)
    """Sound before the onset that belongs to the utterance."""
    gate_mode: Literal[0, 1, 2, 3] = 2
    """Aggressiveness of webrtcvad, the gate in front of Silero."""
    gate_margin_db: float = Field(default=3, ge=0, le=20)
    """Sound closer than this to the noise floor leaves the gate shut."""
    gate_hold_ms: float = Field(default=400, ge=0, le=5000)
    """The gate stays open this long after the last frame that opened it."""
    pause_hold_ms: float = Field(default=2000, ge=0, le=10_000)
    """The gate stays open at least so long after speech: who hesitates goes on, and a model that begins anew in a noise
    10 dB below the speech misses whole words."""
    preroll_ms: float = Field(default=320, ge=32, le=500)
    """Sound before the gate opened with which Silero's state is warmed up."""
    second_opinion: Literal["never", "over_replies", "always"] = "over_replies"
    """When Silero is asked once more, about the sound with the noise suppressed; in noisy rooms only."""
    noisy_from_db: float = Field(default=-60, ge=-100, le=0)
    """A room whose noise is at least so loud, in dB of full scale, is noisy."""

    @property
    def release_threshold(self) -> float:
        """Probability below which speech may have ended."""
        return max(self.threshold - self.hysteresis, 0.01)


class SileroConfig(BaseModel):
    """How the sessions of a replica share one Silero model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch_window_ms: float = Field(default=5, ge=0, le=5)
    """Least time between two runs while several sessions ask; a session alone never waits."""
    max_batch: int = Field(default=64, ge=1, le=512)
    """Sessions in one run; the rest wait for the next."""
    inline_rows: int = Field(default=4, ge=0, le=512)
    """Runs for up to so many sessions stay on the event loop; larger ones go to a worker thread.

    CPU per chunk with 8 sessions speaking: 0.49 ms on the loop, 0.64 ms by the thread. With 40: 0.22 ms on the loop,
    0.24 ms by the thread, of which only 0.11 ms on the loop.
    """


class SemanticWaits(BaseModel):
    """Silence that ends a turn, by how the words so far look."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    finished_ms: float = Field(gt=0, le=10_000)
    """A whole sentence, a question, a short answer."""
    open_ms: float = Field(gt=0, le=10_000)
    """Nothing tells."""
    unfinished_ms: float = Field(gt=0, le=10_000)
    """More must follow: a trailing conjunction, preposition, article or filler, a number of which digits lack."""


class ProsodyConfig(BaseModel):
    """`semantic_vad`: what the melody before a pause tells, and how much it weighs.

    Semitones and decibels were chosen by the recorded clips and espeak voices of `benchmarks/turn_ends.py`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_voiced_ms: float = Field(default=200, ge=100, le=1000)
    """Less voice than this before a pause tells nothing."""
    min_snr_db: float = Field(default=8.0, ge=0, le=40)
    """Speech that stands out of the pause by less is not judged: noise bends what is heard of the pitch."""
    low_st: float = Field(default=3.0, gt=0, le=12)
    """Semitones by which a voice that is through ends below its middle of the last 1.2 s."""
    fall_st: float = Field(default=0.8, gt=0, le=12)
    """By which its last 50 ms lie below the 220 ms before."""
    decay_db: float = Field(default=2.5, ge=0, le=30)
    """By which the energy falls with it."""
    level_st: float = Field(default=1.5, gt=0, le=12)
    """A change of pitch under this is none."""
    held_db: float = Field(default=6.0, ge=0, le=30)
    """A fall of energy under this is none."""
    held_until_ms: float = Field(default=150, ge=0, le=1000)
    """A voice that is held sounds to within this of the pause."""
    falling: Annotated[float, Field(ge=0, le=1)] = 0.7
    """Nothing tells but a fall: how far the wait moves from `open_ms` to `finished_ms`."""
    finished_held: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Finished words but a held voice: how far it moves from `finished_ms` to `open_ms`."""
    open_held: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Nothing tells but a held or rising voice: how far it moves from `open_ms` to `unfinished_ms`."""


class EndpointingConfig(BaseModel):
    """When a turn of the user is over."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    silence_duration_ms: Annotated[float, Field(ge=100, le=10_000)] = 500
    """`server_vad`: silence that ends a turn."""
    finalize_after_ms: float = Field(default=200, ge=0, le=5000)
    """Silence after which recognition is finalised speculatively."""
    low: SemanticWaits = SemanticWaits(finished_ms=800, open_ms=2000, unfinished_ms=8000)
    medium: SemanticWaits = SemanticWaits(finished_ms=400, open_ms=1000, unfinished_ms=4000)
    high: SemanticWaits = SemanticWaits(finished_ms=250, open_ms=600, unfinished_ms=2000)
    """`semantic_vad`, by eagerness. The longest waits are those that OpenAI documents: 8, 4 and 2 s."""
    prosody: ProsodyConfig = ProsodyConfig()

    def waits(self, eagerness: Eagerness) -> SemanticWaits:
        """The waits of an eagerness."""
        return {"low": self.low, "medium": self.medium, "high": self.high, "auto": self.medium}[eagerness]
