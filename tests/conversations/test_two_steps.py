"""The user speaks over a reply: it is held at once, and then goes on or ends by what was said."""

import pytest

from configs.interruption import InterruptionConfig
from deployments.asr.engines import fake as fake_asr
from deployments.llm.engines import fake as fake_llm
from deployments.media.audio import VOICE_RATE_HZ
from deployments.tts.engines import fake as fake_tts
from serve_app.session import events as ev
from serve_app.session.interruption import TwoStepInterruption
from tests.conversations.scene import Echo, Log, Scene

NUMBERS = " ".join(f"word{n}" for n in range(40)) + "."
FADE_BYTES = 2 * VOICE_RATE_HZ // 100


def over_a_reply(words: str, *spoken: tuple[float, float], echo: Echo | None = None) -> Log:
    """The user asks for a reply of 10 s and says `words` over it."""
    return Scene(
        user=[(0.5, 1.0), *spoken],
        asr=fake_asr.Config(script=("tell me", words, "")),
        llm=fake_llm.Config(replies=(NUMBERS, "Fine.")),
        tts=fake_tts.Config(word_ms=250),
        interruption=TwoStepInterruption(InterruptionConfig()),
        lasts_s=16,
        echo=echo,
    ).play()


@pytest.mark.parametrize("words", ["mm-hm", "yeah", "I see", "uh yeah right", ""])
def test_a_backchannel_or_a_noise_keeps_the_reply(words: str) -> None:
    log, plain = over_a_reply(words, (4.0, 4.4)), over_a_reply("")
    assert [each.response.status for each in log.all(ev.ResponseDone)] == ["completed"]
    assert [text for _, text in log.history] == ["tell me", NUMBERS]
    assert len(log.all(ev.SpeechStarted)) == 1, "a client would drop what it has not played"
    (held,), (resumed,) = log.times(ev.PlaybackHeld), log.times(ev.PlaybackResumed)
    assert 4.0 < held < 4.15
    assert resumed - 4.4 < 0.36
    deltas = [(at_s, each.pcm) for at_s, each in log.entries if isinstance(each, ev.OutputAudioDelta)]
    (fade,) = [pcm for at_s, pcm in deltas if held < at_s < resumed]
    sound = b"".join(pcm for _, pcm in deltas if pcm is not fade)
    wanted = b"".join(each.pcm for each in plain.all(ev.OutputAudioDelta))
    assert (len(fade), len(sound)) == (FADE_BYTES, len(wanted))
    differing = [at for at in range(0, len(sound), 2) if sound[at : at + 2] != wanted[at : at + 2]]
    assert differing[-1] - differing[0] < FADE_BYTES, "only where it fades in again"


@pytest.mark.parametrize("words", ["stop", "no", "wait a moment", "what about tomorrow", "hold on"])
def test_short_words_that_want_the_turn_get_it(words: str) -> None:
    log = over_a_reply(words, (4.0, 4.4))
    assert [each.response.status for each in log.all(ev.ResponseDone)] == ["cancelled", "completed"]
    assert [text for _, text in log.history][2:] == [words, "Fine."]
    assert log.times(ev.SpeechStarted)[1] < 4.7


def test_words_of_content_take_the_turn_as_soon_as_they_are_heard() -> None:
    log = over_a_reply("tell me about the weather in Rome", (4.0, 6.0))
    assert 4.0 < log.times(ev.SpeechStarted)[1] < 4.7
    assert log.history[1][1].split() == NUMBERS.split()[: len(log.history[1][1].split())]


def test_speech_that_goes_on_takes_the_turn_after_700_ms_without_a_word() -> None:
    log = over_a_reply("", (4.0, 5.6))
    assert 4.65 < log.times(ev.SpeechStarted)[1] < 4.8
    assert not [at_s for at_s, each in log.entries if isinstance(each, ev.OutputAudioDelta) and at_s > 4.8]


def test_one_who_goes_on_agreeing_does_not_take_it() -> None:
    log = over_a_reply("yeah yeah yeah", (4.0, 4.95))
    assert [each.response.status for each in log.all(ev.ResponseDone)] == ["completed"]


def test_the_least_sign_of_speech_stops_the_sound_within_50_ms() -> None:
    log = over_a_reply("stop", (4.0, 4.4))
    late = [at_s for at_s, each in log.entries if isinstance(each, ev.OutputAudioDelta) and 4.05 < at_s < 4.15]
    assert not late


def test_two_interruptions_in_a_row() -> None:
    log = Scene(
        user=[(0.5, 1.0), (4.0, 4.9), (7.5, 8.4)],
        asr=fake_asr.Config(script=("tell me", "stop it", "no wait")),
        llm=fake_llm.Config(replies=(NUMBERS, NUMBERS, "Fine.")),
        tts=fake_tts.Config(word_ms=250),
        interruption=TwoStepInterruption(InterruptionConfig()),
        lasts_s=16,
    ).play()
    assert [each.response.status for each in log.all(ev.ResponseDone)] == ["cancelled", "cancelled", "completed"]
    assert [text for role, text in log.history if role == "user"] == ["tell me", "stop it", "no wait"]
    assert log.history[-1] == ("assistant", "Fine.")


ECHOES = [Echo(gain_db, delay_s) for gain_db in (-6, -12, -20) for delay_s in (0.05, 0.15, 0.3)]


@pytest.mark.parametrize("echo", ECHOES, ids=str)
def test_a_loudspeaker_does_not_interrupt_its_own_voice(echo: Echo) -> None:
    log = over_a_reply("", echo=echo)
    assert [text for _, text in log.history] == ["tell me", NUMBERS]
    assert len(log.all(ev.SpeechStarted)) == 1
    assert not log.all(ev.PlaybackHeld)
    sound = b"".join(each.pcm for each in log.all(ev.OutputAudioDelta))
    assert sound == b"".join(each.pcm for each in over_a_reply("").all(ev.OutputAudioDelta)), "without a fade"


@pytest.mark.parametrize("echo", ECHOES, ids=str)
def test_one_who_speaks_over_the_echo_is_heard(echo: Echo) -> None:
    log = over_a_reply("stop", (4.0, 4.6), echo=echo)
    assert [text for _, text in log.history] == ["tell me", log.history[1][1], "stop", "Fine."]
    assert log.times(ev.SpeechStarted)[1] < 4.9
