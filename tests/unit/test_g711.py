from collections.abc import Callable

import numpy as np
import pytest

from deployments.media.g711 import alaw_decode, alaw_encode, ulaw_decode, ulaw_encode

ALL_CODES = bytes(range(256))
ALL_SAMPLES = np.arange(-32_768, 32_768).astype("<i2")

# Quantized values y of the recommendation at the ends of the segments, with their characters: table 2a, in 14 bits.
ULAW_TABLE = {
    0x80: 8031, 0x8F: 4191, 0x90: 3999, 0x9F: 2079, 0xA0: 1983, 0xAF: 1023, 0xB0: 975, 0xBF: 495,
    0xC0: 471, 0xCF: 231, 0xD0: 219, 0xDF: 99, 0xE0: 93, 0xEF: 33, 0xF0: 30, 0xFE: 2, 0xFF: 0,
}  # fmt: skip
# Table 1a, in 13 bits; the even bits of the characters are inverted on the line.
ALAW_TABLE = {
    0xFF: 4032, 0xF0: 2112, 0xEF: 2016, 0xE0: 1056, 0xDF: 1008, 0xD0: 528, 0xCF: 504, 0xC0: 264,
    0xBF: 252, 0xB0: 132, 0xAF: 126, 0xA0: 66, 0x9F: 63, 0x90: 33, 0x8F: 31, 0x80: 1,
}  # fmt: skip


def samples(pcm: bytes) -> list[int]:
    return [int(sample) for sample in np.frombuffer(pcm, dtype="<i2")]


def test_ulaw_decodes_to_the_values_of_the_recommendation() -> None:
    assert samples(ulaw_decode(bytes(ULAW_TABLE))) == [4 * value for value in ULAW_TABLE.values()]
    assert samples(ulaw_decode(bytes(code & 127 for code in ULAW_TABLE))) == [-4 * v for v in ULAW_TABLE.values()]


def test_alaw_decodes_to_the_values_of_the_recommendation() -> None:
    codes = bytes(code ^ 0x55 for code in ALAW_TABLE)
    assert samples(alaw_decode(codes)) == [8 * value for value in ALAW_TABLE.values()]
    assert samples(alaw_decode(bytes(code ^ 128 for code in codes))) == [-8 * v for v in ALAW_TABLE.values()]


def test_decision_values_of_ulaw() -> None:
    # Table 2a: characters begin at 8159 (the top), 7903, …, 4063, 3935, …, 3, 1 and 0.
    pcm = np.array([32_767, 4 * 7903, 4 * 7903 - 1, 4 * 4063, 4 * 4063 - 1, 4, 3, 0, -1], dtype="<i2").tobytes()
    assert ulaw_encode(pcm).hex(" ") == "80 80 81 8f 90 fe ff ff 7f"


def test_decision_values_of_alaw() -> None:
    # Table 1a: characters begin at 4096 (the top), 3968, …, 2048, 1984, …, 2 and 0.
    pcm = np.array([32_767, 8 * 3968, 8 * 3968 - 1, 8 * 2048, 8 * 2048 - 1, 16, 15, 0, -1], dtype="<i2").tobytes()
    plain = bytes(code ^ 0x55 for code in alaw_encode(pcm))
    assert plain.hex(" ") == "ff ff fe f0 ef 81 80 80 00"


@pytest.mark.parametrize(
    ("decode", "sequence", "overload_db", "full_scale"),
    [
        (ulaw_decode, "1e 0b 0b 1e 9e 8b 8b 9e", 3.17, 4 * 8159),
        (alaw_decode, "34 21 21 34 b4 a1 a1 b4", 3.14, 8 * 4096),
    ],
)
def test_the_reference_tone_of_1_kHz_is_a_milliwatt(
    decode: Callable[[bytes], bytes], sequence: str, overload_db: float, full_scale: int
) -> None:
    tone = np.array(samples(decode(bytes.fromhex(sequence))), dtype=float)
    amplitude = np.sqrt(2 * np.mean(tone**2))
    assert 20 * np.log10(full_scale / amplitude) == pytest.approx(overload_db, abs=0.02)
    assert np.argmax(np.abs(np.fft.rfft(tone))) == 1


@pytest.mark.parametrize(("encode", "decode"), [(ulaw_encode, ulaw_decode), (alaw_encode, alaw_decode)])
def test_every_code_survives_a_round_trip(encode: Callable[[bytes], bytes], decode: Callable[[bytes], bytes]) -> None:
    again = encode(decode(ALL_CODES))
    # µ-law has two zeros, which 16-bit samples cannot tell apart.
    assert {(a, b) for a, b in zip(ALL_CODES, again, strict=True) if a != b} <= {(0x7F, 0xFF)}


@pytest.mark.parametrize(
    ("encode", "decode", "smallest"), [(ulaw_encode, ulaw_decode, 4), (alaw_encode, alaw_decode, 16)]
)
def test_the_error_is_half_a_step_of_the_segment(
    encode: Callable[[bytes], bytes], decode: Callable[[bytes], bytes], smallest: int
) -> None:
    back = np.frombuffer(decode(encode(ALL_SAMPLES.tobytes())), dtype="<i2").astype(int)
    wanted = ALL_SAMPLES.astype(int)
    inside = np.abs(wanted) < 32_124
    error = np.abs(back - wanted)[inside]
    # Sixteen steps to an octave, so half a step is 1/32 of the value at most.
    assert (error <= np.maximum(smallest, (np.abs(wanted[inside]) + 132) / 32)).all()
    assert (np.diff(back) >= 0).all()


def test_half_a_sample_is_refused_and_nothing_stays_nothing() -> None:
    with pytest.raises(ValueError):
        ulaw_encode(b"\x00\x00\x00")
    assert ulaw_encode(b"") == alaw_decode(b"") == b""
