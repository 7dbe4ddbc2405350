"""Python functions as tools, and how they are run."""

import asyncio
import json
import threading
import time
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from deployments.llm.tools.functions import Function, function_of, load_function, load_functions
from deployments.llm.tools.runner import FunctionRunner
from deployments.runtime.errors import ConfigError
from serve_app.session.items import Item
from serve_app.session.server_calls import ServerCalls


class Unit(Enum):
    C = "celsius"
    F = "fahrenheit"


class Place(BaseModel):
    city: str
    country: str = "DE"


def weather(
    place: Place, unit: Unit = Unit.C, days: Annotated[int, Field(ge=1, le=7)] = 1, note: str | None = None
) -> dict[str, Any]:
    """The weather at a place.

    As the service has it.

    Args:
        place: where
        days (int): how many
    """
    return {"city": place.city, "unit": unit.value, "days": days, "note": note}


async def slowly(seconds: float) -> str:
    """Waits."""
    await asyncio.sleep(seconds)
    return "done"


def fails(kind: Literal["value", "exit"]) -> str:
    """Raises."""
    raise ValueError("no such thing") if kind == "value" else SystemExit(3)


def hangs() -> None:
    """Never returns, as far as a test is concerned."""
    threading.Event().wait(3)


def thread_name() -> str:
    return threading.current_thread().name


def run(name: str, arguments: str, *functions: Function, timeout_s: float = 5, max_running: int = 4) -> str:
    runner = FunctionRunner(functions, timeout_s=timeout_s, max_running=max_running)
    return asyncio.run(runner.call(name, arguments))


def test_hints_and_docstring_become_the_schema() -> None:
    tool = function_of(weather).tool
    assert tool.name == "weather"
    assert tool.description == "The weather at a place.\n\nAs the service has it."
    properties = tool.parameters["properties"]
    assert tool.parameters["required"] == ["place"]
    assert tool.parameters["additionalProperties"] is False
    assert properties["days"] == {
        "default": 1,
        "description": "how many",
        "maximum": 7,
        "minimum": 1,
        "type": "integer",
    }
    assert properties["place"]["description"] == "where"
    assert tool.parameters["$defs"]["Unit"]["enum"] == ["celsius", "fahrenheit"]
    assert "title" not in json.dumps(tool.parameters)


def test_a_call_gets_typed_arguments_and_gives_json() -> None:
    arguments = '{"place": {"city": "Bonn"}, "unit": "fahrenheit", "days": 2}'
    given = json.loads(run("weather", arguments, function_of(weather)))
    assert given == {"city": "Bonn", "unit": "fahrenheit", "days": 2, "note": None}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [("{", "Invalid JSON"), ("[]", "object"), ("{}", "place: Field required"), ('{"place": {"city": 1}}', "place.city"),
     ('{"place": {"city": "x"}, "days": 9}', "days"), ('{"place": {"city": "x"}, "extra": 1}', "extra")],
)  # fmt: skip
def test_arguments_that_do_not_fit_are_told_to_the_model(arguments: str, words: str) -> None:
    assert words in json.loads(run("weather", arguments, function_of(weather)))["error"]


def test_it_runs_beside_the_loop() -> None:
    assert run("thread_name", "{}", function_of(thread_name)) == "tool-thread_name"
    assert run("slowly", '{"seconds": 0.01}', function_of(slowly)) == "done"


@pytest.mark.parametrize(("kind", "words"), [("value", "ValueError: no such thing"), ("exit", "SystemExit: 3")])
def test_what_it_raises_is_told_to_the_model(kind: str, words: str) -> None:
    assert json.loads(run("fails", json.dumps({"kind": kind}), function_of(fails))) == {"error": words}


def test_one_that_never_returns_is_given_up_and_no_others_wait() -> None:
    async def main() -> tuple[str, str, str, float]:
        runner = FunctionRunner([function_of(hangs), function_of(thread_name)], timeout_s=0.3, max_running=1)
        before_s = time.monotonic()
        hanging = asyncio.create_task(runner.call("hangs", "{}"))
        await asyncio.sleep(0)
        busy = await runner.call("thread_name", "{}")
        given_up = await hanging
        return given_up, busy, await runner.call("thread_name", "{}"), time.monotonic() - before_s

    given_up, busy, still_busy, took_s = asyncio.run(main())
    assert "no result within 0.3 s" in json.loads(given_up)["error"]
    assert "too many" in json.loads(busy)["error"]
    assert "too many" in json.loads(still_busy)["error"]
    assert took_s < 2.5


def test_an_unknown_function_is_told_to_the_model() -> None:
    assert "there are: weather" in json.loads(run("other", "{}", function_of(weather)))["error"]


def test_a_long_result_is_cut() -> None:
    def much() -> str:
        return "x" * 100_000

    assert len(run("much", "{}", function_of(much))) < 21_000


def test_functions_come_by_import_path() -> None:
    (loaded,) = load_functions(["deployments.media.audio:silence"])
    assert loaded.tool.name == "silence"
    assert set(loaded.tool.parameters["properties"]) == {"duration_ms", "rate_hz"}


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nothing", "no import path"),
        ("no_such_module:f", "no_such_module"),
        ("json:no_such", "no_such"),
        ("json:__doc__", "no function"),
        ("functools:partial", "no"),
    ],
)
def test_what_cannot_be_loaded_is_named(path: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_function(path)


def test_a_parameter_without_a_type_or_name_is_refused() -> None:
    def untyped(x):  # type: ignore[no-untyped-def]
        return x

    def starred(*args: int) -> None: ...

    for call, words in ((untyped, "no type for 'x'"), (starred, "args")):
        with pytest.raises(ConfigError, match=words):
            function_of(call)


def test_calls_that_a_broken_connection_left_are_told_to_be_lost() -> None:
    async def main() -> list[tuple[str, str]]:
        runner = FunctionRunner([function_of(thread_name)], timeout_s=1, max_running=1)
        async with asyncio.TaskGroup() as tasks:
            calls = ServerCalls(runner, None, tasks, on_result=lambda call_id, output: None)
            made = [
                Item(f"i{n}", "function_call", call_id=f"c{n}", name=name)
                for n, name in enumerate(("thread_name", "thread_name", "of_the_client"))
            ]
            answered = Item("i9", "function_call_output", call_id="c0", output="x")
            return calls.lost([*made, answered])

    ((call_id, output),) = asyncio.run(main())
    assert call_id == "c1"
    assert "not known what it did" in json.loads(output)["error"]


def test_two_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="same name: silence"):
        load_functions(["deployments.media.audio:silence"] * 2)
