"""Every control event of OpenAI's Realtime API becomes the command it means, or an error that names the field."""

import base64
from typing import Any, get_args

import orjson
import pytest
from openai.types.realtime import RealtimeClientEvent

from deployments.media.audio import ms_to_samples, samples_of
from deployments.runtime.errors import InvalidRequest, ParleyError, TooLarge
from serve_app.gateway.realtime.client_events import CLIENT_EVENTS, build_command
from serve_app.gateway.realtime.envelope import Envelope, Refused, open_envelope
from serve_app.gateway.realtime.limits import Limits
from serve_app.session import commands as cmd
from serve_app.session.items import Item, Part
from serve_app.session.settings import FunctionTool, NamedTool, PcmuFormat, SessionSettings

LIMITS = Limits(append_chars=4_000, message_chars=2_000, text_chars=100)


def command(event: dict[str, Any], settings: SessionSettings | None = None, limits: Limits = LIMITS) -> cmd.Command:
    return build_command(Envelope(event["type"], event.get("event_id"), event), settings or SessionSettings(), limits)


def refusal(event: dict[str, Any], limits: Limits = LIMITS) -> ParleyError:
    with pytest.raises(ParleyError) as caught:
        command(event, limits=limits)
    return caught.value


def test_every_client_event_of_openai_is_known() -> None:
    union = get_args(RealtimeClientEvent)[0]
    theirs = {get_args(event.model_fields["type"].annotation)[0] for event in get_args(union)}
    assert set(CLIENT_EVENTS) == theirs


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"type": "input_audio_buffer.commit", "event_id": "e1"}, cmd.Commit("e1")),
        ({"type": "input_audio_buffer.clear"}, cmd.Clear()),
        ({"type": "conversation.item.retrieve", "item_id": "i"}, cmd.RetrieveItem("i")),
        ({"type": "conversation.item.delete", "item_id": "i", "event_id": "e"}, cmd.DeleteItem("i", "e")),
        (
            {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": 1500},
            cmd.TruncateItem("i", 0, 1500),
        ),
        ({"type": "response.create"}, cmd.CreateResponse()),
        ({"type": "response.create", "response": None}, cmd.CreateResponse()),
        ({"type": "response.create", "response": {}}, cmd.CreateResponse()),
        ({"type": "response.cancel"}, cmd.CancelResponse()),
        ({"type": "response.cancel", "response_id": "resp_1"}, cmd.CancelResponse("resp_1")),
        (
            {"type": "session.update", "session": {"type": "realtime", "instructions": "Be brief."}},
            cmd.Update({"type": "realtime", "instructions": "Be brief."}),
        ),
    ],
)
def test_control_events(event: dict[str, Any], expected: cmd.Command) -> None:
    assert command(event) == expected


def test_a_response_takes_options_of_its_own() -> None:
    built = command(
        {
            "type": "response.create",
            "event_id": "e",
            "response": {
                "output_modalities": ["text"],
                "instructions": "Sing.",
                "audio": {"output": {"voice": {"id": "verse"}, "format": {"type": "audio/pcmu"}}},
                "tools": [{"type": "function", "name": "look", "parameters": {"type": "object"}}],
                "tool_choice": {"type": "function", "name": "look"},
                "max_output_tokens": 12,
                "metadata": {"topic": "weather"},
                "conversation": "none",
                "input": [
                    {"type": "item_reference", "id": "item_7"},
                    {"type": "message", "id": "m", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
                ],
                "prompt": {"id": "pmpt_1"},
                "reasoning": {"effort": "low"},
                "parallel_tool_calls": True,
            },
        }
    )
    assert built == cmd.CreateResponse(
        cmd.ResponseOptions(
            output_modalities=("text",),
            instructions="Sing.",
            voice="verse",
            output_format=PcmuFormat(type="audio/pcmu"),
            tools=(FunctionTool(name="look", parameters={"type": "object"}),),
            tool_choice=NamedTool(name="look"),
            max_output_tokens=12,
            metadata={"topic": "weather"},
            in_conversation=False,
            input=("item_7", Item("m", "message", role="user", content=(Part("input_text", "Hi"),))),
        ),
        "e",
    )


def test_empty_input_is_an_empty_context_not_the_history() -> None:
    built = command({"type": "response.create", "response": {"input": []}})
    assert isinstance(built, cmd.CreateResponse)
    assert built.options.input == ()
    assert built.options.in_conversation


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (
            {"type": "message", "role": "system", "content": [{"text": "Speak French."}]},
            Item("", "message", role="system", content=(Part("input_text", "Speak French."),)),
        ),
        (
            {
                "type": "message",
                "object": "realtime.item",
                "status": "completed",
                "role": "assistant",
                "content": [
                    {"type": "output_text", "text": "Bonjour"},
                    {"type": "output_audio", "transcript": " toi"},
                ],
            },
            Item(
                "", "message", role="assistant", content=(Part("output_text", "Bonjour"), Part("output_audio", " toi"))
            ),
        ),
        (
            {"type": "function_call", "name": "look", "arguments": "{}", "call_id": "c"},
            Item("", "function_call", call_id="c", name="look", arguments="{}"),
        ),
        (
            {"type": "function_call_output", "call_id": "c", "output": ""},
            Item("", "function_call_output", call_id="c"),
        ),
        (
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_audio", "transcript": "hi", "audio": "AAA="}],
            },
            Item("", "message", role="user", content=(Part("input_audio", "hi"),)),
        ),
    ],
)
def test_items(item: dict[str, Any], expected: Item) -> None:
    built = command({"type": "conversation.item.create", "previous_item_id": "root", "item": {**item, "id": "x"}})
    assert isinstance(built, cmd.CreateItem)
    assert built.previous_item_id == "root"
    assert not built.audio
    assert (built.item.id, built.item.wire() | {"id": ""}) == ("x", expected.wire())


