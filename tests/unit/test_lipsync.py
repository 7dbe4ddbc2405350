import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.aligned_speech import aligned
from benchmarks.lip_sync import apertures, count, lag_behind_sound, recorded, stillness
from benchmarks.speech_scenes import read_clip
from benchmarks.spoken_scenes import SpokenScene, spoken_scenes
from deployments.avatar.contract import BLOCK_SAMPLES
from deployments.avatar.lipsync import MAX_STEP, LipSync
from deployments.avatar.mouth import MouthPose
from deployments.avatar.visemes import NEUTRAL, lengthens, visemes_of
from deployments.media.audio import VOICE_RATE_HZ
from deployments.media.timing import PhonemeTime
from deployments.runtime.errors import InvalidRequest

DATA = Path(__file__).parents[1] / "data"
SILENCE = bytes(2 * BLOCK_SAMPLES)


def sound(level: float = 4_000.0) -> bytes:
    """200 ms that are heard."""
    return (level * np.sin(np.arange(BLOCK_SAMPLES) / 20)).astype("<i2").tobytes()


def ah() -> bytes:
    """200 ms of a vowel: harmonics of 120 Hz, loud around 700, 1,200 and 2,600 Hz."""
    at = np.arange(BLOCK_SAMPLES) / VOICE_RATE_HZ
    harmonics = [120 * k for k in range(1, 40)]
    loudness = [sum(1 / (1 + ((hz - formant) / 120) ** 2) for formant in (700, 1_200, 2_600)) for hz in harmonics]
    wave = sum(level * np.sin(2 * np.pi * hz * at) for level, hz in zip(loudness, harmonics, strict=True))
    return np.clip(3_000 * wave, -32_768, 32_767).astype("<i2").tobytes()


def said(*phonemes: tuple[str, float, float]) -> tuple[PhonemeTime, ...]:
    """Symbols with times in ms."""
    return tuple(PhonemeTime(symbol, round(24 * start), round(24 * end)) for symbol, start, end in phonemes)


@pytest.fixture(scope="module")
def scenes() -> list[SpokenScene]:
    """One voice of each language."""
    return list(spoken_scenes(every=7))


def share(pairs: list[tuple[int, int]]) -> float:
    return sum(hits for hits, _ in pairs) / sum(tries for _, tries in pairs)


@pytest.mark.parametrize("tuned", [True, False])
def test_with_phonemes_the_lips_close_for_p_b_m_and_open_for_ah(scenes: list[SpokenScene], tuned: bool) -> None:
    counts = [count(apertures(scene.pcm, scene.phonemes), scene.phonemes) for scene in scenes if scene.tuned is tuned]
    assert share([one.closures for one in counts]) >= 0.97
    assert share([one.right_closures for one in counts]) >= 0.97
    assert share([one.low_vowels for one in counts]) >= 0.85
    assert share([one.shut_vowels for one in counts]) <= 0.01


@pytest.mark.parametrize("tuned", [True, False])
def test_from_sound_alone_they_do_so_mostly(scenes: list[SpokenScene], tuned: bool) -> None:
    counts = [count(apertures(scene.pcm, None), scene.phonemes) for scene in scenes if scene.tuned is tuned]
    assert share([one.closures for one in counts]) >= 0.6
    assert share([one.closures for one in counts]) >= 1.7 * share([one.by_chance for one in counts])
    assert share([one.right_closures for one in counts]) >= 0.65
    assert share([one.low_vowels for one in counts]) >= 0.85
    assert share([one.shut_vowels for one in counts]) <= 0.06


@pytest.mark.parametrize("told", [True, False], ids=["phonemes", "sound"])
def test_the_mouth_opens_with_the_sound_within_a_frame_and_rests_in_silence(
    scenes: list[SpokenScene], told: bool
) -> None:
    for scene in scenes:
        aperture = apertures(scene.pcm, scene.phonemes if told else None)
        lag_ms, correlation = lag_behind_sound(aperture, scene.pcm, scene.phonemes)
        assert abs(lag_ms) <= 40, scene.name
        assert correlation > 0.5, scene.name
        still, change = stillness(aperture, scene.pcm)
        assert max(still, change) < 0.05, scene.name


