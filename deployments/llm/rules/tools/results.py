"""A tool's result, JSON or not, as sentences to be spoken."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from deployments.llm.rules.tools.choosing import name_words
from deployments.llm.rules.words import listed, sentence

MOST_ITEMS: Final = 3
MOST_FIELDS: Final = 6
MOST_WORDS: Final = 60
_DEEPEST: Final = 3
_SENTENCES: Final = (
    "speech",
    "spoken",
    "answer",
    "message",
    "text",
    "summary",
    "result",
    "response",
    "output",
    "content",
    "data",
)
_FAILURES: Final = ("error", "errors", "error_message", "exception")
_TITLES: Final = ("name", "title", "label", "subject", "headline", "id")
_PLACES: Final = ("city", "location", "place", "country", "region")
_UNITS: Final = {
    "c": "degrees Celsius",
    "celsius": "degrees Celsius",
    "f": "degrees Fahrenheit",
    "fahrenheit": "degrees Fahrenheit",
    "percent": "percent",
    "pct": "percent",
    "km": "kilometres",
    "kmh": "kilometres per hour",
    "kph": "kilometres per hour",
    "mph": "miles per hour",
    "m": "metres",
    "mm": "millimetres",
    "kg": "kilograms",
    "usd": "dollars",
    "eur": "euros",
    "s": "seconds",
    "sec": "seconds",
    "seconds": "seconds",
    "ms": "milliseconds",
    "min": "minutes",
    "minutes": "minutes",
    "hours": "hours",
    "days": "days",
    "deg": "degrees",
}
_FAILED_TEXT: Final = re.compile(r"^\W*(?:error|exception|traceback|failed|failure)\b[:\s]*", re.IGNORECASE)
_APOLOGY: Final = "I am sorry, that did not work"


def spoken(result: str, arguments: Mapping[str, Any]) -> str:
    """What a tool gave back; `arguments` are those it was called with."""
    text = result.strip()
    try:
        value = json.loads(text) if text else None
    except (ValueError, RecursionError):
        if found := _FAILED_TEXT.match(text):
            return _apology(text[found.end() :])
        return sentence(_short(text))
    if failure := _failure(value):
        return failure
    place, value = _place(value, arguments)
    body = _value(value, 0)
    if not body:
        return "That is done."
    return sentence(f"in {place}, {body}" if place else body)


def _failure(value: Any) -> str | None:
    if isinstance(value, str) and (found := _FAILED_TEXT.match(value)):
        return _apology(value[found.end() :])
    if not isinstance(value, dict):
        return None
    for key in _FAILURES:
        reason = value.get(key)
        if reason:
            reason = reason.get("message", "") if isinstance(reason, dict) else reason
            return _apology(reason if isinstance(reason, str) else str(value.get("message", "")))
    failed = any(value.get(key) is False for key in ("ok", "success", "successful")) or value.get("status") in (
        *("error", "failed", "failure"),
    )
    return _apology(str(value.get("message") or value.get("reason") or "")) if failed else None


def _apology(reason: str) -> str:
    reason = _short(reason.strip(" .:\n"))
    return f"{_APOLOGY}: {reason}." if reason else f"{_APOLOGY}."


def _place(value: Any, arguments: Mapping[str, Any]) -> tuple[str, Any]:
    """Where it is about, as the result says or else the call, and the result without it."""
    if not isinstance(value, dict) or not value or any(key in value for key in _SENTENCES):
        return "", value
    for key in _PLACES:
        if isinstance(value.get(key), str) and len(value) > 1:
            return value[key], {k: v for k, v in value.items() if k != key}
    named = next((str(arguments[key]) for key in _PLACES if isinstance(arguments.get(key), str)), "")
    return (
        named if any(isinstance(v, (int, float, str, dict)) and v is not True for v in value.values()) else ""
    ), value


def _value(value: Any, depth: int) -> str:
    if value is None or value == "" or value is True:
        return ""
    if value is False:
        return "the answer is no"
    if isinstance(value, str):
        return _short(value)
    if isinstance(value, (int, float)):
        return f"the result is {_number(value)}"
    if isinstance(value, list):
        return _list(value, depth)
    return _object(value, depth)


def _list(items: list[Any], depth: int) -> str:
    if not items:
        return "I found nothing"
    shown = [_item(item, depth + 1) for item in items[:MOST_ITEMS]]
    count = "one result" if len(items) == 1 else f"{len(items)} results"
    more = f", and {len(items) - MOST_ITEMS} more" if len(items) > MOST_ITEMS else ""
    if all(not isinstance(item, (dict, list)) for item in items) and not more:
        return listed(shown)
    return f"there {'is' if len(items) == 1 else 'are'} {count}: {', '.join(shown) + more if more else listed(shown)}"


def _item(item: Any, depth: int) -> str:
    if isinstance(item, dict):
        title = next((str(item[key]) for key in _TITLES if item.get(key)), "")
        return title or _object(item, depth) or "nothing"
    if isinstance(item, list):
        return _list(item, depth) if depth < _DEEPEST else "a list"
    return _number(item) if isinstance(item, (int, float)) and not isinstance(item, bool) else str(item)


def _object(value: dict[str, Any], depth: int) -> str:
    fields = {
        k: v
        for k, v in value.items()
        if v not in (None, "", [], {}) and k not in ("ok", "success", "status", "unit", "units")
    }
    telling = [key for key in _SENTENCES if key in fields]
    if len(telling) == 1 and (len(fields) == 1 or (isinstance(fields[telling[0]], str) and " " in fields[telling[0]])):
        return _value(fields[telling[0]], depth + 1)
    if not fields and value.get("status") not in (None, "ok", "success", "done", "completed"):
        return f"the status is {value['status']}"
    unit = _UNITS.get(
        str(value.get("unit") or value.get("units") or "").lower(), str(value.get("unit") or value.get("units") or "")
    )
    if unit in ("metric", "imperial"):
        unit = f"degrees {'Celsius' if unit == 'metric' else 'Fahrenheit'}"
    parts = []
    for key, entry in list(fields.items())[:MOST_FIELDS]:
        part = _field(key, entry, unit, depth)
        if part:
            parts.append(part)
            unit = "" if isinstance(entry, (int, float)) else unit
    return listed(parts)


def _field(key: str, entry: Any, unit: str, depth: int) -> str:
    words = ["temperature" if word == "temp" else word for word in name_words(key)] or [key]
    if len(words) > 1 and words[-1] in _UNITS and isinstance(entry, (int, float)):
        unit, words = _UNITS[words[-1]], words[:-1]
    name = " ".join(words)
    if isinstance(entry, bool):
        return f"{name} is {'true' if entry else 'false'}"
    if isinstance(entry, (int, float)):
        if not unit and "humidity" in words:
            unit = "percent"
        if not unit and "temperature" in words:
            unit = "degrees"
        return f"the {name} is {_number(entry)}{f' {unit}' if unit else ''}"
    if isinstance(entry, str):
        return f"the {name} is {_short(entry)}"
    if depth + 1 >= _DEEPEST:
        return ""
    inner = _value(entry, depth + 1)
    if isinstance(entry, dict) or inner.startswith(("there ", "I ")):
        return inner
    return f"the {name} {'is' if len(entry) == 1 else 'are'} {inner}"


def _number(value: float) -> str:
    """Digits: a voice reads them well, and readers see them at a glance."""
    return str(value) if isinstance(value, int) or abs(value) >= 1e6 else f"{value:g}"


def _short(text: str) -> str:
    words = text.split()
    return " ".join(words) if len(words) <= MOST_WORDS else " ".join(words[:MOST_WORDS]) + " and so on"
