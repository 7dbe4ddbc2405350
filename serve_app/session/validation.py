"""Validation with the complaints of OpenAI's API: `param` names the field, as in `item.content[0].text`."""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from deployments.runtime.errors import InvalidRequest

ModelT = TypeVar("ModelT", bound=BaseModel)

_SHAPES = {"audio/pcm", "audio/pcmu", "audio/pcma", "server_vad", "semantic_vad"}
"""Pydantic names the shape of a union that it tried as if it were a field."""


def validated(model: type[ModelT], given: Any, path: str = "") -> ModelT:
    """`given` as a model. Raises InvalidRequest for pydantic's first complaint; `path` names the whole of `given`."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise complaint(error, path) from error


def complaint(error: ValidationError, path: str = "") -> InvalidRequest:
    """Pydantic's first complaint in OpenAI's terms."""
    first = error.errors()[0]
    param = path
    for step in first["loc"]:
        if step in _SHAPES:
            continue
        param += f"[{step}]" if isinstance(step, int) else f".{step}" if param else str(step)
    if first["type"] == "missing":
        return InvalidRequest(f"Missing required parameter: '{param}'.", "missing_required_parameter", param)
    if first["type"] == "extra_forbidden":
        return InvalidRequest(f"Unknown parameter: '{param}'.", "unknown_parameter", param)
    return InvalidRequest(f"Invalid value for '{param}': {first['msg']}.", "invalid_value", param)