def test_an_item_without_id_gets_one() -> None:
    event = {"type": "conversation.item.create", "item": {"type": "function_call", "name": "a", "arguments": ""}}
    first, second = command(event), command(event)
    assert isinstance(first, cmd.CreateItem)
    assert isinstance(second, cmd.CreateItem)
    assert first.item.id.startswith("item_")
    assert first.item.id != second.item.id
    assert first.item.call_id.startswith("call_")


@pytest.mark.parametrize(("audio_format", "bytes_per_ms"), [("audio/pcm", 48), ("audio/pcmu", 8), ("audio/pcma", 8)])
def test_sound_in_an_item_is_decoded_as_the_session_hears(audio_format: str, bytes_per_ms: int) -> None:
    settings = SessionSettings().updated({"audio": {"input": {"format": {"type": audio_format}}}})
    audio = base64.b64encode(bytes(bytes_per_ms * 30)).decode()
    item = {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": audio}]}
    built = command({"type": "conversation.item.create", "item": item}, settings)
    assert isinstance(built, cmd.CreateItem)
    assert samples_of(built.audio) == ms_to_samples(30, 16_000)
    assert built.item.content == (Part("input_audio", None),)


def _message(*content: dict[str, Any], role: str = "user") -> dict[str, Any]:
    item = {"type": "message", "role": role, "content": list(content)}
    return {"type": "conversation.item.create", "item": item}


@pytest.mark.parametrize(
    ("event", "code", "param"),
    [
        ({"type": "nonsense"}, "invalid_value", "type"),
        ({"type": "output_audio_buffer.clear"}, "invalid_value", "type"),
        ({"type": "response.cancel", "why": 1}, "unknown_parameter", "why"),
        ({"type": "conversation.item.delete"}, "missing_required_parameter", "item_id"),
        ({"type": "conversation.item.delete", "item_id": ""}, "invalid_value", "item_id"),
        ({"type": "conversation.item.delete", "item_id": 7}, "invalid_value", "item_id"),
        (
            {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": -1},
            "invalid_value",
            "audio_end_ms",
        ),
        ({"type": "session.update"}, "missing_required_parameter", "session"),
        ({"type": "session.update", "session": []}, "invalid_value", "session"),
        ({"type": "session.update", "session": {"tools": [{"type": "mcp"}]}}, "invalid_value", "session.tools"),
        ({"type": "session.update", "session": {"instructions": "x" * 101}}, "too_large", "session.instructions"),
        ({"type": "conversation.item.create"}, "missing_required_parameter", "item"),
        ({"type": "conversation.item.create", "item": "hello"}, "missing_required_parameter", "item.type"),
        ({"type": "conversation.item.create", "item": {"type": "mcp_call"}}, "invalid_value", "item.type"),
        ({"type": "conversation.item.create", "item": {"type": "item_reference"}}, "invalid_value", "item.type"),
        (_message(role="robot"), "invalid_value", "item.role"),
        (_message(), "invalid_value", "item.content"),
        (_message({"type": "input_text"}), "missing_required_parameter", "item.content[0].text"),
        (_message({"type": "input_text", "txt": ""}), "unknown_parameter", "item.content[0].txt"),
        (_message({"type": "output_text", "text": "x"}), "invalid_value", "item.content[0].type"),
        (_message({"type": "input_image", "image_url": "data:"}), "invalid_value", "item.content[0].type"),
        (_message({"type": "input_audio"}), "missing_required_parameter", "item.content[0].audio"),
        (_message({"type": "input_audio", "audio": "%%"}), "invalid_value", "item.content"),
        (
            _message({"type": "output_audio", "audio": "AAAA"}, role="assistant"),
            "missing_required_parameter",
            "item.content[0].transcript",
        ),
        (_message({"type": "input_text", "text": "x" * 101}), "too_large", "item"),
        ({"type": "response.create", "response": {"modalities": []}}, "unknown_parameter", "response.modalities"),
        ({"type": "response.create", "response": "now"}, "invalid_value", "response"),
        (
            {"type": "response.create", "response": {"output_modalities": ["text", "audio"]}},
            "invalid_value",
            "response.output_modalities",
        ),
        ({"type": "response.create", "response": {"conversation": "b"}}, "invalid_value", "response.conversation"),
        (
            {"type": "response.create", "response": {"audio": {"output": {"speed": 1.0}}}},
            "unknown_parameter",
            "response.audio.output.speed",
        ),
        (
            {
                "type": "response.create",
                "response": {"audio": {"output": {"format": {"type": "audio/pcm", "rate": 8}}}},
            },
            "invalid_value",
            "response.audio.output.format.rate",
        ),
        (
            {"type": "response.create", "response": {"tools": [{"type": "function"}]}},
            "missing_required_parameter",
            "response.tools[0].name",
        ),
        ({"type": "response.create", "response": {"tools": [{"type": "mcp"}]}}, "invalid_value", "response.tools"),
        (
            {"type": "response.create", "response": {"metadata": {"k": "v" * 513}}},
            "invalid_value",
            "response.metadata",
        ),
        (
            {"type": "response.create", "response": {"metadata": {str(n): "" for n in range(17)}}},
            "invalid_value",
            "response.metadata",
        ),
        (
            {"type": "response.create", "response": {"input": [_message({"type": "input_text"})["item"]]}},
            "missing_required_parameter",
            "response.input[0].content[0].text",
        ),
        (
            {
                "type": "response.create",
                "response": {"input": [_message({"type": "input_audio", "audio": "AAAA"})["item"]]},
            },
            "invalid_value",
            "response.input[0]",
        ),
    ],
)
def test_what_is_wrong_is_named(event: dict[str, Any], code: str, param: str) -> None:
    error = refusal(event)
    assert (error.code, error.param) == (code, param)
    assert isinstance(error, TooLarge if code == "too_large" else InvalidRequest)


@pytest.mark.parametrize(
    "beta",
    [{"modalities": ["text", "audio"]}, {"input_audio_format": "pcm16"}, {"turn_detection": None}, {"voice": "alloy"}],
)
def test_settings_of_the_beta_are_unknown_parameters(beta: dict[str, Any]) -> None:
    update = command({"type": "session.update", "session": beta})
    assert isinstance(update, cmd.Update)
    with pytest.raises(InvalidRequest) as caught:
        SessionSettings().updated(update.patch)
    assert (caught.value.code, caught.value.param) == ("unknown_parameter", f"session.{next(iter(beta))}")


@pytest.mark.parametrize(
    ("text", "code", "event_id"),
    [
        ("", "invalid_json", None),
        ("{", "invalid_json", None),
        ("[]", "invalid_json", None),
        ('"hello"', "invalid_json", None),
        ('{"a": NaN}', "invalid_json", None),
        ("{}", "missing_required_parameter", None),
        ('{"type": 1, "event_id": "e"}', "missing_required_parameter", "e"),
        ('{"type": "response.create", "event_id": 5}', "invalid_value", None),
        ("[" * 3_000, "too_large", None),
        (orjson.dumps({"type": "response.create", "event_id": "e", "x": "y" * 3_000}).decode(), "too_large", None),
        (
            orjson.dumps({"type": "response.create", "event_id": "e", "audio": "y" * 3_000}).decode(),
            "too_large",
            "e",
        ),
        (
            orjson.dumps({"type": "input_audio_buffer.append", "event_id": "e", "audio": "A" * 4_001}).decode(),
            "too_large",
            "e",
        ),
        ('{"type": "input_audio_buffer.append", "audio": "' + "A" * 3_000, "too_large", None),
    ],
)
def test_what_is_no_event_is_refused(text: str, code: str, event_id: str | None) -> None:
    with pytest.raises(Refused) as caught:
        open_envelope(text, LIMITS)
    assert (caught.value.error.code, caught.value.event_id) == (code, event_id)


@pytest.mark.parametrize("size", [4, 1_900, 3_996])
def test_an_append_may_be_larger_than_other_messages(size: int) -> None:
    for text in (
        f'{{"type":"input_audio_buffer.append","event_id":"e","audio":"{"A" * size}"}}',
        f'{{ "audio" : "{"A" * size}", "event_id": "e", "type": "input_audio_buffer.append" }}',
    ):
        envelope = open_envelope(text, LIMITS)
        assert (envelope.type, envelope.event_id, envelope.audio) == ("input_audio_buffer.append", "e", "A" * size)
        assert "audio" not in envelope.fields
