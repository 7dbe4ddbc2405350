"""The pitch and loudness of a stretch of speech, every 10 ms.

Autocorrelation by FFT, divided by that of the window (P. Boersma, "Accurate short-term analysis of the fundamental
frequency", 1993). A second look within reach of the speaker's median removes octave errors (after C. De Looze and
D. Hirst, 2008, who take the reach from quartiles).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from deployments.media.audio import SPEECH_RATE_HZ, to_float

Values = npt.NDArray[np.float32]

LOWEST_HZ, HIGHEST_HZ = 60.0, 400.0
"""Where the pitch of a voice is looked for: a deep man to a child."""
HOP_MS = 10.0

_DECIMATION = 2
_RATE_HZ = SPEECH_RATE_HZ // _DECIMATION
_HOP = round(HOP_MS * _RATE_HZ / 1000)
_WINDOW = 5 * _HOP
"""50 ms: three periods of the lowest pitch."""
_FIRST_LAG, _LAST_LAG = int(_RATE_HZ / HIGHEST_HZ) - 1, int(_RATE_HZ / LOWEST_HZ) + 2
_FFT = 576
"""At least the window and the longest lag together, so that no lag wraps round."""
_BAND_HZ = (80.0, 1500.0)
"""Rumble and hiss have no part in the pitch."""
_VOICED = 0.5
"""Periodicity from which a frame is voiced; white noise stays below 0.4."""
_AUDIBLE_DB = 25.0
"""A frame quieter than the loudest by more is not voiced."""
_OCTAVE_COST = 0.02
"""In periodicity, of a lag twice as long: two periods are as alike as one."""
_REACH = 1.6
"""From the median, either way: 8 semitones."""
_LEAST_POWER = 1e-9
"""-90 dB of full scale."""


def _window_and_its_autocorrelation() -> tuple[Values, Values]:
    shape = np.hanning(_WINDOW + 2)[1:-1]
    spectrum = np.abs(np.fft.rfft(shape, _FFT)) ** 2
    alike = np.fft.irfft(spectrum, _FFT)
    return shape.astype(np.float32), (alike / alike[0])[_FIRST_LAG:_LAST_LAG].astype(np.float32)


def _band() -> Values:
    hz = np.fft.rfftfreq(_FFT, 1 / _RATE_HZ)
    return ((hz >= _BAND_HZ[0]) & (hz <= _BAND_HZ[1])).astype(np.float32)


_SHAPE, _SHAPE_ALIKE = _window_and_its_autocorrelation()
_IN_BAND = _band()
_LAGS = np.arange(_FIRST_LAG + 1, _LAST_LAG - 1, dtype=np.float32)
"""Those that have a neighbour on both sides."""
_COST = _OCTAVE_COST * np.log2(_LAGS / _LAGS[0])


@dataclass(frozen=True, slots=True)
class PitchTrack:
    """Of a stretch of speech. All shapes: (frames,), one frame each 10 ms, the last one at the end of the sound."""

    hz: Values
    """0 where the frame is not voiced."""
    level_db: Values
    """Of the frame's 50 ms below 1.5 kHz, in dB of full scale."""

    @property
    def voiced(self) -> npt.NDArray[np.bool_]:
        """Which frames have a pitch."""
        return self.hz > 0


def track_pitch(pcm: bytes) -> PitchTrack:
    """The pitch of 16 kHz sound, 50 ms of it at least."""
    samples = to_float(pcm)
    frames = (samples.size // _DECIMATION - _WINDOW) // _HOP + 1
    if frames < 1:
        nothing = np.zeros(0, dtype=np.float32)
        return PitchTrack(nothing, nothing)
    kept = samples[samples.size - ((frames - 1) * _HOP + _WINDOW) * _DECIMATION :]
    halved = kept.reshape(-1, _DECIMATION).mean(axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(halved, _WINDOW)[::_HOP]
    power, alike = _autocorrelate(windows)
    level_db = 10 * np.log10(np.maximum(power, _LEAST_POWER))
    audible = level_db > level_db.max() - _AUDIBLE_DB
    lags, heights = _peaks(alike)
    hz = _highest(lags, heights) * audible
    if np.any(hz > 0):
        median_lag = _RATE_HZ / float(np.median(hz[hz > 0]))
        far = np.abs(np.log2(_LAGS / median_lag)) >= np.log2(_REACH)
        heights[:, far] = -np.inf
        hz = _highest(lags, heights) * audible
    return PitchTrack(hz, level_db)


def _autocorrelate(windows: Values) -> tuple[Values, Values]:
    """The power of each window, shape (frames,), and how like itself it is after each lag, shape (frames, lags)."""
    centred = windows - windows.mean(axis=1, keepdims=True)
    spectrum = np.fft.rfft(centred * _SHAPE, _FFT)
    alike = np.fft.irfft((spectrum.real**2 + spectrum.imag**2) * _IN_BAND, _FFT)
    energy = np.maximum(alike[:, :1], _LEAST_POWER)
    power = energy[:, 0] / float(_SHAPE @ _SHAPE)
    return power.astype(np.float32), (alike[:, _FIRST_LAG:_LAST_LAG] / energy / _SHAPE_ALIKE).astype(np.float32)


def _peaks(alike: Values) -> tuple[Values, Values]:
    """By the parabola through three lags, where its top is and how high; -inf where there is none.

    Shapes: (frames, lags). A period seldom is a whole number of samples.
    """
    before, here, after = alike[:, :-2], alike[:, 1:-1], alike[:, 2:]
    peak = (here > before) & (here >= after)
    slope = after - before
    curvature = np.where(peak, 2 * here - before - after, 1)
    lags = _LAGS + slope / (2 * curvature)
    heights = np.where(peak, here + slope**2 / (8 * curvature), -np.inf)
    return lags.astype(np.float32), heights.astype(np.float32)


def _highest(lags: Values, heights: Values) -> Values:
    """The pitch in Hz at the best peak, 0 where none is high enough. Shape: (frames,)."""
    at = np.arange(len(lags)), (heights - _COST).argmax(axis=1)
    hz: Values = np.where(heights[at] > _VOICED, _RATE_HZ / lags[at], 0).astype(np.float32)
    return hz