def test_it_follows_recorded_speech() -> None:
    closures = 0, 0
    for name, pcm, phonemes in recorded(DATA):
        aperture = apertures(pcm, None)
        hits, tries = count(aperture, phonemes).closures
        closures = closures[0] + hits, closures[1] + tries
        lag_ms, correlation = lag_behind_sound(aperture, pcm, ())
        assert abs(lag_ms) <= 40, name
        assert correlation > 0.7, name
        assert max(stillness(aperture, pcm)) < 0.05, name
        assert aperture.max() > 0.4, name
    # "my", "americans", "help me", "something", "much": of few, the aim is that six in ten are seen.
    assert closures[1] == 6
    assert closures[0] / closures[1] >= 0.6


def test_phonemes_of_recorded_speech_lie_where_they_are_heard() -> None:
    clip = read_clip(DATA / "hello.wav").astype("<i2")
    found = aligned(clip, "hello")
    assert [each.symbol for each in found if each.symbol in "hl"] == ["h", "l"]
    # By its level the voice begins at 80 ms, after a breath, and ends at 650.
    assert found[0].start_sample / 24 == pytest.approx(60, abs=60)
    assert found[-1].end_sample / 24 == pytest.approx(650, abs=60)
    with pytest.raises(ValueError, match="is not what is said"):
        aligned(clip[:1600], "a very long sentence that nobody could have said in a tenth of a second")


def test_a_measure_that_is_always_open_shut_or_late_does_not_pass(scenes: list[SpokenScene]) -> None:
    """The aims above say something: other mouths miss them."""
    scene = scenes[0]
    aperture = apertures(scene.pcm, scene.phonemes)
    shut, wide = (count(np.full(aperture.size, level), scene.phonemes) for level in (0.0, 1.0))
    assert shut.closures[0] == shut.closures[1]
    assert shut.shut_vowels[0] == shut.shut_vowels[1] > 0
    assert shut.low_vowels[0] == wide.closures[0] == 0
    assert lag_behind_sound(np.roll(aperture, 3), scene.pcm, scene.phonemes)[0] >= 100
    assert lag_behind_sound(np.roll(aperture, -3), scene.pcm, scene.phonemes)[0] <= -100


def test_a_closure_of_any_length_reaches_its_target_in_some_frame() -> None:
    for start_ms in range(40, 150, 7):
        for length_ms in (1, 10, 30, 60):
            for symbol in "pbmfv":
                neighbours = ("ɑː", 0.0, start_ms), (symbol, start_ms, start_ms + length_ms)
                poses = LipSync().block(sound(), b"", said(*neighbours, ("ɑː", start_ms + length_ms, 280)))
                assert max(pose.bite if symbol in "fv" else pose.press for pose in poses) == 1
                assert min(pose.aperture for pose in poses) < 0.3
                assert max(pose.jaw for pose in poses) > 0.5


def test_speech_that_ends_leaves_the_mouth_closed_within_120_ms() -> None:
    told = LipSync()
    told.block(sound(), b"", said(("ɑː", 0, 200)))
    assert [pose.aperture < 0.1 for pose in told.block(SILENCE, SILENCE, ())][3:] == [True, True]
    heard = LipSync()
    assert max(pose.aperture for pose in heard.block(ah(), SILENCE, None)) > 0.3
    assert [pose.aperture < 0.1 for pose in heard.block(SILENCE, SILENCE, None)][3:] == [True, True]


def test_a_held_voice_closes_the_mouth_whatever_its_phonemes() -> None:
    sync = LipSync()
    sync.block(sound(), b"", said(("ɑː", 0, 400)))
    poses = sync.block(SILENCE, b"", said(("ɑː", -200, 200)))
    assert poses[-1].aperture < 0.1


