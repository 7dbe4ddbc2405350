"""How sure a figure is: 95 % intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_Z = 1.959964
"""Of 95 %, two-sided."""
_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and where it may lie; NaN where nothing was measured."""

    value: float
    low: float
    high: float
    count: int


_NOTHING = Estimate(math.nan, math.nan, math.nan, 0)


def rate(hits: int, count: int) -> Estimate:
    """A share, with the score interval (E. B. Wilson, 1927)."""
    if count == 0:
        return _NOTHING
    share = hits / count
    middle = share + _Z**2 / (2 * count)
    reach = _Z * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    scale = 1 + _Z**2 / count
    return Estimate(share, max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale), count)


def quantile(values: Sequence[float], share: float) -> Estimate:
    """Interpolated linearly, with the interval between two order statistics (binomial, without assumptions).

    Where there are too few values for the upper one, the interval ends at infinity: no more is known.
    """
    if not values:
        return _NOTHING
    ordered = sorted(values)
    count = len(ordered)
    below = _binomial(count, share)
    first = max((k for k in range(count + 1) if below[k] <= 0.025), default=-1)
    last = min((k for k in range(count + 1) if below[k] >= 0.975), default=count)
    # P(the k-th of the ordered values < quantile) = P(at least k below it)
    low = ordered[first] if 0 <= first < count else -math.inf
    high = ordered[last] if last < count else math.inf
    return Estimate(float(np.quantile(ordered, share)), low, high, count)


def mean(values: Sequence[float], seed: int = 0) -> Estimate:
    """With a percentile bootstrap (B. Efron, 1979)."""
    if not values:
        return _NOTHING
    array = np.asarray(values, dtype=float)
    drawn = np.random.default_rng(seed).integers(0, array.size, (_RESAMPLES, array.size))
    low, high = np.quantile(array[drawn].mean(axis=1), (0.025, 0.975))
    return Estimate(float(array.mean()), float(low), float(high), array.size)


def _binomial(count: int, share: float) -> list[float]:
    """P(X <= k) of so many draws, for k = 0 … count."""
    return [
        float(value)
        for value in np.cumsum([math.comb(count, k) * share**k * (1 - share) ** (count - k) for k in range(count + 1)])
    ]
