"""How well the lips of `portrait` fit to what is said: closures, openings, lag and stillness.

    python -m benchmarks.lip_sync [--every 1] [--data tests/data] [--json FILE]

Sentences spoken by espeak, once with its phoneme times and once from the sound alone; half of them were tuned on, the
other half was not. The phonemes of recorded speech were found by forced alignment (`aligned_speech.py`); the mouth goes
by its sound alone, as it would. What is measured is the aperture that is drawn, at 25 fps. No clock takes part but in
the CPU figures, so all others are the same on every run.

closures: share of p, b and m in which, or within one frame of which, the lips are closed (aperture under 0.1).
by chance: the same share if the same movements came at another time of the same sentence.
right closures: share of the stretches of closed frames in speech that are within one frame of a p, b, m, f or v.
shut vowels: share of frames in the middle of a vowel, away from p, b, m, f and v, in which the lips are closed.
low vowels: share of "ah"-like vowels in which the aperture reaches 0.4.
lag: of the aperture behind the loudness of the sound, by cross-correlation away from p, b, m, f and v; r is the
correlation there.
still: the largest aperture, and its largest change, in silence from 120 ms after the last sound.
"""

import argparse
import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from benchmarks.aligned_speech import TEXTS, aligned
from benchmarks.report import Table
from benchmarks.speech_scenes import read_clip
from benchmarks.spoken_scenes import SpokenScene, spoken_scenes
from deployments.avatar.contract import BLOCK_SAMPLES
from deployments.avatar.lipsync import LipSync
from deployments.avatar.visemes import visemes_of
from deployments.media.audio import SPEECH_RATE_HZ, VOICE_RATE_HZ, silence, to_float
from deployments.media.resample import Resampler
from deployments.media.timing import PhonemeTime

Floats = npt.NDArray[np.float64]

NAME: Final = "lip_sync"
FRAME_SAMPLES: Final = 960
BLOCK_BYTES: Final = 2 * BLOCK_SAMPLES
AHEAD_BYTES: Final = 2 * VOICE_RATE_HZ * 80 // 1000
CLOSED: Final = 0.1
OPEN: Final = 0.4
LOW_JAW: Final = 0.7
"""Vowels whose shape has a wider jaw are low."""
MAX_LAG_MS: Final = 240


@dataclass(frozen=True, slots=True)
class Counts:
    """Hits and tries, summed over scenes."""

    closures: tuple[int, int] = (0, 0)
    by_chance: tuple[int, int] = (0, 0)
    right_closures: tuple[int, int] = (0, 0)
    shut_vowels: tuple[int, int] = (0, 0)
    low_vowels: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Watched:
    """What the mouth did in one scene."""

    scene: str
    counts: Counts
    lag_ms: float
    correlation: float
    still_aperture: float
    still_change: float