def test_a_phoneme_that_began_before_goes_on_whether_it_is_told_again_or_not() -> None:
    again, once = LipSync(), LipSync()
    for sync in (again, once):
        sync.block(sound(), sound(), said(("ɑː", 0, 320), ("m", 320, 400)))
    both = (
        again.block(sound(), b"", said(("ɑː", -200, 120), ("m", 120, 200))),
        once.block(sound(), b"", said(("m", 120, 200))),
    )
    assert both[0] == both[1]
    assert both[0][0].aperture > 0.6 > 0.1 > both[0][3].aperture


def test_phonemes_and_sound_take_turns_without_a_jump() -> None:
    sync = LipSync()
    poses = [MouthPose()]
    for n in range(8):
        poses += sync.block(sound(), sound(), said(("ɑː", -50, 280)) if n % 2 else None)
    for name in ("jaw", "width", "rounding"):
        values = [getattr(pose, name) for pose in poses]
        assert np.abs(np.diff(values)).max() <= MAX_STEP + 1e-9


@pytest.mark.parametrize("pcm", [SILENCE, b"\xff\x7f" * BLOCK_SAMPLES, b"\x00\x80" * BLOCK_SAMPLES, sound(32_767)])
@pytest.mark.parametrize("ahead", [b"", b"x", bytes(7), sound()])
@pytest.mark.parametrize(
    "phonemes", [None, (), said(("", 0, 0), ("?", 90, 50), ("\ud800", 0, 1e9)), said(("a", -1e9, 1e9)) * 5_000]
)
def test_hostile_input_gives_poses_in_range(pcm: bytes, ahead: bytes, phonemes: tuple[PhonemeTime, ...] | None) -> None:
    sync = LipSync()
    for pose in sync.block(pcm, ahead, phonemes) + sync.block(pcm, ahead, phonemes):
        for value in (pose.jaw, pose.rounding, pose.press, pose.bite, pose.tongue, pose.aperture):
            assert 0 <= value <= 1
        assert -1 <= pose.width <= 1


def test_a_block_of_another_length_is_refused() -> None:
    for pcm in (b"", SILENCE[:-2], SILENCE + b"x"):
        with pytest.raises(InvalidRequest, match="not 200 ms"):
            LipSync().block(pcm, b"", None)


@pytest.mark.parametrize(
    ("symbol", "names"),
    [
        ("ˈaɪ", ["aa", "ih"]),
        ("ˌəʊ", ["E", "ou"]),
        ("dʒ", ["CH"]),
        ("tɕh", ["CH"]),
        ("ph", ["PP"]),
        ("h", ["kk"]),
        ("pf", ["PP", "FF"]),
        ("ɔ̃", ["oh"]),
        ("mʲ", ["PP"]),
        ("əl", ["E", "nn"]),
        ("ɑːɹ", ["aa", "RR"]),
        ("õ", ["oh"]),
        ("Ж", [NEUTRAL.name]),
        *((mark, []) for mark in ("", " ", "_", "ˈ", "ː", "\u0303", "\ud800", "|")),
    ],
)
def test_symbols_show_as_their_sounds(symbol: str, names: list[str]) -> None:
    assert [viseme.name for viseme in visemes_of(symbol)] == names


def test_a_length_mark_of_its_own_lengthens() -> None:
    assert lengthens("ː")
    assert not lengthens("")
    together = LipSync().block(sound(), b"", said(("ɑ", 0, 50), ("ː", 50, 200)))
    assert together == LipSync().block(sound(), b"", said(("ɑː", 0, 200)))


@pytest.mark.parametrize("told", [True, False], ids=["phonemes", "sound"])
def test_a_frame_costs_less_than_a_third_of_a_ms(scenes: list[SpokenScene], told: bool) -> None:
    scene = max(scenes, key=lambda scene: len(scene.pcm))

    def cost_ms() -> float:
        begin_s = time.thread_time()
        frames = apertures(scene.pcm, scene.phonemes if told else None).size
        return 1000 * (time.thread_time() - begin_s) / frames

    assert len(scene.pcm) > 2 * VOICE_RATE_HZ
    # The least of three: caches are cold at first, and other processes share the core's own.
    assert min(cost_ms() for _ in range(3)) < 0.3
