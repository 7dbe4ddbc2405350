"""Which tool is called with what, and how its result is spoken."""

import json
from typing import Any

import pytest

from deployments.llm.contract import Tool
from deployments.llm.rules.tools.arguments import stand_in
from deployments.llm.rules.tools.choosing import name_words, stem
from deployments.llm.rules.tools.results import spoken
from tests.unit.rules_talk import Talk


def schema(required: str = "", **properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required.split()}


TEXT, WHOLE, TRUTH = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}
WEATHER = Tool("get_weather", "Get the current weather in a city", schema("city", city=TEXT))
TIME = Tool("get_time", "Current time in a city", schema("city", city=TEXT))
TIMER = Tool("set_timer", "Start a countdown timer", schema("seconds", seconds=WHOLE))
LIGHT = Tool("turn_on_light", "Switch a light on or off", schema("room on", room=TEXT, on=TRUTH))
MESSAGE = Tool(
    "send_message", "Send a text message to a contact", schema("recipient message", recipient=TEXT, message=TEXT)
)
FLIGHT = Tool(
    "bookFlight",
    "Book a flight",
    schema("origin destination date", origin=TEXT, destination=TEXT, date={**TEXT, "format": "date"}, passengers=WHOLE),
)
SEARCH = Tool("search_web", "Search the internet", schema("query", query=TEXT))
REMINDER = Tool("create_reminder", "Remind the user of something", schema("text time", text=TEXT, time=TEXT))
TRANSLATE = Tool("translate", "Translate text", schema("text target_language", text=TEXT, target_language=TEXT))
DICE = Tool("roll_dice", "Roll dice", schema(sides=WHOLE))
HEATING = Tool(
    "set_thermostat",
    "Set the heating",
    schema(
        "temperature", temperature={"type": "number"}, mode={"type": "string", "enum": ["heat", "cool", "eco_mode"]}
    ),
)
PIZZA = Tool(
    "order_pizza",
    "Order a pizza",
    schema(
        "size toppings",
        size={"enum": ["small", "large"]},
        toppings={"type": "array", "items": {"enum": ["cheese", "ham", "olives"]}},
        quantity=WHOLE,
    ),
)
END = Tool("end_call", "Hang up")
ALARM = Tool("set_alarm", "Set an alarm", schema("time", time=TEXT, label=TEXT))
TABLE = Tool(
    "book_table",
    "Book a table at a restaurant",
    schema("people time", people=WHOLE, time=TEXT, date=TEXT, restaurant=TEXT),
)
ORDER = Tool("lookup_order", "Look up the status of an order", schema("order_id", order_id=TEXT))
HUMAN = Tool("transfer_to_human", "Transfers the call to a human agent", schema(reason=TEXT))
SERVICE = (ALARM, TABLE, ORDER, HUMAN)
ALL = (WEATHER, TIME, TIMER, LIGHT, MESSAGE, FLIGHT, SEARCH, REMINDER, TRANSLATE, DICE, HEATING, PIZZA, END)


