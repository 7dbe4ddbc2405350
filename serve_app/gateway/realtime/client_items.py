"""Items that a client sends, by the shapes of the `openai` package's types (3.52), into the session's."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from deployments.runtime.errors import InvalidRequest, TooLarge
from serve_app.gateway.realtime.limits import MAX_ITEM_ID_CHARS
from serve_app.session.ids import new_id
from serve_app.session.items import Item, ItemRole, Part, PartType
from serve_app.session.validation import validated

ItemId = Annotated[str, Field(min_length=1, max_length=MAX_ITEM_ID_CHARS)]


class Strict(BaseModel):
    """An unknown field is an error, as with OpenAI."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Part(Strict):
    """One flat shape for all content parts, as OpenAI has it; what must be there depends on `type`."""

    type: str | None = None
    text: str | None = None
    transcript: str | None = None
    audio: str | None = None
    image_url: str | None = None
    detail: str | None = None


class _Any(Strict):
    """What every item may have. `object` and `status` have no effect."""

    id: ItemId | None = None
    object: Literal["realtime.item"] | None = None
    status: Literal["completed", "incomplete", "in_progress"] | None = None
    type: str


class _Message(_Any):
    role: ItemRole
    content: Annotated[list[_Part], Field(min_length=1, max_length=64)]


class _FunctionCall(_Any):
    name: Annotated[str, Field(min_length=1, max_length=64)]
    arguments: str
    call_id: ItemId | None = None


class _FunctionCallOutput(_Any):
    call_id: ItemId
    output: str


class _Reference(Strict):
    type: Literal["item_reference"]
    id: ItemId


_PARTS: dict[ItemRole, tuple[PartType, ...]] = {
    "system": ("input_text",),
    "user": ("input_text", "input_audio"),
    "assistant": ("output_text", "output_audio"),
}
"""The parts that a message of each role may have; the first is meant where a part names no type."""
_ITEMS: dict[str, type[_Message] | type[_FunctionCall] | type[_FunctionCallOutput]] = {
    "message": _Message,
    "function_call": _FunctionCall,
    "function_call_output": _FunctionCallOutput,
}


def build_item(given: Any, path: str, max_text_chars: int) -> tuple[Item, str | None]:
    """An item, and the base64 of an `input_audio` part that has no transcript.

    `path` names the item in errors. Raises InvalidRequest, TooLarge.
    """
    kind = given.get("type") if isinstance(given, dict) else None
    if isinstance(kind, str) and kind.startswith("mcp_"):
        raise InvalidRequest(f"{path}.type: MCP is not supported; give the model function tools", param=f"{path}.type")
    if not isinstance(kind, str) or kind not in _ITEMS:
        code = "invalid_value" if kind else "missing_required_parameter"
        raise InvalidRequest(f"{path}.type must be one of: {', '.join(_ITEMS)}", code, f"{path}.type")
    shape = validated(_ITEMS[kind], given, path)
    audio: str | None = None
    if isinstance(shape, _Message):
        parts, audio = _parts(shape, path)
        item = Item(shape.id or new_id("item"), "message", role=shape.role, content=parts)
    elif isinstance(shape, _FunctionCall):
        item = Item(
            shape.id or new_id("item"),
            "function_call",
            call_id=shape.call_id or new_id("call"),
            name=shape.name,
            arguments=shape.arguments,
        )
    else:
        item = Item(shape.id or new_id("item"), "function_call_output", call_id=shape.call_id, output=shape.output)
    length = len(item.text) + len(item.arguments) + len(item.output)
    if length > max_text_chars:
        raise TooLarge(f"{path}: {length} characters of text; {max_text_chars} are allowed", param=path)
    return item, audio


def build_input(given: list[Any], path: str, max_text_chars: int) -> tuple[Item | str, ...]:
    """The `input` of a response: items, and ids of items that are in the conversation."""
    built: list[Item | str] = []
    for index, each in enumerate(given):
        here = f"{path}[{index}]"
        if isinstance(each, dict) and each.get("type") == "item_reference":
            built.append(validated(_Reference, each, here).id)
            continue
        item, audio = build_item(each, here, max_text_chars)
        if audio is not None:
            raise InvalidRequest(
                f"{here}: sound in a response's input needs its transcript; or create the item first and refer to it",
                param=here,
            )
        built.append(item)
    return tuple(built)


def _parts(message: _Message, path: str) -> tuple[tuple[Part, ...], str | None]:
    parts: list[Part] = []
    audio: str | None = None
    for index, given in enumerate(message.content):
        here = f"{path}.content[{index}]"
        part, sound = _part(given, message.role, here)
        if sound is not None and audio is not None:
            raise InvalidRequest(f"{here}: one part of sound per item", param=here)
        audio = audio or sound
        parts.append(part)
    return tuple(parts), audio


def _part(given: _Part, role: ItemRole, here: str) -> tuple[Part, str | None]:
    allowed = _PARTS[role]
    kind = next((each for each in allowed if each == (given.type or allowed[0])), None)
    if given.type == "input_image":
        raise InvalidRequest(f"{here}: images are not supported", param=f"{here}.type")
    if kind is None:
        raise InvalidRequest(f"{here}.type must be one of: {', '.join(allowed)}", param=f"{here}.type")
    if kind in ("input_text", "output_text"):
        if given.text is None:
            raise InvalidRequest(f"{here}.text is missing", "missing_required_parameter", f"{here}.text")
        return Part(kind, given.text), None
    if given.transcript is not None:
        return Part(kind, given.transcript), None
    if kind == "output_audio":
        raise InvalidRequest(
            f"{here}: an assistant's sound cannot be put in without its transcript",
            "missing_required_parameter",
            f"{here}.transcript",
        )
    if not given.audio:
        raise InvalidRequest(f"{here}.audio is missing", "missing_required_parameter", f"{here}.audio")
    return Part(kind, None), given.audio
