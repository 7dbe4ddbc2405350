"""The trials of the duplex benchmark: how many, which, and the same ones every time."""

import base64
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.duplex import noises
from benchmarks.duplex.clips import CLIPS, RECORDED_INTERRUPTIONS, VOICES
from benchmarks.duplex.microphone import FRAME_SAMPLES, Microphone
from benchmarks.duplex.mixing import SPEECH_DB, room
from benchmarks.duplex.playback import Playback
from benchmarks.duplex.trials import RIGHT, Kind, Right, Trial, real_time, sample, scripted
from deployments.media.audio import VOICE_RATE_HZ

INTERRUPTIONS = {Kind.INTERRUPTION: 1, Kind.OVER_ECHO: 1, Kind.FIRST_WORD: 1, Kind.TWICE: 2}
SOUND = (1000 * np.sin(np.arange(VOICE_RATE_HZ))).astype("<i2")


@pytest.mark.parametrize("make", [scripted, real_time])
def test_the_same_seed_gives_the_same_trials(make: object) -> None:
    assert callable(make)
    assert make(7) == make(7)
    assert make(7) != make(8)


def test_there_are_as_many_as_promised() -> None:
    assert len(scripted()) >= 200
    assert len(real_time()) == 120
    assert {trial.kind for trial in scripted()} == set(Kind) == set(RIGHT)
    for trials, least in ((scripted(), 100), (real_time(), 50)):
        assert sum(INTERRUPTIONS.get(trial.kind, 0) for trial in trials) >= least


@pytest.mark.parametrize("trials", [scripted(), real_time()], ids=["scripted", "real time"])
def test_half_of_each_kind_is_held_out(trials: tuple[Trial, ...]) -> None:
    for kind in {trial.kind for trial in trials}:
        halves = Counter(trial.held_out for trial in trials if trial.kind is kind)
        assert halves[True] == halves[False]


@pytest.mark.parametrize("trials", [scripted(), real_time()], ids=["scripted", "real time"])
def test_the_halves_share_no_clip_voice_or_noise(trials: tuple[Trial, ...]) -> None:
    for trial in trials:
        assert all(CLIPS[name].held_out == trial.held_out for name in trial.clips)
        assert not trial.noise or trial.noise in noises.EVENTS[trial.held_out]
        if trial.voice:
            assert trial.voice in VOICES[CLIPS[trial.clips[-1]].language, trial.held_out]
        if not trial.held_out and not trial.noise:
            assert (trial.pitch, trial.speed) == (1, 1)


def test_every_recording_meets_several_ratios() -> None:
    ratios: dict[str, set[float]] = {}
    for trial in (*scripted(), *real_time()):
        if trial.kind is Kind.INTERRUPTION:
            ratios.setdefault(trial.clips[0], set()).add(trial.snr_db)
    assert {clip.name for clip in RECORDED_INTERRUPTIONS} <= ratios.keys()
    assert all(len(ratios[clip.name]) >= 2 for clip in RECORDED_INTERRUPTIONS)
    assert set.union(*ratios.values()) == {5, 10, 20}


def test_words_decide_in_real_time_only_where_they_are_recorded() -> None:
    for trial in real_time():
        clips = [CLIPS[name] for name in trial.clips]
        assert all(clip.language == "en" for clip in clips)
        if trial.kind in (Kind.BACKCHANNEL, Kind.HESITATION):
            assert all(clip.file for clip in clips)


def test_echoes_are_as_loud_and_late_as_promised() -> None:
    echoes = {(trial.echo_db, trial.echo_delay_ms) for trial in scripted() if trial.kind is Kind.ECHO}
    assert echoes == {(db, ms) for db in (-6, -12, -20) for ms in (50, 150, 300)}


def test_a_sample_has_every_kind_and_half() -> None:
    trials = real_time()
    some = sample(trials, 4)
    assert set(some) < set(trials)
    assert {(trial.kind, trial.held_out) for trial in some} == {(trial.kind, trial.held_out) for trial in trials}
    assert 30 <= len(some) <= 40


@pytest.mark.parametrize("kind", [kind for half in noises.EVENTS.values() for kind in half])
def test_a_noise_is_the_same_every_time_and_of_unit_loudness(kind: str) -> None:
    sound = noises.event(kind, 3)
    assert np.array_equal(sound, noises.event(kind, 3))
    step = VOICE_RATE_HZ // 100
    powers = (sound[: sound.size // step * step].reshape(-1, step) ** 2).mean(axis=1)
    assert powers.max() == pytest.approx(1)


def test_the_room_is_as_loud_as_the_ratio_says() -> None:
    trial = Trial(Kind.SILENCE, 1, False, "hello", snr_db=10, gain_db=-6)
    level_db = 10 * np.log10((room(trial, VOICE_RATE_HZ) ** 2).mean() / 32768**2)
    assert level_db == pytest.approx(SPEECH_DB - 6 - 10, abs=0.1)
    assert trial.right is Right.KEEP
    bursting = replace(trial, kind=Kind.NOISE, noise="door", gain_db=9)
    assert (room(bursting, 1000) ** 2).mean() == pytest.approx((room(replace(bursting, gain_db=0), 1000) ** 2).mean())


def test_a_loudspeaker_plays_without_gaps_and_drops_what_it_is_told_to() -> None:
    playback = Playback()
    for n in range(3):
        playback.play(SOUND[: VOICE_RATE_HZ // 10].tobytes(), "r", "i", 1.0 + 0.01 * n)
    assert [block.start_s for block in playback.blocks] == pytest.approx([1.0, 1.1, 1.2])
    playback.flush(1.15)
    assert [block.played for block in playback.blocks] == [2400, 1200, 0]
    heard = playback.heard(1.2, 4800)
    assert np.array_equal(heard[:2400], SOUND[:2400])
    assert np.array_equal(heard[2400:3600], SOUND[:1200])
    assert not heard[3600:].any()
    playback.play(SOUND[:240].tobytes(), "r2", "i2", 2.0)
    assert playback.blocks[-1].start_s == 2.0


def test_a_microphone_hears_the_user_at_the_sample_and_the_echo_after_its_delay() -> None:
    playback = Playback()
    microphone = Microphone(np.zeros(100), playback, 10.0, echo_db=-20, echo_delay_ms=20)
    playback.play(SOUND[:480].tobytes(), "r", "i", 10.0)
    assert microphone.add(np.full(100, 500.0), 10.001) == pytest.approx(10.001)
    first, second = (np.frombuffer(base64.b64decode(microphone.frame()), "<i2") for _ in range(2))
    assert np.flatnonzero(first).tolist() == list(range(24, 124))
    assert np.abs(second - SOUND[:480] / 10).max() <= 1
    assert microphone.next_frame_s == pytest.approx(10 + 3 * FRAME_SAMPLES / VOICE_RATE_HZ)
    assert microphone.add(np.ones(1), 10.0) == pytest.approx(10.04), "what is over cannot be changed"
