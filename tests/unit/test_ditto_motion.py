import numpy as np
import numpy.typing as npt
import pytest

from deployments.avatar.contract import BLOCK_SAMPLES
from deployments.avatar.ditto.features import Features
from deployments.avatar.ditto.law import Law
from deployments.avatar.ditto.motion import SEAM_FRAMES, Motion
from deployments.avatar.ditto.sound import Sound

Floats = npt.NDArray[np.float32]
SILENT = bytes(2 * BLOCK_SAMPLES)
LOUD = np.full(BLOCK_SAMPLES, 9000, "<i2").tobytes()


class Blend:
    """Puts windows together as upstream does, without its fades: the newest window counts."""

    def __init__(self, law: Law) -> None:
        self._law = law
        self.kp_cond: Floats = np.full((1, 2), -1.0, np.float32)
        self.clip_idx = 0

    def __call__(self, predicted: Floats, sequence: Floats | None) -> Floats:
        valid = self._law.valid
        if sequence is not None:
            predicted = np.concatenate([sequence[:, :-valid], predicted[:, -2 * valid :]], axis=1)
        self.clip_idx += 1
        self.kp_cond = predicted[:, predicted.shape[1] - self._law.overlap - 1]
        return predicted


class Head:
    """A face whose motion says, for each frame, which frame it is and how loud it is there."""

    def __init__(self, overlap: int) -> None:
        self.law = Law(overlap)
        self.blend = Blend(self.law)
        self.motion = Motion(self.law, self.blend)
        self.features = Features(np.zeros((5, 1024), np.float32))
        self.sound = Sound()
        self.ran: list[int] = []
        self.starts: dict[int, float] = {}

    def block(self, number: int, pcm: bytes = SILENT, ahead: bytes = b"") -> Floats:
        self.sound.push(number, pcm, ahead)
        for block, piece in self.features.stale(self.sound, number, self.law.last_block(number)):
            own = np.frombuffer(piece, "<i2")[2928 : 2928 + BLOCK_SAMPLES]
            self.features.put(block, piece, np.full((5, 1024), np.abs(own).mean() / 9000, np.float32))
        self.motion.begin(number, self.features)
        while (window := self.motion.wanted(self.features)) is not None:
            self.ran.append(window.index)
            self.starts[window.index] = float(window.start[0, 0])
            frames = np.arange(80, dtype=np.float32) + window.first_frame
            self.motion.put(window, np.stack([frames, window.features[:, 0]], axis=1)[None])
        return self.motion.shown()


@pytest.mark.parametrize("overlap", range(70, 76))
def test_every_block_shows_its_own_frames(overlap: int) -> None:
    head = Head(overlap)
    for number in range(40):
        frames = head.block(number)
        assert frames.shape == (5, 2)
        assert list(frames[:, 0]) == [5 * number + place for place in range(5)]
    assert head.ran == list(range(head.law.last_window(39) + 1))
    assert head.motion.again == 0


def test_each_window_goes_on_from_the_frame_before_it() -> None:
    head = Head(72)
    for number in range(20):
        head.block(number)
    assert all(head.starts[window] == head.law.sees(window).start - 1 for window in range(1, 13))


@pytest.mark.parametrize(("overlap", "known_ahead"), [(75, 2), (70, 4), (72, 4)])
def test_what_is_known_ahead_is_computed_once(overlap: int, known_ahead: int) -> None:
    head = Head(overlap)
    for number in range(20):
        loud = [LOUD if 10 <= number + place < 15 else SILENT for place in range(known_ahead + 1)]
        frames = head.block(number, loud[0], b"".join(loud[1:]))
        assert (frames[:, 1] > 0.5).all() == (10 <= number < 15)
    assert head.motion.again == 0


@pytest.mark.parametrize("overlap", range(70, 76))
def test_speech_that_begins_unannounced_moves_the_mouth_in_its_first_block(overlap: int) -> None:
    head = Head(overlap)
    for number in range(9):
        assert not head.block(number)[:, 1].any()
    frames = head.block(9, LOUD, LOUD * 4)
    assert (frames[SEAM_FRAMES:, 1] > 0.9).all()
    assert 1 <= head.motion.again <= 2
    assert (head.block(10, LOUD, LOUD * 4)[:, 1] > 0.9).all()
    assert 1 <= head.motion.again <= 2
    assert list(frames[:, 0]) == [45, 46, 47, 48, 49]


@pytest.mark.parametrize("overlap", [70, 75])
def test_speech_that_is_cut_off_closes_the_mouth_in_the_next_block(overlap: int) -> None:
    head = Head(overlap)
    for number in range(9):
        head.block(number, LOUD, LOUD * 4)
    frames = head.block(9, SILENT)
    assert not frames[SEAM_FRAMES:, 1].any()


def test_no_jump_where_frames_were_computed_again() -> None:
    head = Head(75)
    head.blend.kp_cond[:] = 0.0
    for number in range(9):
        last = head.block(number)[-1].copy()
    # The same window again, seen from a different past: everything is shifted by ten.
    shifted = Head(75)
    shifted.motion, shifted.features, shifted.sound = head.motion, head.features, head.sound
    head.sound.push(9, LOUD, LOUD * 4)
    for block, piece in head.features.stale(head.sound, 9, head.law.last_block(9)):
        head.features.put(block, piece, np.ones((5, 1024), np.float32))
    head.motion.begin(9, head.features)
    while (window := head.motion.wanted(head.features)) is not None:
        frames = np.arange(80, dtype=np.float32) + window.first_frame + 10.0
        head.motion.put(window, np.stack([frames, frames], axis=1)[None])
    shown = head.motion.shown()[:, 0]
    steps = np.diff(np.concatenate([last[:1], shown]))
    assert steps.max() <= 1.0 + 10.0 / (SEAM_FRAMES + 1) + 1e-4
    assert shown[-1] == 59.0


def test_blocks_that_were_never_shown_are_skipped() -> None:
    head = Head(70)
    head.block(0)
    head.block(1)
    assert list(head.block(6)[:, 0]) == [30, 31, 32, 33, 34]
    assert head.ran == list(range(head.law.last_window(6) + 1))
