import numpy as np
import numpy.typing as npt
import pytest

from deployments.avatar.contract import BLOCK_SAMPLES
from deployments.avatar.ditto.features import Features
from deployments.avatar.ditto.sound import PIECE_SAMPLES, Sound, heard, is_silent
from deployments.media.audio import to_float
from deployments.media.resample import Resampler

FRAME_SAMPLES = 640
"""At 16 kHz."""
SILENCE = np.zeros((5, 1024), np.float32)


def speech(blocks: int, seed: int = 0) -> bytes:
    draw = np.random.default_rng(seed)
    return draw.normal(0, 4000, blocks * BLOCK_SAMPLES).astype("<i2").tobytes()


def block_of(pcm: bytes, number: int) -> bytes:
    return pcm[2 * BLOCK_SAMPLES * number : 2 * BLOCK_SAMPLES * (number + 1)]


def upstream_pieces(pcm: bytes) -> list[npt.NDArray[np.float32]]:
    """As `inference.py` of the checkout cuts them: three frames of silence first, 6,480 samples every five frames."""
    lead = bytes(2 * 3 * FRAME_SAMPLES * 24 // 16)
    padded = to_float(Resampler(24_000, 16_000).push(lead + pcm, last=True))
    count = padded.size // (5 * FRAME_SAMPLES)
    starts = [5 * FRAME_SAMPLES * number for number in range(count)]
    return [padded[start : start + PIECE_SAMPLES] for start in starts]


def test_pieces_are_those_of_upstream() -> None:
    pcm = speech(8)
    expected = upstream_pieces(pcm)
    sound = Sound()
    for number in range(7):
        rest = pcm[2 * BLOCK_SAMPLES * (number + 1) :]
        sound.push(number, block_of(pcm, number), rest)
        piece = heard(sound.piece(number))
        assert piece.shape == (PIECE_SAMPLES,)
        np.testing.assert_array_equal(piece, expected[number])
        # Cut from what lies ahead, it is the same.
        if number < 6:
            np.testing.assert_array_equal(heard(sound.piece(number + 1)), expected[number + 1])


def test_silence_stands_in_for_what_is_not_known_ahead() -> None:
    pcm = speech(1)
    sound = Sound()
    sound.push(0, pcm, b"")
    piece = heard(sound.piece(0))
    assert np.abs(piece[1920:5100]).max() > 0.1
    assert not piece[5160:].any()
    assert is_silent(sound.piece(2))


def test_a_block_left_out_is_silence() -> None:
    pcm = speech(3)
    sound = Sound()
    sound.push(0, block_of(pcm, 0), b"")
    sound.push(2, block_of(pcm, 2), b"")
    piece = heard(sound.piece(1))
    assert not piece[2000:5000].any()
    assert piece[5200:].any()


@pytest.mark.parametrize("size", [0, 2, 2 * BLOCK_SAMPLES - 2, 2 * BLOCK_SAMPLES + 2])
def test_blocks_of_another_length_do_not_shift_what_follows(size: int) -> None:
    sound = Sound()
    sound.push(0, speech(2)[:size], b"")
    sound.push(1, speech(1), b"")
    exact = Sound()
    exact.push(0, (speech(2)[:size] + bytes(2 * BLOCK_SAMPLES))[: 2 * BLOCK_SAMPLES], b"")
    exact.push(1, speech(1), b"")
    assert sound.piece(1) == exact.piece(1)


def made(features: Features, sound: Sound, newest: int, last: int) -> list[int]:
    stale = features.stale(sound, newest, last)
    for block, piece in stale:
        features.put(block, piece, np.full((5, 1024), float(block + 1), np.float32))
    return [block for block, _ in stale]


def test_silence_costs_nothing() -> None:
    sound, features = Sound(), Features(SILENCE)
    for number in range(30):
        sound.push(number, bytes(2 * BLOCK_SAMPLES), b"")
        assert made(features, sound, number, number + 3) == []
    assert not features.rows(range(70, 150)).any()


def test_sound_known_ahead_is_heard_once() -> None:
    pcm = speech(12)
    sound, features = Sound(), Features(SILENCE)
    calls = []
    for number in range(8):
        sound.push(number, block_of(pcm, number), pcm[2 * BLOCK_SAMPLES * (number + 1) :])
        calls += made(features, sound, number, number + 3)
    assert calls == list(range(11))


def test_what_begins_suddenly_is_heard_again() -> None:
    sound, features = Sound(), Features(SILENCE)
    for number in range(5):
        sound.push(number, bytes(2 * BLOCK_SAMPLES), b"")
        made(features, sound, number, number + 1)
    pcm = speech(2)
    sound.push(5, block_of(pcm, 0), block_of(pcm, 1))
    # The block before it heard its first 85 ms; the one after it hears its last 120.
    assert made(features, sound, 5, 6) == [4, 5, 6]
    assert features.block(3) is SILENCE
    rows = features.rows(range(18, 32))
    assert [row[0] for row in rows] == [0.0] * 2 + [5.0] * 5 + [6.0] * 5 + [7.0] * 2


def test_old_features_are_dropped() -> None:
    pcm = speech(60)
    sound, features = Sound(), Features(SILENCE)
    for number in range(60):
        sound.push(number, block_of(pcm, number), b"")
        made(features, sound, number, number)
    assert features.block(59).any()
    assert features.block(43).any()
    assert features.block(30) is SILENCE
