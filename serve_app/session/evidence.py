"""What speaks for speech, summed up chunk by chunk."""

import math


class Evidence:
    """A cumulative sum (CUSUM, Page 1954): two chunks at the threshold are enough, one never is.

    In the first vowel of a word ("hi", "hello") Silero often falls back under the threshold. To ask for two chunks in a
    row put the 95th percentile of the latency at 523 ms instead of 171 (recorded words, white noise at 20 dB).
    """

    def __init__(self) -> None:
        self._sum = 0.0
        self._peak = 0.0
        self.began = 0
        """The first sample of what speaks for it."""

    @property
    def any(self) -> bool:
        """Something speaks for speech."""
        return self._sum > 0.0

    def weigh(self, probability: float, chunk_start: int, threshold: float, at_most: float = math.inf) -> None:
        """Take the next chunk. `at_most`: what is summed up, so that it is soon gone."""
        before = self._sum
        self._sum = min(at_most, max(0.0, before + min(probability - threshold / 2, 0.8 * threshold)))
        self._peak = max(self._peak, probability) if self.any else 0.0
        if before == 0.0:
            self.began = chunk_start

    def is_enough(self, threshold: float, times: int = 1) -> bool:
        """Enough speaks for it, or `times` as much, and one chunk plainly."""
        return self._sum >= times * threshold and self._peak >= threshold

    def forget(self) -> None:
        """Begin anew."""
        self._sum = self._peak = 0.0
