"""When a turn of the user ends: after exactly the silence configured, or by words and melody."""

from typing import Any

import pytest

from configs.session import SessionConfig
from configs.vad import Eagerness, EndpointingConfig, VadConfig
from deployments.asr.engines import fake as fake_asr
from serve_app.session import events as ev
from tests.contours import sentence
from tests.conversations.scene import Log, Scene

FRAME_S = 0.02
NO_PADDING = SessionConfig(vad=VadConfig(prefix_padding_ms=0), endpointing=EndpointingConfig(finalize_after_ms=20))
EAGERNESSES: tuple[Eagerness, ...] = ("low", "medium", "high", "auto")
PHONE_NUMBER = "my number is five five five one two three four five six seven"


def detection(**how: Any) -> dict[str, Any]:
    return {"audio": {"input": {"turn_detection": how, "transcription": {"model": "any"}}}}


def falling(duration_s: float) -> bytes:
    return sentence(130, final_st=-6, final_db=-10, duration_ms=duration_s * 1000)


def level(duration_s: float) -> bytes:
    return sentence(130, final_st=0, final_db=0, duration_ms=duration_s * 1000)


def silence_s(log: Log, spoken_until_s: float) -> float:
    """How long the user was silent when the turn ended; the frame that holds the last sample is part of it."""
    (stopped_s,) = log.times(ev.SpeechStopped)
    return stopped_s - spoken_until_s


@pytest.mark.parametrize("silence_ms", [200, 360, 500, 1210])
@pytest.mark.parametrize("padding_ms", [0, 300, 1000])
@pytest.mark.parametrize("voice", [falling, level])
def test_server_vad_ends_a_turn_after_exactly_its_silence(silence_ms: int, padding_ms: int, voice: Any) -> None:
    how = detection(type="server_vad", silence_duration_ms=silence_ms, prefix_padding_ms=padding_ms)
    log = Scene(user=[(1.5, 2.5)], voice=voice, settings=how, lasts_s=5).play()
    assert 0 <= silence_s(log, 2.5) - silence_ms / 1000 <= 1.5 * FRAME_S
    assert log.only(ev.SpeechStopped).audio_end_ms == pytest.approx(2500, abs=12)
    assert log.only(ev.SpeechStarted).audio_start_ms == pytest.approx(1500 - padding_ms, abs=12)


@pytest.mark.parametrize("words", ["i would like to", "five five five", "thank you"])
def test_server_vad_does_not_care_for_the_words(words: str) -> None:
    how = detection(type="server_vad", silence_duration_ms=600)
    log = Scene(user=[(0.5, 1.5)], asr=fake_asr.Config(script=(words,)), settings=how, lasts_s=5).play()
    assert 0 <= silence_s(log, 1.5) - 0.6 <= 1.5 * FRAME_S


@pytest.mark.parametrize("eagerness", EAGERNESSES)
def test_a_finished_sentence_is_answered_early(eagerness: Eagerness) -> None:
    log = Scene(
        user=[(0.5, 2.0)],
        voice=falling,
        asr=fake_asr.Config(script=("what is the weather in paris",)),
        settings=detection(type="semantic_vad", eagerness=eagerness),
    ).play()
    wait_ms = EndpointingConfig().waits(eagerness).finished_ms
    assert 0 <= silence_s(log, 2.0) - wait_ms / 1000 <= 1.5 * FRAME_S
    assert log.history[0] == ("user", "what is the weather in paris")


@pytest.mark.parametrize(("eagerness", "pause_s"), [("low", 6.0), ("medium", 3.0), ("high", 1.6), ("auto", 3.0)])
@pytest.mark.parametrize("voice", [falling, level])
@pytest.mark.parametrize(
    ("words", "shares"),
    [
        (PHONE_NUMBER, (6, 3, 4)),
        ("i would like to book a table for two please", (4, 4, 2)),
        ("remind me to um call my mother and then the dentist", (4, 4, 3)),
    ],
)
def test_who_pauses_in_mid_sentence_is_not_cut_off(
    words: str, shares: tuple[int, ...], eagerness: Eagerness, pause_s: float, voice: Any
) -> None:
    """Recognition hears so many words in each stretch of speech: about 130 ms of the pause are fed as well."""
    word_s, starts_s, user = 0.4, 0.5, []
    for share in shares:
        user.append((starts_s, starts_s + share * word_s - 0.15))
        starts_s = user[-1][1] + pause_s
    log = Scene(
        user=user,
        voice=voice,
        asr=fake_asr.Config(script=(words,), words_per_s=1 / word_s, final="heard"),
        config=NO_PADDING,
        settings=detection(type="semantic_vad", eagerness=eagerness),
        lasts_s=starts_s + 3,
    ).play()
    assert len(log.all(ev.SpeechStarted)) == 1
    assert log.times(ev.SpeechStopped)[0] > user[-1][1]
    assert log.history[0] == ("user", words)


def test_the_melody_decides_where_words_do_not_tell() -> None:
    waits = {}
    for voice in (falling, level):
        log = Scene(
            user=[(0.5, 2.0)],
            voice=voice,
            asr=fake_asr.Config(script=("i live in berlin",)),
            settings=detection(type="semantic_vad"),
        ).play()
        waits[voice] = silence_s(log, 2.0)
    assert waits[falling] == pytest.approx(0.58, abs=1.5 * FRAME_S)
    assert waits[level] == pytest.approx(1.6, abs=1.5 * FRAME_S)
