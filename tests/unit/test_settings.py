"""Partial updates of a session, by the types of the `openai` package."""

from typing import Any

import pytest
from openai.types.realtime import RealtimeSessionCreateRequest

from configs.session import SessionConfig
from deployments.runtime.errors import InvalidRequest
from serve_app.session.settings import SessionSettings, initial_settings, language_of


def test_a_patch_changes_what_it_names_and_nothing_else() -> None:
    settings = SessionSettings(instructions="Old.").updated({"audio": {"output": {"voice": "alloy"}}})
    assert (settings.instructions, settings.audio.output.voice) == ("Old.", "alloy")
    assert settings.audio.input == SessionSettings().audio.input


def test_null_switches_detection_off_and_an_object_on_again() -> None:
    off = SessionSettings().updated({"audio": {"input": {"turn_detection": None}}})
    assert off.audio.input.turn_detection is None
    again = off.updated({"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 0.7}}}})
    assert again.audio.input.turn_detection is not None
    assert again.audio.input.turn_detection.model_dump()["threshold"] == 0.7


def test_another_kind_of_detection_starts_from_its_own_defaults() -> None:
    first = SessionSettings().updated({"audio": {"input": {"turn_detection": {"threshold": 0.9}}}})
    second = first.updated({"audio": {"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "low"}}}})
    assert second.audio.input.turn_detection is not None
    assert second.audio.input.turn_detection.model_dump() == {
        "type": "semantic_vad",
        "eagerness": "low",
        "create_response": True,
        "interrupt_response": True,
    }


def test_lists_are_replaced() -> None:
    tool = {"type": "function", "name": "a", "parameters": {}}
    settings = SessionSettings().updated({"tools": [tool]}).updated({"tools": [{**tool, "name": "b"}]})
    assert [each.name for each in settings.tools] == ["b"]


@pytest.mark.parametrize(
    ("patch", "param", "code"),
    [
        ({"output_modalities": ["text", "audio"]}, "session.output_modalities", "invalid_value"),
        ({"nonsense": 1}, "session.nonsense", "unknown_parameter"),
        (
            {"audio": {"input": {"turn_detection": {"threshold": 2}}}},
            "session.audio.input.turn_detection.threshold",
            "invalid_value",
        ),
        ({"audio": {"output": {"speed": 9}}}, "session.audio.output.speed", "invalid_value"),
        (
            {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}},
            "session.audio.input.format.rate",
            "invalid_value",
        ),
        ({"tools": [{"type": "function"}]}, "session.tools[0].name", "missing_required_parameter"),
        ({"max_output_tokens": 0}, "session.max_output_tokens", "invalid_value"),
        ({"instructions": "x" * 50_001}, "session.instructions", "invalid_value"),
    ],
)
def test_a_wrong_field_is_named(patch: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        SessionSettings().updated(patch)
    assert caught.value.code == code
    assert (caught.value.param or "").startswith(param)


def test_the_server_s_configuration_is_where_a_session_begins() -> None:
    config = SessionConfig.model_validate(
        {"instructions": "Hi.", "voice": "de", "language": "de", "endpointing": {"silence_duration_ms": 700}}
    )
    settings = initial_settings(config)
    assert (settings.instructions, settings.audio.output.voice) == ("Hi.", "de")
    assert settings.audio.input.turn_detection is not None
    assert settings.audio.input.turn_detection.model_dump()["silence_duration_ms"] == 700
    assert language_of(settings, config) == "de"
    spoken = settings.updated({"audio": {"input": {"transcription": {"language": "fr"}}}})
    assert language_of(spoken, config) == "fr"


def test_what_is_shown_is_openai_s_session_object() -> None:
    shown = SessionSettings().model_dump(mode="json", exclude_none=True)
    parsed = RealtimeSessionCreateRequest.model_validate(shown)
    assert not parsed.model_extra
