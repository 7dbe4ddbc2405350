"""How an utterance ends, by its melody."""

import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.vad import ProsodyConfig
from deployments.media.audio import SPEECH_RATE_HZ, samples_of, silence
from serve_app.session.prosody import Ending, Prosody
from tests.contours import sentence, steady, voice

FRAME_BYTES = 640
DATA = Path(__file__).parents[1] / "data"
PAUSE_MS = 260
CHILD_HZ, DEEP_HZ = 330.0, 80.0


def ending(speech: bytes, noise_rms: float = 3.0) -> Ending:
    """As the session would hear it: in frames, with some of the pause."""
    pause = silence(PAUSE_MS, SPEECH_RATE_HZ)
    sound = np.frombuffer(speech + pause, "<i2") + noise_rms * np.random.default_rng(0).normal(
        size=samples_of(speech + pause)
    )
    heard = np.clip(sound, -32768, 32767).astype("<i2").tobytes()
    prosody = Prosody(ProsodyConfig())
    for at in range(0, len(heard), FRAME_BYTES):
        prosody.hear(heard[at : at + FRAME_BYTES])
    return prosody.ending(samples_of(pause))


def clip(name: str, start_ms: int, end_ms: int) -> bytes:
    with wave.open(str(DATA / f"{name}.wav")) as file:
        recorded: bytes = file.readframes(file.getnframes())
    return recorded[start_ms * 32 : end_ms * 32]


@pytest.mark.parametrize("hz", [DEEP_HZ, 110.0, 160.0, 220.0, CHILD_HZ])
@pytest.mark.parametrize("gain_db", [-20.0, 0.0])
@pytest.mark.parametrize(
    ("final_st", "final_db", "expected"),
    [
        (-7, -12, Ending.FALLING),
        (-5, -8, Ending.FALLING),
        (0, -2, Ending.LEVEL),
        (-0.5, 0, Ending.LEVEL),
        (3.5, -2, Ending.RISING),
        (3.5, -10, Ending.RISING),
    ],
)
def test_contours_of_all_voices(hz: float, gain_db: float, final_st: float, final_db: float, expected: Ending) -> None:
    if hz == DEEP_HZ and final_st < 0:
        final_st = max(final_st, -4.5)  # to 62 Hz
    samples = np.frombuffer(sentence(hz, final_st, final_db), "<i2") * 10 ** (gain_db / 20)
    assert ending(samples.astype("<i2").tobytes()) is expected


def test_a_fall_of_pitch_whose_energy_stays_tells_nothing() -> None:
    assert ending(sentence(150, -5, 3)) is Ending.UNKNOWN


def test_a_level_voice_that_dies_away_tells_nothing() -> None:
    assert ending(sentence(150, 0, -18)) is Ending.UNKNOWN


@pytest.mark.parametrize("duration_ms", [0, 40, 150])
def test_too_little_voice_tells_nothing(duration_ms: float) -> None:
    assert ending(voice(steady(150, duration_ms)) if duration_ms else b"") is Ending.UNKNOWN


def test_a_whisper_tells_nothing() -> None:
    breath = np.random.default_rng(2).normal(size=SPEECH_RATE_HZ)
    assert ending((1500 * np.convolve(breath, np.hanning(16), "same") / 3).astype("<i2").tobytes()) is Ending.UNKNOWN


def test_noise_as_loud_as_speech_leaves_it_open() -> None:
    speech = sentence(150, -5, -10)
    rms = float(np.sqrt(np.mean(np.frombuffer(speech, "<i2").astype(float) ** 2)))
    assert ending(speech, noise_rms=rms * 10 ** (-3 / 20)) is Ending.UNKNOWN
    assert ending(speech, noise_rms=rms * 10 ** (-20 / 20)) is Ending.FALLING


@pytest.mark.parametrize(("name", "end_ms"), [("no", 500), ("thank_you", 1010), ("hi_how_are_you", 1010)])
def test_recorded_statements_fall(name: str, end_ms: int) -> None:
    assert ending(clip(name, 0, end_ms)) is Ending.FALLING


@pytest.mark.parametrize(("name", "end_ms"), [("yes", 560), ("hello", 720), ("help_me", 1200)])
def test_recorded_words_without_a_fall_are_not_taken_for_one(name: str, end_ms: int) -> None:
    assert ending(clip(name, 0, end_ms)) is not Ending.FALLING


@pytest.mark.parametrize("end_ms", [2200, 3850, 4500])
def test_the_pauses_within_kennedys_sentence_do_not_fall(end_ms: int) -> None:
    assert ending(clip("jfk", max(0, end_ms - 2000), end_ms)) is not Ending.FALLING


def test_a_pause_is_judged_once_and_after_240_ms() -> None:
    prosody = Prosody(ProsodyConfig())
    prosody.hear(sentence(150, -5, -10))
    prosody.hear(silence(220, SPEECH_RATE_HZ))
    assert prosody.ending(0) is Ending.UNKNOWN
    assert prosody.ending(220 * 16) is Ending.UNKNOWN
    prosody.hear(silence(20, SPEECH_RATE_HZ))
    assert prosody.ending(240 * 16) is Ending.FALLING
    prosody.hear(silence(5000, SPEECH_RATE_HZ))
    assert prosody.ending(5240 * 16) is Ending.FALLING, "the sound is gone, the judgement stays"
    prosody.hear(sentence(150, 0, 0) + silence(240, SPEECH_RATE_HZ))
    assert prosody.ending(240 * 16) is Ending.LEVEL


@given(st.binary(max_size=8000), st.integers(0, 50_000))
def test_any_sound_has_an_ending(sound: bytes, silence_samples: int) -> None:
    prosody = Prosody(ProsodyConfig(min_snr_db=0, min_voiced_ms=100))
    prosody.hear(sound[: len(sound) // 2 * 2] * 4)
    assert prosody.ending(silence_samples) in Ending
