"""Every event on the wire is one that the `openai` package knows, field by field."""

import base64
import dataclasses
from typing import Any, get_args

import numpy as np
import orjson
import pytest
from openai.types.realtime import ConversationItem, RealtimeServerEvent
from openai.types.realtime.realtime_session_create_response import RealtimeSessionCreateResponse
from pydantic import BaseModel, TypeAdapter

from deployments.media.audio import samples_of
from deployments.media.video import VideoFrame
from serve_app.gateway.realtime.wire import Outbound, session_object
from serve_app.session import events as ev
from serve_app.session.items import Item, Part
from serve_app.session.settings import SessionSettings

USER = Item(
    "item_u",
    "message",
    role="user",
    content=(
        Part("input_audio", None),
        Part("input_text", "and ü"),
    ),
)
REPLY = Item("item_a", "message", "in_progress", "assistant", (Part("output_audio", "Hello"),))
WRITTEN = Item("item_t", "message", "incomplete", "assistant", (Part("output_text", "Hello"),), interrupted=True)
CALL = Item("item_c", "function_call", call_id="call_1", name="look", arguments="{}")
RESULT = Item("item_o", "function_call_output", call_id="call_1", output="rain")
SYSTEM = Item("item_s", "message", role="system", content=(Part("input_text", "Be kind."),))
USAGE = {
    "total_tokens": 9,
    "input_tokens": 4,
    "output_tokens": 5,
    "input_token_details": {"text_tokens": 4, "audio_tokens": 0, "image_tokens": 0, "cached_tokens": 0},
    "output_token_details": {"text_tokens": 2, "audio_tokens": 3},
}
SETTINGS = SessionSettings().updated(
    {
        "audio": {
            "input": {"transcription": {"language": "en"}, "noise_reduction": {"type": "near_field"}},
            "output": {"format": {"type": "audio/pcma"}, "voice": "en-gb"},
        },
        "tools": [{"type": "function", "name": "look", "description": "Look.", "parameters": {"type": "object"}}],
        "tool_choice": {"type": "function", "name": "look"},
        "max_output_tokens": 200,
        "reasoning": {"effort": "low"},
        "tracing": "auto",
        "truncation": {"type": "retention_ratio", "retention_ratio": 0.8},
        "include": ["item.input_audio_transcription.logprobs"],
    }
)


def response(output_format: str = "audio/pcm", **changes: Any) -> ev.ResponseInfo:
    made = ev.ResponseInfo(
        id="resp_1",
        status="in_progress",
        conversation_id="conv_1",
        output_modalities=("audio",),
        voice="en-gb",
        output_format={"type": output_format},
        max_output_tokens="inf",
    )
    return dataclasses.replace(made, **changes)


