import cv2
import numpy as np
import pytest

from deployments.avatar.test_pattern import draw, openness_of, read_frame_number, read_openness


@pytest.mark.parametrize("number", [0, 1, 2, 255, 256, 14_999, 2**20 + 7, 2**24 - 1])
@pytest.mark.parametrize("size", [(64, 64), (160, 128), (384, 580)])
def test_a_number_is_read_back_from_any_size(number: int, size: tuple[int, int]) -> None:
    picture = draw(number, 0.5, *size)
    assert (picture.shape, read_frame_number(picture)) == ((size[1], size[0]), number)
    assert read_frame_number(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR).astype(np.uint8)) == number


def test_it_survives_scaling_blur_noise_and_a_weak_contrast() -> None:
    picture = draw(9_876, 0.5, 160, 128)
    scaled = cv2.resize(picture, (213, 171), interpolation=cv2.INTER_LINEAR)
    worn = cv2.GaussianBlur(scaled, (5, 5), 0) * 0.7 + 40 + np.random.default_rng(0).normal(0, 12, scaled.shape)
    assert read_frame_number(worn.clip(0, 255).astype(np.uint8)) == 9_876


def test_what_holds_no_number_gives_none() -> None:
    rng = np.random.default_rng(1)
    pictures = [rng.integers(0, 255, (128, 160)).astype(np.uint8) for _ in range(50)]
    pictures += [np.full((128, 160), level, np.uint8) for level in (0, 128, 255)]
    pictures += [draw(5, 0, 160, 128)[:, ::-1], draw(5, 0, 160, 128)[:40, :20], np.zeros((4, 4), np.uint8)]
    assert [read_frame_number(picture) for picture in pictures] == [None] * len(pictures)


def test_the_mouth_is_as_open_as_it_was_drawn() -> None:
    for openness in (0.0, 0.25, 0.5, 1.0, 7.0):
        assert read_openness(draw(3, openness, 160, 128)) == pytest.approx(min(openness, 1), abs=0.02)


def test_louder_sound_opens_the_mouth_further() -> None:
    sine = np.sin(np.arange(960) / 7).astype(np.float32)
    openness = [
        openness_of(sine * level) for level in (np.float32(0), np.float32(0.01), np.float32(0.1), np.float32(1))
    ]
    assert openness == sorted(openness)
    assert (openness[0], openness_of(sine[:0])) == (0, 0)
    assert openness[1] < openness[2] < openness[3] <= 1
