"""The control events of OpenAI's Realtime API (types of the `openai` package 3.52), each into the command it means.

`input_audio_buffer.append` is not among them: sound takes the short way, see `inbound.py`.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field

from deployments.runtime.errors import InvalidRequest, TooLarge
from serve_app.gateway.realtime import limits as most
from serve_app.gateway.realtime.audio_codec import decode_whole
from serve_app.gateway.realtime.client_items import ItemId, Strict, build_input, build_item
from serve_app.gateway.realtime.envelope import APPEND, Envelope
from serve_app.gateway.realtime.limits import Limits
from serve_app.session import commands as cmd
from serve_app.session.settings import AudioOutput, FunctionTool, NamedTool, SessionSettings
from serve_app.session.validation import validated


class _Event(Strict):
    type: str
    event_id: str | None = None


class _SessionUpdate(_Event):
    session: dict[str, Any]


class _ItemCreate(_Event):
    item: Any
    previous_item_id: ItemId | None = None


class _ItemNamed(_Event):
    item_id: ItemId


class _ItemTruncate(_ItemNamed):
    content_index: Annotated[int, Field(ge=0)]
    audio_end_ms: Annotated[int, Field(ge=0)]


class _ResponseCancel(_Event):
    response_id: ItemId | None = None


class _ResponseAudio(Strict):
    output: Any = None


class _ResponseParams(Strict):
    """`prompt`, `reasoning` and `parallel_tool_calls` are accepted and have no effect."""

    output_modalities: list[Literal["text", "audio"]] | None = None
    instructions: str | None = None
    audio: _ResponseAudio | None = None
    tools: Annotated[list[dict[str, Any]], Field(max_length=128)] | None = None
    tool_choice: Literal["auto", "none", "required"] | dict[str, Any] | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=4096)] | Literal["inf"] | None = None
    metadata: dict[str, str] | None = None
    conversation: Literal["auto", "none"] | None = None
    input: Annotated[list[Any], Field(max_length=1000)] | None = None
    prompt: dict[str, Any] | None = None
    reasoning: dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None


class _ResponseCreate(_Event):
    response: Any = None


def build_command(envelope: Envelope, settings: SessionSettings, limits: Limits) -> cmd.Command:
    """The command that a control event means; `settings` are those in force when it arrives.

    Raises InvalidRequest, TooLarge.
    """
    build = _BUILDERS.get(envelope.type)
    if build is None:
        known = ", ".join(f"'{each}'" for each in CLIENT_EVENTS)
        raise InvalidRequest(f"Invalid value: '{envelope.type[:64]}'. Supported values are: {known}.", param="type")
    return build(envelope, settings, limits)


def _commit(envelope: Envelope, _: SessionSettings, __: Limits) -> cmd.Commit:
    return cmd.Commit(validated(_Event, envelope.fields).event_id)


def _clear(envelope: Envelope, _: SessionSettings, __: Limits) -> cmd.Clear:
    return cmd.Clear(validated(_Event, envelope.fields).event_id)


def _clear_output(envelope: Envelope, _: SessionSettings, __: Limits) -> cmd.Command:
    validated(_Event, envelope.fields)
    raise InvalidRequest(
        "output_audio_buffer.clear is for WebRTC and SIP. On a WebSocket the client holds the sound: drop it, and "
        "send response.cancel and conversation.item.truncate.",
        param="type",
    )


def _update(envelope: Envelope, _: SessionSettings, limits: Limits) -> cmd.Update:
    event = validated(_SessionUpdate, envelope.fields)
    _refuse_mcp(event.session.get("tools"), event.session.get("tool_choice"), "session")
    instructions = event.session.get("instructions")
    if isinstance(instructions, str):
        _check_text(instructions, limits, "session.instructions")
    return cmd.Update(event.session, event.event_id)


def _create_item(envelope: Envelope, settings: SessionSettings, limits: Limits) -> cmd.CreateItem:
    event = validated(_ItemCreate, envelope.fields)
    item, audio = build_item(event.item, "item", limits.text_chars)
    pcm = b"" if audio is None else decode_whole(audio, settings.audio.input.format.type, "item.content")
    return cmd.CreateItem(item, event.previous_item_id, pcm, event.event_id)


def _retrieve_item(envelope: Envelope, _: SessionSettings, __: Limits) -> cmd.RetrieveItem:
    event = validated(_ItemNamed, envelope.fields)
    return cmd.RetrieveItem(event.item_id, event.event_id)


def _delete_item(envelope: Envelope, _: SessionSettings, __: Limits) -> cmd.DeleteItem:
    event = validated(_ItemNamed, envelope.fields)
    return cmd.DeleteItem(event.item_id, event.event_id)


def _truncate_item(envelope: Envelope, _: SessionSettings, __: Limits) -> cmd.TruncateItem:
    event = validated(_ItemTruncate, envelope.fields)
    return cmd.TruncateItem(event.item_id, event.content_index, event.audio_end_ms, event.event_id)


def _create_response(envelope: Envelope, _: SessionSettings, limits: Limits) -> cmd.CreateResponse:
    event = validated(_ResponseCreate, envelope.fields)
    given = validated(_ResponseParams, event.response or {}, "response")
    _refuse_mcp(given.tools, given.tool_choice, "response")
    if given.instructions is not None:
        _check_text(given.instructions, limits, "response.instructions")
    output = _audio_output(given.audio)
    options = cmd.ResponseOptions(
        output_modalities=_modalities(given.output_modalities),
        instructions=given.instructions,
        voice=output.voice or None,
        output_format=output.format if "format" in output.model_fields_set else None,
        tools=_tools(given.tools),
        tool_choice=_tool_choice(given.tool_choice),
        max_output_tokens=given.max_output_tokens,
        metadata=_metadata(given.metadata),
        in_conversation=given.conversation != "none",
        input=None if given.input is None else build_input(given.input, "response.input", limits.text_chars),
    )
    return cmd.CreateResponse(options, event.event_id)


def _cancel_response(envelope: Envelope, _: SessionSettings, __: Limits) -> cmd.CancelResponse:
    event = validated(_ResponseCancel, envelope.fields)
    return cmd.CancelResponse(event.response_id, event.event_id)


_BUILDERS: dict[str, Callable[[Envelope, SessionSettings, Limits], cmd.Command]] = {
    "session.update": _update,
    "input_audio_buffer.commit": _commit,
    "input_audio_buffer.clear": _clear,
    "output_audio_buffer.clear": _clear_output,
    "conversation.item.create": _create_item,
    "conversation.item.retrieve": _retrieve_item,
    "conversation.item.delete": _delete_item,
    "conversation.item.truncate": _truncate_item,
    "response.create": _create_response,
    "response.cancel": _cancel_response,
}
CLIENT_EVENTS = (APPEND, *_BUILDERS)
"""Every event that a client can send."""


def _check_text(text: str, limits: Limits, param: str) -> None:
    if len(text) > limits.text_chars:
        raise TooLarge(f"{param}: {len(text)} characters; {limits.text_chars} are allowed", param=param)


def _modalities(given: list[Literal["text", "audio"]] | None) -> tuple[Literal["text", "audio"]] | None:
    if given is None:
        return None
    if len(given) != 1:
        message = f"Invalid modalities: {given}. Supported combinations are: ['text'] and ['audio']."
        raise InvalidRequest(message, param="response.output_modalities")
    return (given[0],)


def _audio_output(audio: _ResponseAudio | None) -> AudioOutput:
    given = validated(AudioOutput, (audio and audio.output) or {}, "response.audio.output")
    if "speed" in given.model_fields_set:
        param = "response.audio.output.speed"
        raise InvalidRequest(f"Unknown parameter: '{param}'.", "unknown_parameter", param)
    return given


def _tools(given: list[dict[str, Any]] | None) -> tuple[FunctionTool, ...] | None:
    if given is None:
        return None
    return tuple(validated(FunctionTool, tool, f"response.tools[{index}]") for index, tool in enumerate(given))


def _tool_choice(given: Any) -> Any:
    return validated(NamedTool, given, "response.tool_choice") if isinstance(given, dict) else given


def _metadata(given: dict[str, str] | None) -> dict[str, str] | None:
    if given is None:
        return None
    if len(given) > most.MAX_METADATA_PAIRS:
        complaint = f"metadata: {len(given)} pairs; {most.MAX_METADATA_PAIRS} are allowed"
        raise InvalidRequest(complaint, param="response.metadata")
    for key, value in given.items():
        if len(key) > most.MAX_METADATA_KEY_CHARS or len(value) > most.MAX_METADATA_VALUE_CHARS:
            raise InvalidRequest(
                f"metadata: a key may have {most.MAX_METADATA_KEY_CHARS} characters, a value "
                f"{most.MAX_METADATA_VALUE_CHARS}",
                param="response.metadata",
            )
    return given


def _refuse_mcp(tools: Any, tool_choice: Any, path: str) -> None:
    given = [*(tools if isinstance(tools, list) else []), tool_choice]
    if any(isinstance(each, dict) and each.get("type") == "mcp" for each in given):
        raise InvalidRequest(
            "MCP tools are not supported; declare functions, whose calls your client answers", param=f"{path}.tools"
        )