PLACE = ("resp_1", "item_a", 0, 0)
EVENTS: list[ev.ServerEvent] = [
    ev.SessionCreated(SessionSettings(), {"resume_token": "t", "resume_within_s": 60.0}),
    ev.SessionUpdated(SETTINGS),
    ev.ConversationCreated({"id": "conv_1", "object": "realtime.conversation"}),
    ev.ErrorEvent({"type": "invalid_request_error", "code": None, "message": "no", "param": None, "event_id": None}),
    ev.SpeechStarted(100, "item_u"),
    ev.SpeechStopped(900, "item_u"),
    ev.BufferCommitted("item_u", None),
    ev.BufferCleared(),
    ev.TimeoutTriggered(0, 5000, "item_u"),
    ev.TranscriptionDelta("item_u", "hel"),
    ev.TranscriptionCompleted("item_u", "hello", {"type": "duration", "seconds": 0.8}),
    ev.TranscriptionFailed("item_u", {"type": "server_error", "code": "stage_timeout", "message": "slow"}),
    *(ev.ItemAdded(item, None) for item in (USER, REPLY, WRITTEN, CALL, RESULT, SYSTEM)),
    ev.ItemDone(USER, "item_s"),
    ev.ItemRetrieved(REPLY),
    ev.ItemDeleted("item_u"),
    ev.ItemTruncated("item_a", 0, 1200),
    ev.ResponseCreated(response()),
    ev.ResponseDone(
        response(
            status="failed",
            status_details={"type": "failed", "error": {"type": "server_error", "code": "x"}},
            output=(REPLY, CALL),
            metadata={"a": "b"},
            usage=USAGE,
            max_output_tokens=100,
        )
    ),
    ev.ResponseDone(
        response(status="cancelled", status_details={"type": "cancelled", "reason": "turn_detected"}, usage=USAGE)
    ),
    ev.OutputItemAdded("resp_1", 0, REPLY),
    ev.OutputItemDone("resp_1", 1, CALL),
    ev.ContentPartAdded(*PLACE, {"type": "audio", "transcript": ""}),
    ev.ContentPartDone(*PLACE, {"type": "text", "text": "Hello"}),
    ev.OutputTextDelta(*PLACE, 'He said "hi"\n'),
    ev.OutputTextDone(*PLACE, "Hello"),
    ev.OutputAudioDelta(*PLACE, bytes(960)),
    ev.OutputAudioDone(*PLACE),
    ev.OutputTranscriptDelta(*PLACE, "Hel"),
    ev.OutputTranscriptDone(*PLACE, "Hello"),
    ev.ArgumentsDelta("resp_1", "item_c", 1, "call_1", "{"),
    ev.ArgumentsDone("resp_1", "item_c", 1, "call_1", "look", "{}"),
]
EXTENSIONS: list[ev.ServerEvent] = [
    ev.InterimTranscript("item_u", "hel"),
    ev.StateChanged("listening"),
    ev.SessionResumed(("item_1",), None),
    ev.PlaybackHeld("resp_1"),
    ev.PlaybackResumed("resp_1"),
    ev.VideoBlock(1200.0, (VideoFrame(b"\0\0\0\1e", True),), 384, 580, bytes(9600), 200.0, cut="silence"),
    ev.TurnTimeline("resp_1", None, 1.5, 2.5, None),
]

_UNION = get_args(RealtimeServerEvent)[0]
THEIRS: dict[str, type[BaseModel]] = {
    get_args(model.model_fields["type"].annotation)[0]: model for model in get_args(_UNION)
}


def wire(*events: ev.ServerEvent, extensions: bool = False) -> list[dict[str, Any]]:
    outbound = Outbound("sess_0123456789abcdef0123", extensions)
    return [orjson.loads(message) for event in events for message in outbound.messages(event)]


def test_pictures_cross_as_base64_without_their_sound() -> None:
    block = ev.VideoBlock(400.0, (VideoFrame(b"key", True), VideoFrame(b"next", False)), 384, 580, b"\1\0" * 4800, 0.0)
    [message] = wire(block, extensions=True)
    assert message.pop("event_id")
    assert message == {
        "type": "parley.video.block",
        "at_ms": 400.0,
        "spoken_ms": 0.0,
        "cut": None,
        "width": 384,
        "height": 580,
        "frames": [{"keyframe": True, "data": "a2V5"}, {"keyframe": False, "data": "bmV4dA=="}],
    }


def unknown_fields(value: Any, path: str = "") -> list[str]:
    """Fields that a parsed model carries beyond those it declares, at any depth."""
    if isinstance(value, BaseModel):
        extra = [f"{path}.{name}" for name in value.model_extra or {}]
        declared = {name: getattr(value, name) for name in type(value).model_fields}
        return extra + [each for name, inner in declared.items() for each in unknown_fields(inner, f"{path}.{name}")]
    if isinstance(value, list):
        return [each for index, inner in enumerate(value) for each in unknown_fields(inner, f"{path}[{index}]")]
    return []


def test_the_examples_name_every_event_of_a_session() -> None:
    assert {type(event) for event in (*EVENTS, *EXTENSIONS)} == set(get_args(ev.ServerEvent))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_events_are_those_of_openai(event: ev.ServerEvent) -> None:
    [message] = wire(event)
    model = THEIRS[event.type]
    parsed = TypeAdapter(model).validate_python(message, strict=True)
    # Their type of the session in events is that of requests; the documented ones have these besides.
    session_only = {".session.id", ".session.object", ".session.expires_at", ".parley"}  # and ours
    assert set(unknown_fields(parsed)) <= session_only


