"""Streaming conversion between sample rates, with a delay that a conversation does not notice.

A windowed-sinc polyphase filter: with from/to = M/L, every group of M samples in gives L samples out, and each of the L
has its own fixed weights over the samples around it. So one block is one matrix product.

Why not a library: soxr (1.1.0) works in long blocks, which a stream hears as delay. Measured for 20 ms blocks: median
time in µs, the most that was held back in ms, and what is left at 16 kHz of a tone at 9 kHz, which must vanish.

                 24 to 16 kHz          8 to 16 kHz     24 to 8 kHz
    soxr VHQ     3 µs  76 ms           3 µs  111 ms    3 µs  153 ms
    soxr HQ      9 µs  37 ms  -83 dB   3 µs  115 ms    3 µs   73 ms
    soxr MQ      8 µs  38 ms           3 µs  118 ms    3 µs   75 ms
    soxr LQ      5 µs  20 ms  -83 dB   3 µs   61 ms    6 µs   40 ms
    soxr QQ      5 µs   0 ms   -2 dB   5 µs    0 ms    4 µs    0 ms    no filter: hiss folds into the speech
    this         9 µs   2 ms  -75 dB   8 µs    2 ms    9 µs    2 ms

A group is 1 ms, or where the rates do not allow that the smallest there is: 6.7 ms for 22,050 to 24,000 Hz. What does
not fill one is held back.
"""

import functools
import math

import numpy as np
import numpy.typing as npt

HALF_WIDTH_MS = 2.0
"""The filter looks so far ahead, which is its delay."""
CUTOFF = 0.95
"""Of the lower Nyquist frequency, at half amplitude. To 16 kHz: flat to 7 kHz, -3 dB at 7.5, -75 dB from 8.2."""
KAISER_BETA = 6.0
"""Stop band 63 dB down (J. F. Kaiser, 1974)."""
MAX_TERM = 1024
"""Of the ratio in lowest terms; bounds the matrix. 11,025 to 48,000 Hz, the worst of the usual pairs, has 640."""

Floats = npt.NDArray[np.float32]


class Resampler:
    """One stream of mono 16-bit PCM from `from_hz` to `to_hz`.

    Sample k out sits at the time k / to_hz of the input: nothing is shifted, the delay is only in when it arrives.
    Raises ValueError for a rate that is not positive or a pair whose ratio has too large terms.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self._identity = from_hz == to_hz
        self._up, self._down = _group(from_hz, to_hz)
        self._weights = _weights(from_hz, to_hz)
        self._reach = _reach(from_hz)
        self._start()

    def push(self, pcm: bytes, last: bool = False) -> bytes:
        """Convert the next block; `last` also gives what was held back, after which a new stream may begin.

        In all, n samples give ceil(n · to_hz / from_hz). Raises ValueError for half a sample.
        """
        if self._identity:
            return pcm
        block = np.frombuffer(pcm, dtype="<i2")
        held = self._held.size
        samples = np.zeros(held + block.size + (self._reach + self._down if last else 0), dtype=np.float32)
        samples[:held] = self._held
        samples[held : held + block.size] = block
        self._taken += block.size
        out = self._convert(samples)
        if last:
            out = out[: 2 * (-(-self._taken * self._up // self._down) - self._given)]
            self._start()
        else:
            self._given += len(out) // 2
        return out

    def _start(self) -> None:
        self._held: Floats = np.zeros(self._reach, dtype=np.float32)
        self._taken = 0
        self._given = 0

    def _convert(self, samples: Floats) -> bytes:
        """Every whole group in `samples`; keeps the rest and the past that the next group needs."""
        window = self._weights.shape[0]
        groups = (samples.size - window) // self._down + 1
        if groups <= 0:
            self._held = samples
            return b""
        # sliding_window_view takes 15 µs for this. Without the copy BLAS refuses the overlapping rows, and the product
        # takes twice as long.
        step = samples.itemsize
        windows: Floats = np.ndarray((groups, window), np.float32, samples, strides=(step * self._down, step))
        out = windows.copy() @ self._weights
        self._held = samples[groups * self._down :]
        np.rint(out, out=out)
        np.maximum(out, -32768, out=out)
        np.minimum(out, 32767, out=out)
        return out.astype("<i2").tobytes()


def _group(from_hz: int, to_hz: int) -> tuple[int, int]:
    """(L, M): L samples out for M in; those of 1 ms if possible, because fewer windows are copied in half the time."""
    up, down = _ratio(from_hz, to_hz)
    per_ms, rest = divmod(from_hz, 1000)
    times = per_ms // down if rest == 0 and per_ms % down == 0 else 1
    return up * times, down * times


def _ratio(from_hz: int, to_hz: int) -> tuple[int, int]:
    """(L, M): L samples out for M in."""
    if from_hz <= 0 or to_hz <= 0:
        raise ValueError(f"rates must be positive: {from_hz} to {to_hz} Hz")
    common = math.gcd(from_hz, to_hz)
    up, down = to_hz // common, from_hz // common
    if max(up, down) > MAX_TERM:
        raise ValueError(f"{from_hz} to {to_hz} Hz is the ratio {up}/{down}; its terms may be {MAX_TERM} at most")
    return up, down


def _reach(from_hz: int) -> int:
    """Samples in on either side that one sample out hears."""
    return math.ceil(HALF_WIDTH_MS * from_hz / 1000)


@functools.cache
def _weights(from_hz: int, to_hz: int) -> Floats:
    """Weights of one group. Shape: (reach + M + reach, L)."""
    up, down = _group(from_hz, to_hz)
    reach = _reach(from_hz)
    position = np.arange(-reach, down + reach)[:, None]
    centre = np.arange(up)[None, :] * down / up
    distance = position - centre
    cutoff = CUTOFF * min(1.0, up / down)
    inside = np.clip(1.0 - (distance / reach) ** 2, 0.0, None)
    window = np.where(np.abs(distance) <= reach, np.i0(KAISER_BETA * np.sqrt(inside)) / np.i0(KAISER_BETA), 0.0)
    weights = np.sinc(cutoff * distance) * window
    unit_gain: Floats = (weights / weights.sum(axis=0)).astype(np.float32)
    return unit_gain