def apertures(pcm: bytes, phonemes: tuple[PhonemeTime, ...] | None) -> Floats:
    """How far the lips are apart in each frame. Given as a session gives it: blocks, 80 ms ahead, phonemes of both."""
    sync = LipSync()
    seen: list[float] = []
    for start in range(0, len(pcm) // BLOCK_BYTES * BLOCK_BYTES, BLOCK_BYTES):
        ahead = pcm[start + BLOCK_BYTES : start + BLOCK_BYTES + AHEAD_BYTES]
        poses = sync.block(pcm[start : start + BLOCK_BYTES], ahead, _within(phonemes, start // 2, BLOCK_SAMPLES))
        seen += [pose.aperture for pose in poses]
    return np.array(seen)


def _within(phonemes: tuple[PhonemeTime, ...] | None, start: int, samples: int) -> tuple[PhonemeTime, ...] | None:
    """The phonemes of a block and of the 80 ms after it, on the block's clock."""
    if phonemes is None:
        return None
    end = start + samples + AHEAD_BYTES // 2
    return tuple(
        PhonemeTime(phoneme.symbol, phoneme.start_sample - start, phoneme.end_sample - start)
        for phoneme in phonemes
        if phoneme.end_sample > start and phoneme.start_sample < end
    )


def count(aperture: Floats, phonemes: tuple[PhonemeTime, ...]) -> Counts:
    """Closures and openings where the phonemes ask for them. A frame stands for its middle."""
    closed = aperture < CLOSED
    spoken = np.zeros(aperture.size, dtype=bool)
    near_contact = np.zeros(aperture.size, dtype=bool)
    vowel = np.zeros(aperture.size, dtype=bool)
    closures: list[slice] = []
    low: list[bool] = []
    for phoneme in phonemes:
        first, last = phoneme.start_sample // FRAME_SAMPLES, (phoneme.end_sample - 1) // FRAME_SAMPLES
        shapes = visemes_of(phoneme.symbol)
        spoken[first : last + 1] = True
        if any(shape.closure for shape in shapes):
            near_contact[max(first - 1, 0) : last + 2] = True
        if any(shape.closure == "lips" for shape in shapes):
            closures.append(slice(max(first - 1, 0), last + 2))
        elif shapes and all(shape.name in ("aa", "E", "ih", "oh") for shape in shapes):
            vowel[first + 1 : last] = True
            if shapes[0].pose.jaw >= LOW_JAW:
                low.append(bool((aperture[first : last + 1] >= OPEN).any()))
    shifted = [np.roll(closed[spoken], shift) for shift in range(3, int(spoken.sum()) - 2)]
    begin = int(np.argmax(spoken))
    chances = [
        bool(moved[max(place.start - begin, 0) : place.stop - begin].any()) for moved in shifted for place in closures
    ]
    runs = [
        run
        for run in _runs(closed & spoken)
        if spoken[max(run.start - 1, 0)] and spoken[min(run.stop, spoken.size - 1)]
    ]
    right = [bool(near_contact[run].any()) for run in runs]
    away = vowel & ~near_contact
    return Counts(
        closures=(sum(bool(closed[place].any()) for place in closures), len(closures)),
        by_chance=(sum(chances), len(chances)),
        right_closures=(sum(right), len(right)),
        shut_vowels=(int((closed & away).sum()), int(away.sum())),
        low_vowels=(sum(low), len(low)),
    )


def _runs(marked: npt.NDArray[np.bool_]) -> list[slice]:
    """Stretches of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marked.astype(np.int8), [0]])))
    return [slice(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def lag_behind_sound(aperture: Floats, pcm: bytes, phonemes: tuple[PhonemeTime, ...]) -> tuple[float, float]:
    """Lag in ms (negative is early) and correlation of the aperture and the loudness, in steps of 10 ms.

    Stretches in which lips or teeth touch are left out, since an "m" is loud and shut.
    """
    loudness = _loudness(pcm, 240)
    at = np.arange(loudness.size) * 10.0 + 5.0
    counts = np.ones(loudness.size, dtype=bool)
    for phoneme in phonemes:
        if any(shape.closure for shape in visemes_of(phoneme.symbol)):
            counts[max(phoneme.start_sample // 240 - 4, 0) : phoneme.end_sample // 240 + 4] = False
    # A pose stands for the middle of its frame.
    opening = np.interp(at, 40.0 * np.arange(aperture.size) + 20.0, aperture)
    best = (0.0, -1.0)
    for shift in range(-MAX_LAG_MS // 10, MAX_LAG_MS // 10 + 1):
        heard = slice(max(-shift, 0), loudness.size - max(shift, 0))
        late = opening[max(shift, 0) : opening.size + min(shift, 0)]
        correlation = float(np.corrcoef(late[counts[heard]], loudness[heard][counts[heard]])[0, 1])
        if correlation > best[1]:
            best = (10.0 * shift, correlation)
    return best


def stillness(aperture: Floats, pcm: bytes) -> tuple[float, float]:
    """The largest aperture and the largest change of it in silence, 120 ms (three frames) after sound and more."""
    loud = _loudness(pcm, FRAME_SAMPLES)[: aperture.size] > 0.0
    after_sound = np.convolve(loud, np.ones(4))[: aperture.size] > 0
    before_sound = np.convolve(loud[::-1], np.ones(3))[: aperture.size][::-1] > 0
    still = aperture[: loud.size][~(after_sound | before_sound)]
    return (float(still.max()), float(np.abs(np.diff(still)).max())) if still.size > 1 else (0.0, 0.0)


def _loudness(pcm: bytes, step: int) -> Floats:
    """Root mean square of each step in dB over −50 dB of full scale, 0 below: as loudness is heard. Shape: (steps,)."""
    samples = to_float(pcm).astype(np.float64)
    power = (samples[: samples.size // step * step].reshape(-1, step) ** 2).mean(axis=1)
    loudness: Floats = np.maximum(10.0 * np.log10(power + 1e-12) + 50.0, 0.0)
    return loudness


def watch(name: str, pcm: bytes, given: tuple[PhonemeTime, ...] | None, true: tuple[PhonemeTime, ...]) -> Watched:
    """One scene; `given` is what the mouth is told, `true` what it is judged by."""
    aperture = apertures(pcm, given)
    return Watched(name, count(aperture, true), *lag_behind_sound(aperture, pcm, true), *stillness(aperture, pcm))


def recorded(data: Path) -> Iterable[tuple[str, bytes, tuple[PhonemeTime, ...]]]:
    """Recorded speech at 24 kHz between silences, with its phonemes."""
    quiet = silence(400, VOICE_RATE_HZ)
    later = len(quiet) // 2
    for name, text in TEXTS.items():
        clip = read_clip(data / f"{name}.wav").astype("<i2")
        phonemes = tuple(
            PhonemeTime(each.symbol, each.start_sample + later, each.end_sample + later) for each in aligned(clip, text)
        )
        sound = Resampler(SPEECH_RATE_HZ, VOICE_RATE_HZ).push(clip.tobytes(), last=True)
        yield name, quiet + sound + quiet, phonemes


def cost_ms(pcm: bytes, phonemes: tuple[PhonemeTime, ...] | None) -> float:
    """CPU of this thread per frame."""
    begin_s = time.thread_time()
    frames = apertures(pcm, phonemes).size
    return (time.thread_time() - begin_s) * 1000.0 / frames


def summary(watched: list[Watched]) -> tuple[float | None, ...]:
    """A table's row: shares in percent."""
    shares = []
    for name in ("closures", "by_chance", "right_closures", "shut_vowels", "low_vowels"):
        hits, tries = (sum(getattr(one.counts, name)[k] for one in watched) for k in (0, 1))
        shares.append(100.0 * hits / tries if tries else None)
    lags_ms = [one.lag_ms for one in watched]
    return (
        *shares,
        float(np.median(lags_ms)),
        float(np.percentile(np.abs(lags_ms), 95)),
        float(np.median([one.correlation for one in watched])),
        max(one.still_aperture for one in watched),
        max(one.still_change for one in watched),
    )


def measure(data: Path, every: int = 1) -> tuple[Table, dict[str, object]]:
    """All scenes, both ways, both halves."""
    scenes = list(spoken_scenes(every))
    rows: list[tuple[str | float | None, ...]] = []
    report: dict[str, object] = {}
    for way in ("phonemes", "sound"):
        for half in ("tuned", "not tuned"):
            chosen = [scene for scene in scenes if scene.tuned == (half == "tuned")]
            watched = [_watch_spoken(scene, way == "phonemes") for scene in chosen]
            rows.append((f"espeak by {way}, {half}", len(watched), *summary(watched)))
            report[f"{way}, {half}"] = [asdict(one) for one in watched]
    spoken = [watch(name, pcm, None, phonemes) for name, pcm, phonemes in recorded(data)]
    rows.append(("recorded, by sound", len(spoken), *summary(spoken)))
    report["recorded"] = [asdict(one) for one in spoken]
    longest = max(scenes, key=lambda scene: len(scene.pcm))
    costs = {"phonemes": cost_ms(longest.pcm, longest.phonemes), "sound": cost_ms(longest.pcm, None)}
    report["cpu_ms_per_frame"] = costs
    note = f"CPU per frame: {costs['phonemes']:.2f} ms by phonemes, {costs['sound']:.2f} ms by sound."
    columns = (
        "lips",
        "scenes",
        "closures %",
        "by chance %",
        "right closures %",
        "shut vowels %",
        "low vowels %",
        "lag p50 ms",
        "|lag| p95 ms",
        "r",
        "still",
        "change",
    )
    return Table("Lips against what is said", columns, rows, note), report


def _watch_spoken(scene: SpokenScene, told: bool) -> Watched:
    return watch(scene.name, scene.pcm, scene.phonemes if told else None, scene.phonemes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("tests/data"))
    parser.add_argument("--every", type=int, default=1, help="only every so manieth voice")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    table, report = measure(options.data, options.every)
    print(table.text())
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
