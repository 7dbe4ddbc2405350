"""Python functions as tools: type hints become the schema, the docstring says what they are for."""

import importlib
import inspect
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, ValidationError, create_model
from pydantic_core import PydanticSerializationError, to_json

from deployments.llm.contract import Tool
from deployments.runtime.errors import ConfigError

_PLAIN: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_ARGUMENT: Final = re.compile(r"^[ \t]+(\w+)(?:[ \t]*\([^)]*\))?:[ \t]*(.+)$", re.MULTILINE)
_SECTION: Final = re.compile(r"^\s*(?:Args|Arguments|Returns|Raises|Yields|Examples?):\s*$", re.MULTILINE)


class BadArguments(Exception):
    """What the model gave does not fit; its words are for the model."""


@dataclass(frozen=True, slots=True)
class Function:
    """One function, and what the model is told of it."""

    tool: Tool
    _call: Callable[..., Any]
    _arguments: type[BaseModel]

    def bound(self, arguments: str) -> Callable[[], Any]:
        """The call with the model's arguments, a JSON object as text. Raises BadArguments."""
        try:
            values = self._arguments.model_validate_json(arguments or "{}")
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, each['loc'])) or 'all'}: {each['msg']}" for each in error.errors()
            )
            raise BadArguments(f"wrong arguments: {problems}") from error
        given = {name: getattr(values, name) for name in self._arguments.model_fields}
        return lambda: self._call(**given)


def load_functions(paths: Sequence[str]) -> tuple[Function, ...]:
    """From import paths like `my_tools:get_weather`. Raises ConfigError, naming the path at fault."""
    functions = tuple(map(load_function, paths))
    names = [function.tool.name for function in functions]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"two tools have the same name: {', '.join(twice)}", param="tools.functions")
    return functions


def load_function(path: str) -> Function:
    """Raises ConfigError."""
    module, colon, name = path.partition(":")
    if not (colon and module and name):
        raise ConfigError(f"{path!r} is no import path: write it as my_package.my_module:my_function")
    try:
        found = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"cannot load the tool {path!r}: {error}") from error
    if not callable(found):
        raise ConfigError(f"the tool {path!r} is no function")
    return function_of(found)


def function_of(call: Callable[..., Any]) -> Function:
    """Raises ConfigError for parameters without a type, or of a kind that has no name."""
    name = getattr(call, "__name__", type(call).__name__)
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r} is no name for a tool: letters, digits and underscores are")
    text = inspect.getdoc(call) or ""
    told = dict(_ARGUMENT.findall(text))
    try:
        hints = get_type_hints(call, include_extras=True)
        fields = {
            parameter.name: _field(name, parameter, hints, told.get(parameter.name))
            for parameter in inspect.signature(call).parameters.values()
        }
        model = create_model(f"{name}_arguments", __config__=ConfigDict(extra="forbid"), **fields)
        schema = model.model_json_schema()
    except (NameError, TypeError, ValueError, PydanticUserError) as error:
        raise ConfigError(f"the tool {name!r} has no schema: {error}") from error
    description = _SECTION.split(text, maxsplit=1)[0].strip()
    return Function(Tool(name, description, _untitled(schema)), call, model)


def _field(tool: str, parameter: inspect.Parameter, hints: dict[str, Any], told: str | None) -> Any:
    if parameter.kind not in _PLAIN:
        raise ConfigError(f"the tool {tool!r} takes {parameter}: only parameters with a name can be told to a model")
    if parameter.name not in hints:
        raise ConfigError(f"the tool {tool!r} says no type for {parameter.name!r}: write one")
    default = ... if parameter.default is parameter.empty else parameter.default
    return hints[parameter.name], Field(default, description=told) if told else default


def _untitled(schema: Any) -> Any:
    """Without the titles that pydantic makes of names: they cost tokens and tell nothing."""
    if isinstance(schema, dict):
        titled = "properties" in schema or "type" in schema or "anyOf" in schema or "$ref" in schema
        return {
            key: {name: _untitled(each) for name, each in value.items()} if key == "properties" else _untitled(value)
            for key, value in schema.items()
            if not (titled and key == "title" and isinstance(value, str))
        }
    return [_untitled(each) for each in schema] if isinstance(schema, list) else schema


def as_text(result: Any) -> str:
    """What a function returned, for the model: text as it is, the rest as JSON."""
    if isinstance(result, str):
        return result
    try:
        return to_json(result).decode()
    except (PydanticSerializationError, ValueError):
        return json.dumps(str(result))
