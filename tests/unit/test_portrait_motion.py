"""How the head moves: alive, without jumps, and the same wherever it is worked out."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from deployments.avatar.contract import Mood
from deployments.avatar.head_warp import HeadWarp
from deployments.avatar.motion import BLINK, HeadPose, Motion, blink_starts
from deployments.media.video import FRAME_RATE_HZ
from tests.portraits import drawn, drawn_model

MOODS: tuple[Mood, ...] = ("idle", "listening", "thinking", "speaking")


def poses(seed: str, mood: Mood, count: int, voice: float = 0.0, first: int = 0) -> list[HeadPose]:
    motion = Motion(seed)
    return [motion.frame(number, mood, voice) for number in range(first, first + count)]


def test_blinks_come_every_2_4_to_6_seconds_and_not_in_step() -> None:
    starts = blink_starts("someone", 0, 60 * 60 * FRAME_RATE_HZ)
    apart_s = [(later - earlier) / FRAME_RATE_HZ for earlier, later in pairwise(starts)]
    assert min(apart_s) >= 2.4
    assert max(apart_s) <= 6.0
    assert float(np.std(apart_s)) > 0.3
    assert starts != blink_starts("someone else", 0, 60 * 60 * FRAME_RATE_HZ)


def test_a_blink_shuts_the_eyes_for_three_to_five_frames() -> None:
    start = blink_starts("someone", 0, 1000)[0]
    closures = [pose.closure for pose in poses("someone", "idle", start + 20)]
    assert max(closures[start : start + len(BLINK)]) == 1.0
    assert 3 <= sum(closure >= 0.5 for closure in closures[start : start + len(BLINK)]) <= 5
    assert max(closures[start - 10 : start]) < 0.2
    assert max(closures[start + len(BLINK) : start + 20]) < 0.2


def test_another_replica_goes_on_where_one_ended() -> None:
    whole = poses("someone", "listening", 400)
    assert poses("someone", "listening", 150, first=250) == whole[250:]
    assert poses("someone else", "listening", 400) != whole


def test_frames_may_be_left_out() -> None:
    motion = Motion("someone")
    motion.frame(0, "idle", 0.0)
    assert motion.frame(300, "idle", 0.0) == poses("someone", "idle", 1, first=300)[0]


@pytest.mark.parametrize("mood", MOODS)
def test_the_head_moves_a_little_all_the_time(mood: Mood) -> None:
    seen = poses("someone", mood, 60 * FRAME_RATE_HZ)
    for name in ("x", "y", "roll", "yaw", "pitch"):
        values = np.array([getattr(pose, name) for pose in seen])
        assert 0.002 < values.std() < 0.05, name
        assert np.abs(values).max() < 0.13, name
    assert max(pose.breath for pose in seen) > 0.95
    assert min(pose.breath for pose in seen) < 0.05
    for pose in seen:
        assert all(abs(value) <= 1.25 for value in dataclasses.astuple(pose))


def test_nothing_jumps_when_the_mood_changes() -> None:
    motion = Motion("someone")
    seen = [motion.frame(n, MOODS[n // 40 % 4], 0.6 if n // 40 % 4 == 3 else 0.0) for n in range(1600)]
    bounds = {"x": 0.004, "y": 0.004, "roll": 0.008, "yaw": 0.014, "pitch": 0.03, "brow": 0.15, "smile": 0.08}
    for name, bound in bounds.items():
        steps = [abs(getattr(later, name) - getattr(earlier, name)) for earlier, later in pairwise(seen)]
        assert max(steps) < bound, name


def test_a_face_that_thinks_looks_away_and_one_that_listens_looks_here() -> None:
    def gaze(mood: Mood) -> tuple[float, float]:
        seen = poses("someone", mood, 500)
        return float(np.mean([pose.gaze_x for pose in seen])), float(np.mean([pose.gaze_y for pose in seen]))

    aside, up = gaze("thinking")
    assert aside < -0.4
    assert up < -0.5
    assert np.hypot(*gaze("listening")) < 0.12


def test_the_head_goes_with_the_voice() -> None:
    silent, motion = poses("someone", "speaking", 200), Motion("someone")
    loud = [motion.frame(n, "speaking", 0.8 if n % 50 < 10 else 0.0) for n in range(200)]
    nods = [abs(one.pitch - other.pitch) for one, other in zip(silent, loud, strict=True)]
    assert 0.01 < max(nods) < 0.08


def test_the_picture_follows_the_pose() -> None:
    model = drawn_model()
    still = model.head.moved(model.picture, HeadPose())
    assert np.array_equal(still, model.picture)
    raised = model.head.moved(model.picture, HeadPose(x=0.1)).astype(int)
    # An eye has gone to the right, the wall in the corner and the shoulders have stayed.
    unit = (model.description.jaw_right[0] - model.description.jaw_left[0]) / 2
    shift = round(0.1 * unit)
    eye = (slice(220, 255), slice(115, 175))
    moved_eye = (slice(220, 255), slice(115 + shift, 175 + shift))
    assert np.abs(raised[moved_eye] - model.picture[eye]).mean() < 0.5 * np.abs(raised[eye] - model.picture[eye]).mean()
    assert np.abs(raised[:40, :40] - model.picture[:40, :40]).max() <= 1
    assert np.abs(raised[-20:] - model.picture[-20:]).mean() < 1


def test_a_warp_fits_pictures_of_any_size() -> None:
    for width, height in ((200, 301), (129, 130)):
        description = drawn()[1].scaled(0.22, width, height)
        picture = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
        warp = HeadWarp(description, width, height)
        assert np.array_equal(warp.moved(picture, HeadPose()), picture)
