import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.media.resample import HALF_WIDTH_MS, Resampler

PAIRS = [(24_000, 16_000), (8_000, 16_000), (24_000, 8_000), (8_000, 24_000), (16_000, 24_000), (22_050, 24_000)]
AMPLITUDE = 10_000


def tone(tone_hz: float, rate_hz: int, duration_s: float = 0.5) -> npt.NDArray[np.int16]:
    seconds = np.arange(int(rate_hz * duration_s)) / rate_hz
    samples: npt.NDArray[np.int16] = np.rint(np.sin(2 * np.pi * tone_hz * seconds) * AMPLITUDE).astype("<i2")
    return samples


def convert(pcm: bytes, from_hz: int, to_hz: int, block_bytes: int) -> npt.NDArray[np.int16]:
    resampler = Resampler(from_hz, to_hz)
    blocks = [resampler.push(pcm[at : at + block_bytes]) for at in range(0, len(pcm), block_bytes)]
    return np.frombuffer(b"".join(blocks) + resampler.push(b"", last=True), dtype="<i2")


def gain_db(tone_hz: float, from_hz: int, to_hz: int) -> float:
    out = convert(tone(tone_hz, from_hz).tobytes(), from_hz, to_hz, from_hz // 50 * 2).astype(float)
    middle = out[out.size // 4 : -out.size // 4]
    return float(10 * np.log10(np.mean(middle**2) / (AMPLITUDE**2 / 2) + 1e-12))


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_a_tone_keeps_its_place_in_time(from_hz: int, to_hz: int) -> None:
    out = convert(tone(440, from_hz).tobytes(), from_hz, to_hz, from_hz // 50 * 2)
    wanted = tone(440, to_hz)
    assert out.size == wanted.size
    edge = to_hz // 100
    assert np.abs(out[edge:-edge].astype(int) - wanted[edge:-edge]).max() <= 0.002 * AMPLITUDE


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_a_20_ms_block_comes_out_with_the_stated_delay(from_hz: int, to_hz: int) -> None:
    resampler = Resampler(from_hz, to_hz)
    group_ms = 0.0 if from_hz != 22_050 else 147 / 22.05
    given_ms = 0.0
    for index in range(1, 50):
        given_ms += len(resampler.push(bytes(from_hz // 50 * 2))) / 2 * 1000 / to_hz
        assert 0 <= index * 20 - given_ms <= HALF_WIDTH_MS + group_ms + 0.01


@pytest.mark.parametrize(
    ("tone_hz", "from_hz", "to_hz"), [(8_500, 24_000, 16_000), (9_000, 24_000, 16_000), (4_700, 24_000, 8_000)]
)
def test_what_the_lower_rate_cannot_hold_is_removed(tone_hz: float, from_hz: int, to_hz: int) -> None:
    assert gain_db(tone_hz, from_hz, to_hz) < -60


@pytest.mark.parametrize(
    ("tone_hz", "from_hz", "to_hz"), [(7_000, 24_000, 16_000), (3_300, 8_000, 16_000), (3_300, 24_000, 8_000)]
)
def test_speech_passes_unchanged(tone_hz: float, from_hz: int, to_hz: int) -> None:
    assert gain_db(tone_hz, from_hz, to_hz) == pytest.approx(0, abs=0.2)


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(0, 700), max_size=12), pair=st.sampled_from(PAIRS))
def test_how_the_stream_is_cut_does_not_matter(sizes: list[int], pair: tuple[int, int]) -> None:
    noise = np.random.default_rng(7).integers(-32_768, 32_768, sum(sizes)).astype("<i2")
    resampler = Resampler(*pair)
    ends = np.cumsum(sizes)
    cut = b"".join(resampler.push(noise[end - size : end].tobytes()) for size, end in zip(sizes, ends, strict=True))
    out = np.frombuffer(cut + resampler.push(b"", last=True), dtype="<i2")
    whole = np.frombuffer(Resampler(*pair).push(noise.tobytes(), last=True), dtype="<i2")
    assert out.size == whole.size == -(-noise.size * pair[1] // pair[0])
    # The order of a float32 sum depends on the block's shape, so a sample may round either way.
    assert np.abs(out.astype(int) - whole).max(initial=0) <= 1


def test_full_scale_is_clipped_and_never_wraps() -> None:
    square = np.where(tone(100, 8_000) >= 0, 32_767, -32_768).astype("<i2")
    out = convert(square.tobytes(), 8_000, 16_000, 320)
    repeated = np.repeat(square, 2)
    steady = np.abs(np.convolve(np.sign(repeated), np.ones(21), "same")) == 21
    assert (np.sign(out[steady]) == np.sign(repeated[steady])).all()


def test_after_the_last_block_a_new_stream_begins() -> None:
    resampler = Resampler(24_000, 16_000)
    first = resampler.push(tone(300, 24_000).tobytes(), last=True)
    assert resampler.push(tone(300, 24_000).tobytes(), last=True) == first


def test_equal_rates_pass_the_bytes_on() -> None:
    assert Resampler(16_000, 16_000).push(b"\x01\x02\x03\x04") == b"\x01\x02\x03\x04"


@pytest.mark.parametrize(("from_hz", "to_hz"), [(0, 16_000), (16_000, -1), (44_101, 16_000)])
def test_impossible_rates_are_refused(from_hz: int, to_hz: int) -> None:
    with pytest.raises(ValueError, match="Hz"):
        Resampler(from_hz, to_hz)


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError):
        Resampler(8_000, 16_000).push(b"\x00")
