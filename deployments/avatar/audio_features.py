"""What sound says about the mouth that made it: a few measures for every 10 ms, from band levels.

Bands stand for what formants and noises do: the voice itself, the first formant (how open), the second (spread or
round), hiss. All levels are in dB under the voice's own loudest, so that neither volume nor microphone matters.
"""

import functools
from typing import Final

import numpy as np
import numpy.typing as npt

from deployments.media.audio import VOICE_RATE_HZ

Floats = npt.NDArray[np.float64]

HOP_SAMPLES: Final = VOICE_RATE_HZ // 100
WINDOW_SAMPLES: Final = 2 * HOP_SAMPLES
FFT_SAMPLES: Final = 512
BAND_EDGES_HZ: Final = (80, 250, 500, 800, 1_200, 1_700, 2_400, 3_400, 5_000, 8_000, 11_500)
BANDS: Final = len(BAND_EDGES_HZ) - 1
BACK_HOPS: Final = 12
"""A measure may look so far back."""
AHEAD_HOPS: Final = 8
"""And so far ahead: the last of them takes 80 ms of the sound after the block."""
FLOOR_DB: Final = -60.0
"""Under the loudest: nothing quieter is told apart."""

FEATURES: Final = (
    "level",
    "level_ahead",
    "level_around",
    "voice_share",
    "middle",
    "middle_around",
    "open_around",
    "open_share",
    "front_share",
    "front_share_around",
    "back_or_front",
    "high",
    "hiss",
    "hiss_ahead",
    "high_ahead",
    "velar_ahead",
    "hiss_behind",
)

_WINDOW: Final = np.hanning(WINDOW_SAMPLES)


def _band_matrix() -> Floats:
    """From the spectrum's power to mean square in each band. Shape: (bins, bands)."""
    bins_hz = np.fft.rfftfreq(FFT_SAMPLES, 1 / VOICE_RATE_HZ)
    edges = np.array(BAND_EDGES_HZ)
    inside = (bins_hz[:, None] >= edges[:-1]) & (bins_hz[:, None] < edges[1:])
    return inside.astype(np.float64) * (2.0 / (FFT_SAMPLES * float(_WINDOW @ _WINDOW)))


_BAND_MATRIX: Final = _band_matrix()


def band_levels_db(samples: Floats) -> Floats:
    """Level of each band around each hop in dB of full scale, at least −90. `samples` in [−1, 1).

    Hop h is the middle of samples h × 240 to h × 240 + 480. Shape: (samples // 240 − 1, bands).
    """
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW_SAMPLES)[::HOP_SAMPLES]
    power = np.abs(np.fft.rfft(windows * _WINDOW, FFT_SAMPLES)) ** 2
    return _db(power @ _BAND_MATRIX)


def features(bands_db: Floats, loudest_db: float) -> Floats:
    """The measures named in `FEATURES`, in dB, for every hop of `bands_db` (hops, bands). Shape: (hops, features).

    Beyond the first and the last hop all is taken to stay as it is there.
    """
    levels = np.clip(bands_db - loudest_db, FLOOR_DB, 5.0)
    power = 10.0 ** (levels / 10.0)

    def between(first: int, last: int) -> Floats:
        return _db(power[:, first:last].sum(axis=1))

    level, voice, middle = between(1, 8), between(0, 4), between(3, 6)
    high, hiss, opening = between(6, 8), between(8, 10), between(2, 4)
    front = between(5, 7) - between(3, 5)
    measures = {
        "level": level,
        "level_ahead": _most(level, 1, AHEAD_HOPS) - level,
        "level_around": np.minimum(_most(level, -BACK_HOPS, -1), _most(level, 1, AHEAD_HOPS)) - level,
        "voice_share": levels[:, 0] - level,
        "middle": middle,
        "middle_around": _mean(middle, -2, 2),
        "open_around": _mean(opening, -2, 2),
        "open_share": opening - between(1, 3),
        "front_share": front,
        "front_share_around": _mean(front, -2, 2),
        "back_or_front": levels[:, 3] - between(5, 7),
        "high": high,
        "hiss": hiss,
        "hiss_ahead": _most(hiss, 1, 6) - _most(middle, 1, 6),
        "high_ahead": _most(high, 1, 6) - _most(middle, 1, 6),
        "velar_ahead": _most(levels[:, 5], 1, 5) - _most(levels[:, 2], 1, 5),
        "hiss_behind": _most(hiss, -6, -1) - _most(voice, -6, -1),
    }
    return np.stack([measures[name] for name in FEATURES], axis=1)


def loudest_around(levels_db: Floats, hops: int) -> Floats:
    """The most of each hop and so many before and after it. Shape: (hops,)."""
    return _most(levels_db, -hops, hops)


def _db(power: Floats) -> Floats:
    levels: Floats = 10.0 * np.log10(power + 1e-9)
    return levels


@functools.lru_cache(maxsize=64)
def _neighbours(hops: int, first: int, last: int) -> npt.NDArray[np.intp]:
    """Places of each hop's neighbours from `first` to `last`. Shape: (last − first + 1, hops)."""
    places: npt.NDArray[np.intp] = np.clip(np.arange(hops) + np.arange(first, last + 1)[:, None], 0, hops - 1)
    return places


def _most(values: Floats, first: int, last: int) -> Floats:
    most: Floats = values[_neighbours(values.size, first, last)].max(axis=0)
    return most


def _mean(values: Floats, first: int, last: int) -> Floats:
    mean: Floats = values[_neighbours(values.size, first, last)].mean(axis=0)
    return mean