def calls(text: str, tools: tuple[Tool, ...] = ALL, choice: str = "auto") -> list[tuple[str, dict[str, object]]]:
    return Talk(tools=tools, tool_choice=choice).call(text)


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ("what is the weather in paris", "get_weather", {"city": "Paris"}),
        ("What's the weather like in New York today?", "get_weather", {"city": "New York"}),
        ("is it raining in berlin", "get_weather", {"city": "Berlin"}),
        ("london weather please", "get_weather", {"city": "London"}),
        ("what time is it in tokyo", "get_time", {"city": "Tokyo"}),
        ("set a timer for five minutes", "set_timer", {"seconds": 300}),
        ("set a timer for one hour and thirty minutes", "set_timer", {"seconds": 5400}),
        ("weather paris", "get_weather", {"city": "Paris"}),
        ("search wikipedia for alan turing", "search_web", {"query": "alan turing"}),
        ("set a timer for half an hour", "set_timer", {"seconds": 1800}),
        ("set timer for to minutes", "set_timer", {"seconds": 120}),
        ("turn on the light in the kitchen", "turn_on_light", {"room": "kitchen", "on": True}),
        ("turn off the kitchen light", "turn_on_light", {"room": "kitchen", "on": False}),
        (
            "send a message to anna: see you at five",
            "send_message",
            {"recipient": "Anna", "message": "see you at five"},
        ),
        ("text mum that i am on my way", "send_message", {"recipient": "Mum", "message": "i am on my way"}),
        ("search the web for cute cats", "search_web", {"query": "cute cats"}),
        ("search for cute cats", "search_web", {"query": "cute cats"}),
        ("remind me to buy milk at 5 pm", "create_reminder", {"text": "buy milk", "time": "17:00"}),
        ("translate good morning to french", "translate", {"text": "good morning", "target_language": "French"}),
        ("roll the dice", "roll_dice", {}),
        ("roll a 20 sided die", "roll_dice", {"sides": 20}),
        ("set the thermostat to 21.5 degrees in eco mode", "set_thermostat", {"temperature": 21.5, "mode": "eco_mode"}),
        ("hang up please", "end_call", {}),
        (
            "order two large pizzas with cheese and ham",
            "order_pizza",
            {"size": "large", "toppings": ["cheese", "ham"], "quantity": 2},
        ),
        (
            "book a flight from berlin to paris tomorrow for two passengers",
            "bookFlight",
            {"origin": "Berlin", "destination": "Paris", "date": "2026-08-22", "passengers": 2},
        ),
        (
            "I'd like to book a flight to lisbon from madrid on the third of may",
            "bookFlight",
            {"origin": "Madrid", "destination": "Lisbon", "date": "2027-05-03"},
        ),
        (
            "book a flight from rome to oslo on monday",
            "bookFlight",
            {"origin": "Rome", "destination": "Oslo", "date": "2026-08-24"},
        ),
    ],
)
def test_a_tool_is_chosen_and_its_arguments_filled(text: str, name: str, arguments: dict[str, object]) -> None:
    assert calls(text) == [(name, arguments)]


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ("set an alarm for seven am", "set_alarm", {"time": "07:00"}),
        ("wake me up at half past six", "set_alarm", {"time": "06:30"}),
        ("set an alarm for quarter to eight in the evening", "set_alarm", {"time": "19:45"}),
        ("set an alarm for 6:15 pm", "set_alarm", {"time": "18:15"}),
        (
            "book a table for four people at seven pm tomorrow",
            "book_table",
            {"people": 4, "time": "19:00", "date": "tomorrow"},
        ),
        ("what's the status of order number 77", "lookup_order", {"order_id": "77"}),
        ("i want to speak to a human", "transfer_to_human", {}),
    ],
)
def test_another_set_of_tools(text: str, name: str, arguments: dict[str, object]) -> None:
    assert calls(text, SERVICE) == [(name, arguments)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("weather in paris and in london", [("get_weather", "Paris"), ("get_weather", "London")]),
        ("what is the weather in paris, rome and oslo", [("get_weather", c) for c in ("Paris", "Rome", "Oslo")]),
        (
            "what is the weather in paris and what time is it in tokyo",
            [("get_weather", "Paris"), ("get_time", "Tokyo")],
        ),
    ],
)
def test_several_calls_at_once(text: str, expected: list[tuple[str, str]]) -> None:
    assert calls(text) == [(name, {"city": city}) for name, city in expected]


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "what is seven times eight",
        "tell me a story about the weather",
        "my name is anna",
        "i like the weather",
        "call my mother",
        "",
    ],
)
def test_no_tool_is_called_without_being_asked_for(text: str) -> None:
    assert calls(text) == []


def test_a_missing_argument_is_asked_for() -> None:
    talk = Talk(tools=ALL)
    assert talk.say("how is the weather") == "Which city, please?"
    assert talk.call("in madrid") == [("get_weather", {"city": "Madrid"})]


def test_several_missing_arguments_are_asked_for_one_by_one() -> None:
    talk = Talk(tools=ALL)
    assert talk.say("book a flight to rome") == "Which origin, please?"
    assert talk.say("berlin") == "Which date, please?"
    assert talk.call("tomorrow") == [("bookFlight", {"origin": "Berlin", "destination": "Rome", "date": "2026-08-22"})]
    assert talk.say("set a timer") == "How many seconds?"
    assert talk.call("five minutes") == [("set_timer", {"seconds": 300})]


def test_what_the_user_said_about_themselves_fills_in() -> None:
    talk = Talk(tools=ALL)
    talk.say("i live in madrid")
    assert talk.call("how is the weather") == [("get_weather", {"city": "Madrid"})]


def test_a_follow_up_uses_the_same_tool() -> None:
    talk = Talk(tools=ALL)
    talk.call("what is the weather in paris")
    assert talk.result('{"temperature": 20}') == "In Paris, the temperature is 20 degrees."
    assert talk.call("and in london?") == [("get_weather", {"city": "London"})]
    talk.result('{"temperature": 15}')
    assert talk.call("what about rome and oslo") == [
        ("get_weather", {"city": "Rome"}),
        ("get_weather", {"city": "Oslo"}),
    ]


@pytest.mark.parametrize(
    ("choice", "text", "expected"),
    [
        ("none", "what is the weather in rome", []),
        ("required", "what is the weather in rome", [("get_weather", {"city": "Rome"})]),
        ("get_time", "what is the weather in rome", [("get_time", {"city": "Rome"})]),
        ("get_weather", "tell me about rome", [("get_weather", {"city": "Rome"})]),
        ("set_timer", "hello", [("set_timer", {"seconds": 1})]),
        ("search_web", "hello there", [("search_web", {"query": "hello there"})]),
    ],
)
def test_tool_choice(choice: str, text: str, expected: list[tuple[str, dict[str, object]]]) -> None:
    assert calls(text, choice=choice) == expected


