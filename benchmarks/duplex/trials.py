"""The trials: what happens in each, and what is right. The same seed gives the same trials."""

import enum
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from benchmarks.duplex import clips, noises
from benchmarks.duplex.clips import Clip
from benchmarks.speech_scenes import NO_NOISE

SEED = 2026
REPLY_ASKED = "tell me a long story about {}"
"""Gets at least 20 s of speech from the embedded language model."""


class Kind(enum.StrEnum):
    """What happens."""

    INTERRUPTION = "interruption"
    OVER_ECHO = "interruption over echo"
    FIRST_WORD = "over the first word"
    TWICE = "two interruptions"
    DURING_CALL = "during a tool call"
    BACKCHANNEL = "backchannel"
    NOISE = "noise over a reply"
    NOISE_ALONE = "noise in silence"
    ECHO = "own echo"
    SILENCE = "silence"
    HESITATION = "hesitation"
    NUMBER = "phone number"


class Right(enum.StrEnum):
    """The right answer."""

    YIELD = "the reply ends and the user is answered"
    KEEP = "the reply goes on to its end"
    QUIET = "nothing is said"
    WAIT = "the user is answered when all is said"


RIGHT: dict[Kind, Right] = {
    Kind.INTERRUPTION: Right.YIELD,
    Kind.OVER_ECHO: Right.YIELD,
    Kind.FIRST_WORD: Right.YIELD,
    Kind.TWICE: Right.YIELD,
    Kind.DURING_CALL: Right.WAIT,
    Kind.BACKCHANNEL: Right.KEEP,
    Kind.NOISE: Right.KEEP,
    Kind.NOISE_ALONE: Right.QUIET,
    Kind.ECHO: Right.KEEP,
    Kind.SILENCE: Right.KEEP,
    Kind.HESITATION: Right.WAIT,
    Kind.NUMBER: Right.WAIT,
}


@dataclass(frozen=True, slots=True)
class Trial:
    """One conversation of some seconds. Levels are relative to speech at -26 dB of full scale."""

    kind: Kind
    seed: int
    held_out: bool
    ask: str
    """What the user has asked in writing to begin with; empty: nothing."""
    clips: tuple[str, ...] = ()
    """What is said, in order (`clips.CLIPS`)."""
    voice: str = ""
    """Of a synthesised user."""
    gain_db: float = 0.0
    speed: float = 1.0
    """Of a synthesised voice, its pitch kept."""
    pitch: float = 1.0
    """Of a recording: by so much it is played faster, and higher."""
    background: str = "pink"
    snr_db: float = NO_NOISE
    """Of the user's speech in the background."""
    noise: str = ""
    """A sound that bursts in."""
    delay_ms: float = 0.0
    """From the reply's first sound (or the call) to the user's."""
    pause_ms: float = 0.0
    """How long the user hesitates."""
    echo_db: float | None = None
    """How loud the microphone hears the assistant."""
    echo_delay_ms: float = 0.0

    @property
    def right(self) -> Right:
        """The right answer."""
        return RIGHT[self.kind]


Maker = Callable[[Kind, int, bool, random.Random], Trial]

_TOPICS = ("a lighthouse", "two foxes", "the sea", "a clock", "an old bridge", "the moon", "a garden", "a train")
_SNRS_DB = (20.0, 10.0, 5.0)
_GAINS_DB = {False: (0.0, -6.0), True: (-12.0, -6.0, 0.0, 6.0)}
_PITCHES = {False: (1.0,), True: (0.92, 0.96, 1.04, 1.08)}
_SPEEDS = {False: (1.0,), True: (0.85, 0.95, 1.1, 1.2)}
_ECHOES_DB, _ECHO_DELAYS_MS = (-6.0, -12.0, -20.0), (50.0, 150.0, 300.0)

SCRIPTED: dict[Kind, int] = {
    Kind.INTERRUPTION: 56,
    Kind.OVER_ECHO: 10,
    Kind.FIRST_WORD: 14,
    Kind.TWICE: 10,
    Kind.DURING_CALL: 10,
    Kind.BACKCHANNEL: 40,
    Kind.NOISE: 32,
    Kind.NOISE_ALONE: 8,
    Kind.ECHO: 18,
    Kind.SILENCE: 6,
    Kind.HESITATION: 24,
    Kind.NUMBER: 10,
}
"""On the virtual clock. 200 and more."""
REAL_TIME: dict[Kind, int] = {
    Kind.INTERRUPTION: 36,
    Kind.OVER_ECHO: 6,
    Kind.FIRST_WORD: 8,
    Kind.TWICE: 6,
    Kind.DURING_CALL: 6,
    Kind.BACKCHANNEL: 14,
    Kind.NOISE: 16,
    Kind.NOISE_ALONE: 4,
    Kind.ECHO: 12,
    Kind.SILENCE: 4,
    Kind.HESITATION: 8,
}
"""Against the server: 120. Nobody reads out a number in the recordings, and the embedded recogniser does not
understand synthesised voices, so numbers are scripted only."""


def scripted(seed: int = SEED) -> tuple[Trial, ...]:
    """Words come from a script: any voice and five languages."""
    return _all(SCRIPTED, seed, "scripted", recorded_only=False)


def real_time(seed: int = SEED) -> tuple[Trial, ...]:
    """Words are recognised: recorded English where they decide, synthesised voices where the length of speech does."""
    return _all(REAL_TIME, seed, "real time", recorded_only=True)


