"""From a trial to what its user sounds like."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.duplex import noises
from benchmarks.duplex.clips import CLIPS, Clip
from benchmarks.duplex.studio import Studio
from benchmarks.duplex.trials import Trial
from benchmarks.speech_scenes import NO_NOISE, Samples, read_clip
from deployments.media.audio import SPEECH_RATE_HZ, VOICE_RATE_HZ, ms_to_samples

SPEECH_DB = -26.0
"""Of full scale: active speech at a gain of 0 (ITU-T P.56's usual level)."""
_ROOM_DB = -75.0
"""No room is more quiet."""
_FULL_SCALE = 32768.0
_STEP = VOICE_RATE_HZ // 100
_AUDIBLE_DB = 40.0
"""Below the loudest nothing is heard."""
_DATA = Path(__file__).parents[2] / "tests" / "data"


@dataclass(frozen=True, slots=True)
class Heard:
    """A sound at 24 kHz, and what is in it."""

    samples: Samples
    first: int
    """The first sample that stands out of the background."""
    last: int
    """The last one, exclusive."""
    words: tuple[tuple[str, int], ...] = ()
    """Each word and the sample at which it ends."""
    gaps: tuple[tuple[int, int], ...] = ()
    """From the last sample before a hesitation to the first after it."""


def utterances(trial: Trial, studio: Studio) -> tuple[Heard, ...]:
    """What is said, or the noise that bursts in."""
    if trial.noise:
        sound = _resampled(noises.event(trial.noise, trial.seed), trial.pitch)
        sound = sound * _amplitude(SPEECH_DB + trial.gain_db)
        return (Heard(sound, 0, sound.size),)
    return tuple(_utterance(trial, CLIPS[name], studio) for name in trial.clips)


def room(trial: Trial, count: int) -> Samples:
    """What the microphone hears all the time: the background, at the trial's ratio to the user's speech."""
    level_db = _ROOM_DB if trial.snr_db == NO_NOISE else _background_db(trial)
    return noises.background(trial.background, count, trial.seed) * _amplitude(level_db)


def _background_db(trial: Trial) -> float:
    return SPEECH_DB + (0.0 if trial.noise else trial.gain_db) - trial.snr_db


def _amplitude(level_db: float) -> float:
    return float(_FULL_SCALE * 10 ** (level_db / 20))


def _utterance(trial: Trial, clip: Clip, studio: Studio) -> Heard:
    """Pieces with hesitations between, at the trial's level."""
    parts: list[Samples] = []
    words: list[tuple[str, int]] = []
    gaps: list[tuple[int, int]] = []
    at = 0
    for n in range(len(clip.pieces)):
        sound, said = _piece(trial, clip, n, studio)
        first, last = _audible(sound, _AUDIBLE_DB)
        sound = sound[first:last]
        if n:
            pause = ms_to_samples(trial.pause_ms, VOICE_RATE_HZ)
            gaps.append((at, at + pause))
            parts.append(np.zeros(pause))
            at += pause
        words += [(word, at + max(0, min(end, last) - first)) for word, end in said]
        parts.append(sound)
        at += sound.size
    whole = np.concatenate(parts)
    whole = whole * (_amplitude(SPEECH_DB + trial.gain_db) / np.sqrt(_active_power(whole)))
    first, last = _audible(whole, min(_AUDIBLE_DB, trial.snr_db + _crest_db(whole)))
    return Heard(whole, first, last, tuple(words), tuple(gaps))


def _piece(trial: Trial, clip: Clip, n: int, studio: Studio) -> tuple[Samples, list[tuple[str, int]]]:
    """Sound, and words with their ends in it."""
    text = clip.pieces[n]
    if clip.file:
        start_ms, end_ms = clip.spans_ms[n]
        recorded = read_clip(_DATA / f"{clip.file}.wav")
        cut = recorded[ms_to_samples(start_ms, SPEECH_RATE_HZ) : ms_to_samples(end_ms, SPEECH_RATE_HZ)]
        sound = _resampled(noises.upsampled(cut), trial.pitch)
        said = text.split()
        return sound, [(word, (k + 1) * sound.size // len(said)) for k, word in enumerate(said)]
    spoken = studio.speak(text, trial.voice, speed=trial.speed)
    sound = np.frombuffer(spoken.pcm, "<i2").astype(np.float64)
    return sound, [(text[word.text_start : word.text_end], word.end_sample) for word in spoken.words]


def _resampled(samples: Samples, faster: float) -> Samples:
    """Played `faster`, and so much higher: linear interpolation, above the noise of the recordings."""
    out: Samples = np.interp(np.arange(0, samples.size - 1, faster), np.arange(samples.size), samples)
    return out


def _levels_db(samples: Samples) -> Samples:
    power = (samples[: samples.size // _STEP * _STEP].reshape(-1, _STEP) ** 2).mean(axis=1)
    levels: Samples = 10 * np.log10(np.maximum(power, 1e-3))
    return levels


def _active_power(samples: Samples) -> float:
    """Of the speech without its pauses: the steps within 20 dB of the loudest."""
    levels = _levels_db(samples)
    return float(np.mean(10 ** (levels[levels > levels.max() - 20] / 10)))


def _crest_db(samples: Samples) -> float:
    return float(_levels_db(samples).max() - 10 * np.log10(_active_power(samples)))


def _audible(samples: Samples, below_loudest_db: float) -> tuple[int, int]:
    """From the first 10 ms that are not so far below the loudest to the last."""
    levels = _levels_db(samples)
    loud = np.flatnonzero(levels > levels.max() - below_loudest_db)
    return int(loud[0]) * _STEP, int(loud[-1] + 1) * _STEP
