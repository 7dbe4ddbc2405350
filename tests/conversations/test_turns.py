"""Ordinary turns: what is said on the wire, in which order, and when."""

import pytest

from deployments.asr.contract import AsrOptions
from deployments.asr.engines import fake as fake_asr
from deployments.llm.engines import fake as fake_llm
from deployments.tts.engines import fake as fake_tts
from serve_app.session import events as ev
from serve_app.session.commands import CreateItem, CreateResponse, ResponseOptions
from serve_app.session.items import Item, Part
from tests.conversations.scene import Scene

TRANSCRIBED = {"audio": {"input": {"transcription": {"model": "any"}}}}
TEXT = {"output_modalities": ["text"]}


def typed(item_id: str, text: str) -> CreateItem:
    return CreateItem(Item(item_id, "message", "completed", "user", (Part("input_text", text),)))


def test_a_turn_says_everything_once_and_in_order() -> None:
    log = Scene(user=[(0.5, 1.5)], settings=TRANSCRIBED).play()
    repeated = ("response.output_audio.delta", "response.output_audio_transcript.delta")
    assert [name for name in log.types if name not in repeated] == [
        "session.created",
        "conversation.created",
        "input_audio_buffer.speech_started",
        "parley.transcript.interim",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
        "response.created",
        "parley.turn.timeline",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    assert log.states == ["listening", "user_speaking", "thinking", "speaking", "listening", "closed"]
    assert log.history == [("user", "hello there"), ("assistant", "Hello there, I am listening. Please go on.")]


def test_recognition_is_told_what_the_client_asks_of_it() -> None:
    asked = {"model": "large", "language": "en", "prompt": "Names: Ann."}
    log = Scene(user=[(0.5, 1.5)], settings={"audio": {"input": {"transcription": asked}}}).play()
    assert log.utterances == (AsrOptions("en", "Names: Ann.", model="large"),)


def test_the_endpoint_counts_from_the_last_sample_of_speech() -> None:
    log = Scene(user=[(0.5, 1.5)]).play()
    stopped = log.only(ev.SpeechStopped)
    assert abs(stopped.audio_end_ms - 1500) <= 20
    assert log.times(ev.SpeechStopped) == [pytest.approx(2.0, abs=0.021)]
    assert log.only(ev.SpeechStarted).audio_start_ms == pytest.approx(200, abs=20), "300 ms of padding"
    assert log.times(ev.SpeechStarted)[0] - 0.5 <= 0.1


def test_words_are_final_before_the_endpoint_when_recognition_takes_150_ms() -> None:
    """It is finalised on a guess after 200 ms of silence."""
    log = Scene(user=[(0.5, 1.5)], asr=fake_asr.Config(finalize_ms=150), settings=TRANSCRIBED).play()
    assert log.only(ev.TurnTimeline).words_final_ms == 0
    assert log.times(ev.TranscriptionCompleted) == log.times(ev.SpeechStopped)


def test_a_pause_in_mid_sentence_is_no_end() -> None:
    log = Scene(user=[(0.5, 1.2), (1.6, 2.2)], settings=TRANSCRIBED).play()
    assert len(log.all(ev.SpeechStarted)) == 1
    assert abs(log.only(ev.SpeechStopped).audio_end_ms - 2200) <= 20
    assert log.only(ev.TranscriptionCompleted).usage["seconds"] == pytest.approx(2.2, abs=0.2), "nothing was left out"


def test_sound_words_and_text_agree() -> None:
    log = Scene(user=[(0.5, 1.5)], tts=fake_tts.Config(word_ms=250)).play()
    text = "".join(each.delta for each in log.all(ev.OutputTranscriptDelta))
    assert text == log.only(ev.OutputTranscriptDone).transcript == "Hello there, I am listening. Please go on."
    assert log.sound_s() == pytest.approx(8 * 0.25, abs=0.001)
    begun_s = log.times(ev.OutputAudioDelta)[0]
    for n, at_s in enumerate(log.times(ev.OutputTranscriptDelta)):
        word_begins_s = n * 0.25
        assert -0.001 <= begun_s + word_begins_s - at_s <= 0.30, "a word goes out with its sound, the lead ahead"


def test_response_done_tells_status_usage_and_output() -> None:
    done = Scene(user=[(0.5, 1.5)]).play().only(ev.ResponseDone).response
    assert done.status == "completed"
    assert [item.text for item in done.output] == ["Hello there, I am listening. Please go on."]
    usage = done.usage
    assert usage is not None
    assert usage["output_token_details"] == {"text_tokens": 8, "audio_tokens": 32}
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


def test_nothing_recognised_is_not_answered() -> None:
    log = Scene(user=[(0.5, 1.0)], asr=fake_asr.Config(script=("",)), settings=TRANSCRIBED).play()
    assert log.only(ev.TranscriptionCompleted).transcript == ""
    assert not log.all(ev.ResponseCreated)
    assert log.states == ["listening", "user_speaking", "thinking", "listening", "closed"]


def test_two_turns_and_what_the_model_is_shown() -> None:
    log = Scene(
        user=[(0.5, 1.0), (5.0, 5.5)],
        asr=fake_asr.Config(script=("first words", "second words")),
        llm=fake_llm.Config(replies=("One.", "Two.")),
        settings={"instructions": "Be brief."},
    ).play()
    assert log.history == [
        ("user", "first words"),
        ("assistant", "One."),
        ("user", "second words"),
        ("assistant", "Two."),
    ]
    assert [(m.role, m.text) for m in log.requests[1].messages] == [
        ("system", "Be brief."),
        ("user", "first words"),
        ("assistant", "One."),
        ("user", "second words"),
    ]


def test_typed_text_is_answered_by_voice_without_a_microphone() -> None:
    log = Scene(microphone=False, do=[(0.1, typed("item_1", "hi")), (0.2, CreateResponse())]).play()
    assert log.sound_s() > 1
    assert log.states == ["thinking", "speaking", "listening", "closed"]
    assert log.only(ev.TurnTimeline).silence_ms is None


def test_a_text_session_gets_text_and_no_sound() -> None:
    log = Scene(microphone=False, settings=TEXT, do=[(0.1, typed("item_1", "hi")), (0.2, CreateResponse())]).play()
    text = "".join(each.delta for each in log.all(ev.OutputTextDelta))
    assert text == log.only(ev.OutputTextDone).text == "Hello there, I am listening. Please go on."
    assert not log.all(ev.OutputAudioDelta)
    assert log.requests[0].cut == "word"


def test_a_response_has_its_own_instructions_and_metadata() -> None:
    options = ResponseOptions(instructions="Only now.", metadata={"topic": "test"}, max_output_tokens=3)
    log = Scene(microphone=False, do=[(0.1, typed("item_1", "hi")), (0.2, CreateResponse(options))]).play()
    assert log.requests[0].messages[0].text == "Only now."
    done = log.only(ev.ResponseDone).response
    assert done.metadata == {"topic": "test"}
    assert done.status == "incomplete"
    assert done.status_details == {"type": "incomplete", "reason": "max_output_tokens"}


def test_a_response_outside_the_conversation_leaves_no_trace_in_it() -> None:
    options = ResponseOptions(
        in_conversation=False,
        output_modalities=("text",),
        input=(Item("x", "message", "completed", "user", (Part("input_text", "aside"),)), "item_1"),
    )
    log = Scene(
        microphone=False,
        do=[(0.1, typed("item_1", "hi")), (0.2, CreateResponse()), (0.3, CreateResponse(options))],
    ).play()
    first, second = (each.response for each in log.all(ev.ResponseDone))
    assert {first.conversation_id, second.conversation_id} == {None, log.session.conversation_id}
    assert [m.text for m in log.requests[1].messages if m.role == "user"] == ["aside", "hi"]
    assert log.history == [("user", "hi"), ("assistant", "Hello there, I am listening. Please go on.")]


def test_too_many_responses_outside_the_conversation_are_refused() -> None:
    aside = CreateResponse(ResponseOptions(in_conversation=False, output_modalities=("text",)), event_id="evt")
    log = Scene(microphone=False, llm=fake_llm.Config(first_token_ms=500), do=[(0.1, aside)] * 6).play()
    assert [error["code"] for error in log.errors] == ["too_many_responses"] * 2
    assert len(log.all(ev.ResponseDone)) == 4


def test_what_the_user_records_into_an_item_is_recognised() -> None:
    item = Item("item_1", "message", "completed", "user", (Part("input_audio"),))
    log = Scene(
        microphone=False,
        asr=fake_asr.Config(script=("spoken earlier",)),
        do=[(0.1, CreateItem(item, audio=bytes(32_000))), (0.2, CreateResponse())],
    ).play()
    assert log.history[0] == ("user", "spoken earlier")
    assert log.requests[0].messages[-1].text == "spoken earlier"