def sample(trials: Sequence[Trial], every: int) -> tuple[Trial, ...]:
    """Some of each kind and half, at least one."""
    groups: dict[tuple[Kind, bool], list[Trial]] = {}
    for trial in trials:
        groups.setdefault((trial.kind, trial.held_out), []).append(trial)
    return tuple(trial for group in groups.values() for trial in group[::every])


def _all(counts: dict[Kind, int], seed: int, label: str, *, recorded_only: bool) -> tuple[Trial, ...]:
    """Every second trial of a kind is of the held-out half; each half has all ratios, in an order of chance."""
    trials = []
    for kind, count in counts.items():
        ratios = {half: _shuffled(_SNRS_DB, count, f"{seed}/{label}/{kind}/{half}") for half in (False, True)}
        for n in range(count):
            chance = random.Random(f"{seed}/{label}/{kind}/{n}")
            trials.append(_made(kind, n, ratios[n % 2 == 1][n // 2], chance, recorded_only))
    return tuple(trials)


def _shuffled(values: Sequence[float], count: int, seed: str) -> list[float]:
    many = [values[n % len(values)] for n in range(count)]
    random.Random(seed).shuffle(many)
    return many


def _made(kind: Kind, n: int, snr_db: float, chance: random.Random, recorded_only: bool) -> Trial:
    held_out = n % 2 == 1
    trial = Trial(
        kind,
        chance.randrange(2**31),
        held_out,
        ask=REPLY_ASKED.format(chance.choice(_TOPICS)),
        background=chance.choice(noises.BACKGROUNDS[held_out]),
        snr_db=snr_db,
        delay_ms=chance.uniform(1000, 2600),
    )
    if kind in (Kind.ECHO, Kind.OVER_ECHO):
        trial = _with_echo(trial, n // 2)
    if kind in (Kind.NOISE, Kind.NOISE_ALONE):
        return _with_noise(trial, n // 2, chance)
    if kind is Kind.ECHO:
        return trial
    if kind is Kind.SILENCE:
        return replace(trial, ask="hello")
    trial = _with_speech(trial, n // 2, chance, recorded_only)
    if kind is Kind.OVER_ECHO:
        return replace(trial, gain_db=chance.choice((0.0, 6.0)))
    if kind is Kind.FIRST_WORD:
        return replace(trial, delay_ms=chance.uniform(0, 250))
    if kind is Kind.DURING_CALL:
        return replace(trial, ask="what is the weather in Paris", delay_ms=chance.uniform(200, 600))
    if kind in (Kind.HESITATION, Kind.NUMBER):
        return replace(trial, ask="", delay_ms=chance.uniform(800, 1200), pause_ms=chance.uniform(500, 1200))
    return trial


def _with_speech(trial: Trial, n: int, chance: random.Random, recorded_only: bool) -> Trial:
    half = trial.held_out
    clip = _clip(trial.kind, half, n, recorded_only)
    later = _clip(Kind.INTERRUPTION, half, n + 1, recorded_only, clip.language)
    voices = clips.VOICES[clip.language, half]
    return replace(
        trial,
        clips=(clip.name, later.name) if trial.kind is Kind.TWICE else (clip.name,),
        voice="" if clip.file and not (trial.kind is Kind.TWICE and not later.file) else voices[n % len(voices)],
        gain_db=_GAINS_DB[half][n % len(_GAINS_DB[half])],
        pitch=chance.choice(_PITCHES[half]),
        speed=chance.choice(_SPEEDS[half]),
    )


def _clip(kind: Kind, held_out: bool, n: int, recorded_only: bool, language: str = "") -> Clip:
    """The kind's clips in turn."""
    recorded, spoken = _CLIPS.get(kind, (clips.RECORDED_INTERRUPTIONS, clips.INTERRUPTIONS))
    if recorded_only and kind is Kind.INTERRUPTION:
        # A quarter are synthesised: long enough that their length decides.
        spoken = tuple(clip for clip in spoken if clip.language == "en")
        pool = [clip for clip in recorded if clip.held_out == held_out]
        long = [clip for clip in spoken if clip.held_out == held_out]
        return long[n // 4 % len(long)] if n % 4 == 3 else pool[(n - n // 4) % len(pool)]
    both = recorded if recorded_only else (*recorded, *spoken)
    pool = [clip for clip in both if clip.held_out == held_out and clip.language == (language or clip.language)]
    return pool[n % len(pool)]


_CLIPS: dict[Kind, tuple[tuple[Clip, ...], tuple[Clip, ...]]] = {
    Kind.BACKCHANNEL: (clips.RECORDED_BACKCHANNELS, clips.BACKCHANNELS),
    Kind.HESITATION: (clips.RECORDED_HESITATIONS, clips.HESITATIONS),
    Kind.NUMBER: ((), clips.NUMBERS),
}


def _with_echo(trial: Trial, n: int) -> Trial:
    return replace(trial, echo_db=_ECHOES_DB[n % 3], echo_delay_ms=_ECHO_DELAYS_MS[n // 3 % 3])


def _with_noise(trial: Trial, n: int, chance: random.Random) -> Trial:
    sounds = noises.EVENTS[trial.held_out]
    return replace(
        trial,
        noise=sounds[n % len(sounds)],
        gain_db=chance.choice((-10.0, -3.0, 3.0, 9.0)),
        pitch=chance.choice(_PITCHES[trial.held_out]),
        ask="" if trial.kind is Kind.NOISE_ALONE else trial.ask,
    )
