"""How a quantity spreads: the percentiles that tables show."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentiles of measured values, interpolated linearly; NaN where there are none."""

    count: int
    p50: float
    p95: float
    p99: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of any number of values."""
        if not values:
            return cls(0, *[float("nan")] * 4)
        p50, p95, p99, largest = (round(float(value), 2) for value in np.percentile(values, (50, 95, 99, 100)))
        return cls(len(values), p50, p95, p99, largest)