def test_a_calculator_gets_the_sum() -> None:
    tool = Tool("calculator", "Evaluates an arithmetic expression", schema("expression", expression=TEXT))
    assert calls("what is two plus three times 4", (tool, WEATHER)) == [("calculator", {"expression": "2 + 3 * 4"})]


@pytest.mark.parametrize("choice", ["auto", "required", "get_weather"])
def test_a_tool_that_has_answered_is_not_called_again(choice: str) -> None:
    talk = Talk(tools=ALL, tool_choice=choice)
    assert len(talk.call("what is the weather in paris and in rome")) == 2
    said = talk.result('{"temperature": 20, "unit": "celsius", "condition": "sunny"}', '{"error": "unknown city"}')
    assert said == (
        "In Paris, the temperature is 20 degrees Celsius and the condition is sunny. "
        "I am sorry, that did not work: unknown city."
    )


@pytest.mark.parametrize(
    ("result", "answer"),
    [
        ("It is sunny.", "It is sunny."),
        ("42", "The result is 42."),
        ('"Fine weather"', "Fine weather."),
        ('{"ok": true}', "That is done."),
        ("", "That is done."),
        ("null", "That is done."),
        ("[]", "I found nothing."),
        ('["a", "b"]', "A and b."),
        ('[{"name": "A"}, {"name": "B"}, {"name": "C"}, {"name": "D"}]', "There are 4 results: A, B, C, and 1 more."),
        (
            '{"temp_c": 21.5, "wind_kph": 12}',
            "The temperature is 21.5 degrees Celsius and the wind is 12 kilometres per hour.",
        ),
        ('{"city": "Rome", "sky": "grey"}', "In Rome, the sky is grey."),
        ('{"weather": {"temperature": 3, "sky": "grey"}}', "The temperature is 3 degrees and the sky is grey."),
        ('{"success": false, "message": "no such room"}', "I am sorry, that did not work: no such room."),
        ('{"error": {"message": "time-out"}}', "I am sorry, that did not work: time-out."),
        ("Error: time-out", "I am sorry, that did not work: time-out."),
        ('{"status": "error"}', "I am sorry, that did not work."),
        ('{"message": "Booked for two."}', "Booked for two."),
        ('{"flightNumber": "LH 7"}', "The flight number is LH 7."),
        ('{"isOpen": false}', "Is open is false."),
    ],
)
def test_results_are_spoken(result: str, answer: str) -> None:
    assert spoken(result, {}) == answer


@pytest.mark.parametrize(
    "result",
    [
        "{" * 5000,
        "[" * 100_000,
        '{"a": ' * 50 + "1" + "}" * 50,
        "NaN",
        "[[[[[[1]]]]]]",
        "x " * 10_000,
        '{"": ""}',
        "\x00",
    ],
)
def test_strange_results_are_spoken_somehow(result: str) -> None:
    assert 0 < len(spoken(result, {"city": "Rome"}).split()) < 80 or len(spoken(result, {})) <= len(result) + 20


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"properties": []},
        {"properties": {"a": True}, "required": 3},
        {"properties": {"a": {"type": ["null", "integer"]}, "b": {"anyOf": [{"type": "null"}, {"type": "string"}]}}},
        {"properties": {"a": {"type": "object", "properties": {"a": {"type": "object"}}}}, "required": ["a", "zz"]},
        {"properties": {"a": {"enum": [None, 1, True]}}, "required": ["a"]},
        {"properties": {"a": {"type": "array"}, "b": {"type": "array", "minItems": 1}}, "required": ["a", "b"]},
        {
            "properties": {"a": {"type": "number", "minimum": 5, "maximum": 9}, "c": {"const": 1}},
            "required": ["a", "c"],
        },
        {"type": "object", "$defs": {}, "properties": {"x": {"$ref": "#/$defs/x"}}, "required": ["x"]},
    ],
)
def test_any_schema_gives_an_object(parameters: dict[str, Any]) -> None:
    tool = Tool("do_it", "", parameters)
    for text in ("do it", "", "do it in paris at 5 pm with 12 apples and no sugar"):
        ((name, arguments),) = calls(text, (tool,), "required")
        assert name == "do_it"
        assert set(parameters.get("required", ()) if isinstance(parameters.get("required"), list) else ()) - {
            "zz"
        } <= set(arguments)
        assert json.loads(json.dumps(arguments)) == arguments


def test_stand_ins_keep_to_their_schema() -> None:
    assert stand_in({"type": "integer", "minimum": 5}, "x") == 5
    assert stand_in({"type": "integer", "maximum": 0}, "x") == 0
    assert stand_in({"enum": ["b", "a"]}, "x") == "b"
    assert stand_in({"default": 7}, "x") == 7
    assert stand_in({"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}, "x") == {"a": True}


def test_identifiers_in_words() -> None:
    for name in ("get_current_weather", "getCurrentWeather", "get-current-weather", "GetCurrentWeather"):
        assert name_words(name) == ("get", "current", "weather")
    assert stem("playing") == stem("played") == stem("plays") == stem("play")
