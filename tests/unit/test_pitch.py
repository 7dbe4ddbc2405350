import numpy as np
import pytest

from deployments.media.audio import SPEECH_RATE_HZ, silence
from serve_app.session.pitch import track_pitch
from tests.contours import glide, steady, voice


@pytest.mark.parametrize("hz", [65, 80, 110, 160, 220, 300, 390])
def test_a_steady_pitch_is_found_to_a_tenth_of_a_semitone(hz: float) -> None:
    track = track_pitch(voice(steady(hz, 600)))
    assert track.voiced.all()
    assert np.abs(12 * np.log2(track.hz / hz)).max() < 0.1


@pytest.mark.parametrize(("start_hz", "end_hz"), [(120, 90), (90, 130), (240, 160), (320, 380)])
def test_a_glide_is_followed(start_hz: float, end_hz: float) -> None:
    track = track_pitch(voice(glide(start_hz, end_hz, 500)))
    middles_ms = 25 + 10 * np.arange(track.hz.size)
    true_hz = start_hz * (end_hz / start_hz) ** (middles_ms / 500)
    assert np.abs(12 * np.log2(track.hz / true_hz)).max() < 0.5


def test_levels_are_those_of_the_sound() -> None:
    quiet, loud = (track_pitch(voice(steady(150, 300), level)).level_db.mean() for level in (-40.0, -20.0))
    assert quiet == pytest.approx(-40, abs=1)
    assert loud == pytest.approx(-20, abs=1)


@pytest.mark.parametrize("kind", ["silence", "white", "whisper"])
def test_what_has_no_pitch_is_not_voiced(kind: str) -> None:
    noise = np.random.default_rng(1).normal(size=SPEECH_RATE_HZ)
    # A whisper is noise with the formants of a vowel.
    whispered = np.convolve(noise, np.hanning(16) * np.cos(2 * np.pi * 900 * np.arange(16) / SPEECH_RATE_HZ), "same")
    sounds = {"white": noise, "whisper": whispered, "silence": 0 * noise}
    assert track_pitch((2000 * sounds[kind]).astype("<i2").tobytes()).voiced.mean() < 0.03


@pytest.mark.parametrize("duration_ms", [0, 10, 49, 50, 51])
def test_short_sound_has_as_many_frames_as_fit(duration_ms: float) -> None:
    assert track_pitch(silence(duration_ms, SPEECH_RATE_HZ)).hz.size == (1 if duration_ms >= 50 else 0)
