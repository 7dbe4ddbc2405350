"""The user tells something long, with pauses, and hears that somebody listens."""

from dataclasses import replace
from itertools import pairwise

import pytest

from configs.interruption import InterruptionConfig
from configs.session import BackchannelConfig, SessionConfig
from deployments.asr.engines import fake as fake_asr
from deployments.llm.engines import fake as fake_llm
from deployments.tts.engines import fake as fake_tts
from serve_app.session import events as ev
from serve_app.session.commands import Clear, Command, CreateResponse
from serve_app.session.interruption import TwoStepInterruption
from tests.conversations.scene import Echo, Log, Scene

STORY = "so I went to the station and there was a man who told me that all the trains were late because"
ANSWER = "Oh dear, that is bad."
SEMANTIC = {"audio": {"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "medium"}}}}
PAUSED = ((0.5, 3.0), (4.0, 6.5), (7.5, 10.0))
"""Pauses of a second, too short to end a turn whose words want more."""


def telling(
    *user: tuple[float, float], words: str = STORY, after_s: float | None = 2.0, echo: Echo | None = None
) -> Scene:
    return Scene(
        user=user or PAUSED,
        asr=fake_asr.Config(script=(words,)),
        llm=fake_llm.Config(replies=(ANSWER,)),
        tts=fake_tts.Config(word_ms=200),
        settings=SEMANTIC,
        config=SessionConfig(backchannel=BackchannelConfig(after_s=after_s)),
        interruption=TwoStepInterruption(InterruptionConfig()),
        lasts_s=18,
        echo=echo,
    )


def hums(log: Log) -> list[ev.ResponseDone]:
    """Responses outside the conversation."""
    return [each for each in log.all(ev.ResponseDone) if each.response.conversation_id is None]


def sounds(log: Log, response_id: str) -> list[float]:
    """When sound of a response went out."""
    return [at for at, each in log.entries if isinstance(each, ev.OutputAudioDelta) and each.response_id == response_id]


def test_it_is_off_unless_it_is_configured() -> None:
    assert not hums(telling(after_s=None).play())


def test_each_pause_of_a_long_telling_is_answered_in_turn() -> None:
    log = telling().play()
    assert [each.response.output[0].text for each in hums(log)] == ["Uh-huh", "I see", "Right"]
    assert [each.response.status for each in hums(log)] == ["completed"] * 3
    for hum, (_, ends_s) in zip(hums(log), PAUSED, strict=True):
        first_s = sounds(log, hum.response.id)[0]
        assert 0.32 <= first_s - ends_s < 0.4


def test_it_leaves_no_trace() -> None:
    log, plain = telling().play(), telling(after_s=None).play()
    assert log.history == plain.history == [("user", STORY), ("assistant", ANSWER)]
    assert [each.messages for each in log.requests] == [each.messages for each in plain.requests]
    assert log.states == plain.states
    assert log.times(ev.SpeechStarted) == plain.times(ev.SpeechStarted)
    assert log.times(ev.SpeechStopped) == plain.times(ev.SpeechStopped)
    assert not log.all(ev.PlaybackHeld)
    assert len(log.all(ev.TurnTimeline)) == 1, "it is no answer"


def test_on_the_wire_it_is_a_response_as_any_client_plays_it() -> None:
    log = telling().play()
    hum = hums(log)[0].response
    of_it = [
        each.type
        for _, each in log.entries
        if getattr(each, "response_id", getattr(getattr(each, "response", None), "id", "")) == hum.id
    ]
    steps = [type_ for type_, following in pairwise([*of_it, ""]) if type_ != following]
    assert steps[:3] == ["response.created", "response.output_item.added", "response.content_part.added"]
    assert "response.output_audio.delta" in steps
    assert steps[-1] == "response.done"
    assert not [each for each in log.all(ev.ItemAdded) if each.item.role == "assistant" and each.item.text == "Uh-huh"]


@pytest.mark.parametrize(
    ("user", "words"),
    [
        (((0.5, 2.0),), STORY),
        (((0.5, 3.0),), "I would like to know how late the train is now."),
        (((0.5, 3.0),), ""),
    ],
    ids=["not long enough", "finished", "no words"],
)
def test_where_it_does_not_belong_it_is_not_said(user: tuple[tuple[float, float], ...], words: str) -> None:
    assert not hums(telling(*user, words=words).play())


def test_it_is_not_said_where_the_pause_soon_ends_the_turn() -> None:
    impatient = replace(telling((0.5, 3.0), words="I went to the station"), settings={})
    assert not hums(impatient.play()), "server_vad: 500 ms of silence are the end"
    patient = {"audio": {"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 1200}}}}
    assert len(hums(replace(impatient, settings=patient).play())) == 1


def test_text_sessions_hear_nothing() -> None:
    written = telling()
    written.settings = {**SEMANTIC, "output_modalities": ["text"]}
    assert not hums(written.play())


def test_a_voice_that_is_too_slow_for_the_pause_stays_silent() -> None:
    slow = telling()
    slow.tts = fake_tts.Config(word_ms=200, first_block_delay_ms=900)
    log = slow.play()
    for hum in hums(log)[:2]:
        assert hum.response.status == "cancelled"
        assert not sounds(log, hum.response.id)


COMMANDS: list[Command] = [CreateResponse(), Clear()]


@pytest.mark.parametrize("command", COMMANDS, ids=["the client asks for the reply", "the buffer is cleared"])
def test_it_stops_at_once_when_the_turn_ends_and_delays_no_reply(command: Command) -> None:
    ends_s = 3.5
    scene = telling((0.5, 3.0))
    scene.tts = fake_tts.Config(word_ms=600)
    log = replace(scene, do=[(ends_s, command)], lasts_s=8.0).play()
    hum = hums(log)[0].response
    assert hum.status == "cancelled"
    assert hum.status_details == {"type": "cancelled", "reason": "turn_detected"}
    played = sounds(log, hum.id)
    assert played
    assert played[-1] <= ends_s
    at_client_s = played[0] + log.sound_s(hum.id)
    assert at_client_s <= ends_s + 0.06, "so little of it can be left in the client"
    replies = [at for at, each in log.entries if isinstance(each, ev.ResponseCreated) and each.response.conversation_id]
    assert replies[:1] == ([ends_s] if isinstance(command, CreateResponse) else [])


def test_it_stops_when_the_words_end_the_turn() -> None:
    """The recogniser thinks again: the sentence is whole, and the reply begins while the sound is on."""
    scene = telling((0.5, 3.0), words="I went to the station")
    scene.config = scene.config.model_copy(update={"backchannel": BackchannelConfig(after_s=2, room_ms=200)})
    scene.tts = fake_tts.Config(word_ms=1800)
    log = scene.play()
    (hum,) = hums(log)
    assert hum.response.status == "cancelled"
    (stopped_s,) = log.times(ev.SpeechStopped)
    assert sounds(log, hum.response.id)[-1] <= stopped_s
    assert log.history[-1] == ("assistant", ANSWER)


def test_the_user_who_goes_on_is_not_interrupted_and_interrupts_nothing() -> None:
    log = telling((0.5, 3.0), (3.4, 6.0)).play()
    hum = hums(log)[0]
    assert hum.response.status == "completed"
    assert sounds(log, hum.response.id)[-1] > 3.4, "both speak"
    assert len(log.all(ev.SpeechStarted)) == 1
    assert log.history == [("user", STORY), ("assistant", ANSWER)]


ECHOES = [Echo(gain_db, delay_s) for gain_db in (-6, -12, -20) for delay_s in (0.05, 0.15, 0.3)]


@pytest.mark.parametrize("echo", ECHOES, ids=str)
def test_its_echo_is_not_taken_for_the_user(echo: Echo) -> None:
    scene = telling((0.5, 3.0), (3.8, 6.3), words="I went to the station", echo=echo)
    log, plain = scene.play(), replace(scene, echo=None).play()
    assert len(hums(log)) == len(hums(plain)) == 2
    assert log.times(ev.SpeechStopped)[0] - plain.times(ev.SpeechStopped)[0] <= 0.04, "the turn is not prolonged"
    assert log.history == plain.history
    assert len(log.all(ev.SpeechStarted)) == 1


@pytest.mark.parametrize("echo", ECHOES, ids=str)
def test_over_its_echo_the_user_is_heard(echo: Echo) -> None:
    log = telling((0.5, 3.0), (3.6, 6.0), (6.7, 9.0), echo=echo).play()
    assert len(log.all(ev.SpeechStarted)) == 1
    assert log.history == [("user", STORY), ("assistant", ANSWER)]
    assert log.times(ev.SpeechStopped)[0] > 9.0