@pytest.mark.parametrize("item", [USER, REPLY, WRITTEN, CALL, RESULT, SYSTEM], ids=lambda item: item.id)
def test_items_are_those_of_openai(item: Item) -> None:
    parsed: Any = TypeAdapter(get_args(ConversationItem)[0]).validate_python(item.wire(), strict=True)
    assert not unknown_fields(parsed)
    assert (parsed.id, parsed.type, parsed.status) == (item.id, item.type, item.status)


@pytest.mark.parametrize("settings", [SessionSettings(), SETTINGS])
def test_the_session_object_is_that_of_openai(settings: SessionSettings) -> None:
    shown = session_object(settings, "sess_1", 1_800_000_000)
    parsed = TypeAdapter(RealtimeSessionCreateResponse).validate_python(shown, strict=True)
    assert unknown_fields(parsed) == [".parallel_tool_calls"]  # their requests have it, their answers not
    assert parsed.id == "sess_1"
    assert parsed.audio is not None
    assert parsed.audio.output is not None
    assert parsed.audio.output.voice == settings.audio.output.voice


def test_fields_that_nobody_set_are_left_out_where_clients_stumble_over_them() -> None:
    heard = session_object(SETTINGS, "sess_1")["audio"]["input"]
    assert heard["transcription"] == {"language": "en"}
    assert heard["noise_reduction"] == {"type": "near_field"}
    assert session_object(SessionSettings(), "sess_1")["audio"]["input"]["transcription"] is None


def test_event_ids_are_unique() -> None:
    ids = [message["event_id"] for message in wire(*EVENTS)]
    assert len(set(ids)) == len(EVENTS)


def test_extensions_go_only_to_those_who_asked() -> None:
    assert [message["type"] for message in wire(*EXTENSIONS)] == ["parley.video.block"], "which is for who has a face"
    assert [message["type"] for message in wire(*EXTENSIONS, extensions=True)] == [each.type for each in EXTENSIONS]
    [timeline] = wire(EXTENSIONS[-1], extensions=True)
    del timeline["event_id"]
    assert timeline == {
        "type": "parley.turn.timeline",
        "response_id": "resp_1",
        "silence_ms": None,
        "words_final_ms": 1.5,
        "first_token_ms": 2.5,
        "first_audio_ms": None,
    }


def test_pcm_goes_out_as_it_is() -> None:
    pcm = np.arange(-400, 400, dtype="<i2").tobytes()
    created, delta, done = wire(
        ev.ResponseCreated(response()), ev.OutputAudioDelta(*PLACE, pcm), ev.OutputAudioDone(*PLACE)
    )
    assert (created["type"], done["type"]) == ("response.created", "response.output_audio.done")
    del delta["event_id"]
    assert delta == {
        "type": "response.output_audio.delta",
        "response_id": "resp_1",
        "item_id": "item_a",
        "output_index": 0,
        "content_index": 0,
        "delta": base64.b64encode(pcm).decode(),
    }


@pytest.mark.parametrize("audio_format", ["audio/pcmu", "audio/pcma"])
def test_a_telephone_gets_every_sample_of_its_8_khz(audio_format: str) -> None:
    tone = (8000 * np.sin(np.arange(24_000) * 2 * np.pi * 440 / 24_000)).astype("<i2").tobytes()
    blocks = [ev.OutputAudioDelta(*PLACE, tone[start : start + 2_880]) for start in range(0, len(tone), 2_880)]
    messages = wire(ev.ResponseCreated(response(audio_format)), *blocks, ev.OutputAudioDone(*PLACE))
    sound = [base64.b64decode(each["delta"]) for each in messages if "delta" in each]
    assert sum(map(len, sound)) == samples_of(tone) // 3
    assert messages[-1]["type"] == "response.output_audio.done"


def test_two_responses_at_once_keep_their_formats() -> None:
    other = dataclasses.replace(response("audio/pcmu"), id="resp_2")
    messages = wire(
        ev.ResponseCreated(response()),
        ev.ResponseCreated(other),
        ev.OutputAudioDelta(*PLACE, bytes(4800)),
        ev.OutputAudioDelta("resp_2", "item_b", 0, 0, bytes(4800)),
        ev.OutputAudioDelta(*PLACE, bytes(4800)),
    )
    lengths = [len(base64.b64decode(each["delta"])) for each in messages[2:]]
    assert lengths[0] == lengths[2] == 4800
    assert 700 < lengths[1] <= 800
