"""The assistant's own voice is told from others."""

import numpy as np
import numpy.typing as npt
import pytest

from deployments.media.audio import SPEECH_RATE_HZ, VOICE_RATE_HZ
from deployments.media.resample import Resampler
from serve_app.session.echo import EchoGuard, likeness
from serve_app.session.loudspeaker import Loudspeaker


def hiss(duration_s: float, rate_hz: int, seed: int) -> bytes:
    """Noise whose level moves like speech."""
    random = np.random.default_rng(seed)
    envelope = np.abs(np.sin(np.arange(round(duration_s * rate_hz)) / rate_hz * 9)) + 0.1
    noise: bytes = (random.standard_normal(envelope.size) * envelope * 3000).clip(-32768, 32767).astype("<i2").tobytes()
    return noise


def heard(played: bytes, gain_db: float, delay_ms: float, duration_ms: float = 320) -> npt.NDArray[np.float64]:
    """What a microphone hears of the end of what was played."""
    sound = np.frombuffer(Resampler(VOICE_RATE_HZ, SPEECH_RATE_HZ).push(played, last=True), "<i2")
    end = sound.size - round(delay_ms * SPEECH_RATE_HZ / 1000)
    return sound[end - round(duration_ms * SPEECH_RATE_HZ / 1000) : end] * 10 ** (gain_db / 20)


def pcm(samples: npt.NDArray[np.float64]) -> bytes:
    return bytes(samples.clip(-32768, 32767).astype("<i2").tobytes())


@pytest.mark.parametrize("gain_db", [0, -6, -20])
@pytest.mark.parametrize("delay_ms", [50, 137, 300, 550])
def test_a_copy_is_found_with_its_delay(gain_db: float, delay_ms: float) -> None:
    played = hiss(0.92, VOICE_RATE_HZ, 1)
    found = likeness(pcm(heard(played, gain_db, delay_ms)), played)
    assert found.correlation > 0.95
    assert found.delay_ms == pytest.approx(delay_ms, abs=0.3)


def test_another_sound_is_none() -> None:
    assert likeness(hiss(0.32, SPEECH_RATE_HZ, 2), hiss(0.92, VOICE_RATE_HZ, 1)).correlation < 0.25


def test_silence_resembles_nothing() -> None:
    played = hiss(0.92, VOICE_RATE_HZ, 1)
    assert likeness(bytes(10_240), played).correlation < 0.1
    assert likeness(hiss(0.32, SPEECH_RATE_HZ, 2), bytes(len(played))).correlation < 0.1
    assert likeness(b"", played).correlation == 0
    assert likeness(hiss(0.32, SPEECH_RATE_HZ, 2), b"").correlation == 0


def test_a_person_over_the_echo_is_noticed_once_the_echo_is_known() -> None:
    played = hiss(0.92, VOICE_RATE_HZ, 1)
    echo = heard(played, -6, 100)
    person = np.frombuffer(hiss(0.32, SPEECH_RATE_HZ, 2), "<i2") * 0.6
    guard = EchoGuard(0.38)
    assert guard.is_echo(pcm(echo + person), played), "an unknown room may be as reverberant as that"
    guard.forget()
    for _ in range(20):
        assert guard.is_echo(pcm(echo), played)
    assert not guard.is_echo(pcm(echo + person), played)
    assert guard.is_echo(pcm(echo), played)


def at_the_start_of_a_clause(played: bytes, person_db: float | None = None) -> tuple[bytes, float]:
    """An echo that has lasted for 80 ms in a room 10 dB below it; the room's level in dB of full scale."""
    echo = heard(played, -12, 100)
    echo[: -round(0.08 * SPEECH_RATE_HZ)] = 0
    noise = np.random.default_rng(5).standard_normal(echo.size)
    noise *= np.sqrt((echo[echo != 0] ** 2).mean() / 10)
    sound = echo + noise
    if person_db is not None:
        person = np.frombuffer(hiss(0.32, SPEECH_RATE_HZ, 2), "<i2").astype(np.float64)
        sound += person * np.sqrt((noise**2).mean() / (person**2).mean()) * 10 ** (person_db / 20)
    return pcm(sound), float(10 * np.log10((noise**2).mean() / 32768**2))


def test_an_echo_that_begins_in_a_loud_room_is_none_other_than_before() -> None:
    played = hiss(0.92, VOICE_RATE_HZ, 1)
    guard = EchoGuard(0.38)
    for _ in range(20):
        assert guard.is_echo(pcm(heard(played, -12, 100)), played)
    sound, room_db = at_the_start_of_a_clause(played)
    assert not guard.is_echo(sound, played), "by its likeness alone"
    assert guard.is_echo(sound, played, room_db)
    louder, _ = at_the_start_of_a_clause(played, person_db=15)
    assert not guard.is_echo(louder, played, room_db)


def test_an_echo_that_gets_quieter_in_steady_noise_stays_one() -> None:
    """It is a worse copy then, but nothing was added; a person as loud as the noise adds 3 dB."""
    played = hiss(0.92, VOICE_RATE_HZ, 1)
    echo = heard(played, -12, 100)
    noise = np.random.default_rng(5).standard_normal(echo.size) * echo.std() / 4
    person = np.frombuffer(hiss(0.32, SPEECH_RATE_HZ, 2), "<i2").astype(np.float64)
    person *= 1.5 * noise.std() / person.std()
    quieter = 0.35 * echo
    guard = EchoGuard(0.38)
    for _ in range(20):
        assert guard.is_echo(pcm(echo + noise), played)
    known = likeness(pcm(echo + noise), played).correlation
    assert likeness(pcm(quieter + noise), played).correlation < 0.85 * known
    assert guard.is_echo(pcm(quieter + noise), played)
    assert not guard.is_echo(pcm(quieter + noise + person), played)


def test_where_nothing_was_played_nothing_is_an_echo() -> None:
    assert not EchoGuard(0.38).is_echo(hiss(0.32, SPEECH_RATE_HZ, 2), b"")


class TestLoudspeaker:
    def test_plays_without_a_gap_what_comes_early(self) -> None:
        speaker, sound = Loudspeaker(), hiss(0.4, VOICE_RATE_HZ, 1)
        half = len(sound) // 2
        speaker.send(sound[:half], 10.0)
        speaker.send(sound[half:], 10.05)
        assert speaker.played(10.4, 0.4) == sound
        assert speaker.played(10.2, 0.2) == sound[:half]

    def test_silence_where_nothing_came(self) -> None:
        speaker, sound = Loudspeaker(), hiss(0.1, VOICE_RATE_HZ, 1)
        speaker.send(sound, 10.0)
        speaker.send(sound, 10.3)
        gap = bytes(2 * round(0.2 * VOICE_RATE_HZ))
        assert speaker.played(10.4, 0.4) == sound + gap + sound
        assert speaker.played(11.5, 0.4) == b""

    def test_what_is_dropped_was_not_played(self) -> None:
        speaker, sound = Loudspeaker(), hiss(0.4, VOICE_RATE_HZ, 1)
        speaker.send(sound, 10.0)
        speaker.clear(10.1)
        tenth = 2 * round(0.1 * VOICE_RATE_HZ)
        assert speaker.played(10.4, 0.4) == sound[:tenth] + bytes(3 * tenth)

    def test_old_sound_is_forgotten(self) -> None:
        speaker = Loudspeaker()
        for n in range(1000):
            speaker.send(hiss(0.02, VOICE_RATE_HZ, n), n * 0.02)
        assert speaker.played(20.0, 10.0)[: 2 * VOICE_RATE_HZ * 7] == bytes(2 * VOICE_RATE_HZ * 7)
