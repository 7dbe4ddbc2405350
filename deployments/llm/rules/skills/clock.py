"""The time and the date."""

import re
from datetime import datetime, timedelta
from typing import Final

from deployments.llm.rules.numbers import ordinal, parse, say
from deployments.llm.rules.turn import Reply, Turn

_TIME: Final = re.compile(
    r"\b(?:what time (?:is it|it is)|what is the time|tell me the (?:current )?time|(?:have|got) the time|"
    r"what is the (?:current|exact) time|what the time is|current time)\b|^(?:the )?time(?: now)?$"
)
_DATE: Final = re.compile(
    r"\b(?:what|which) (?:(?:is|was|will be) )?(?:the )?(?:date|day)\b"
    r"(?:.*\b(?:is it|it is|today|tomorrow|yesterday|is|was|will be)\b|$)|"
    r"\b(?:today's|current|tell me the) date\b|\bwhat is today\b|\bwhat (?:day )?(?:is|was) (?:tomorrow|yesterday)$"
)
_PART: Final = re.compile(
    r"\b(?:what|which|tell me the) (?:is the )?(?P<part>year|month)\b(?: is it| it is| now| are we in|$)"
)
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November"),
    "December",
)


def answer(turn: Turn) -> Reply | None:
    time, date = _TIME.search(turn.text), _DATE.search(turn.text)
    if time and date:
        return Reply(f"It is {clock_time(turn.now)} on {day(turn.now)}.")
    if time:
        return Reply(f"It is {clock_time(turn.now)}.")
    if date:
        return _day(turn)
    if found := _PART.search(turn.text):
        return Reply(f"It is {year(turn.now.year) if found['part'] == 'year' else MONTHS[turn.now.month - 1]}.")
    return None


def _day(turn: Turn) -> Reply:
    shift, name = 0, "Today is"
    if "day after tomorrow" in turn.text:
        shift, name = 2, "The day after tomorrow is"
    elif "tomorrow" in turn.text:
        shift, name = 1, "Tomorrow is"
    elif "day before yesterday" in turn.text:
        shift, name = -2, "The day before yesterday was"
    elif "yesterday" in turn.text:
        shift, name = -1, "Yesterday was"
    elif (found := re.search(r"\bin (.+?) (days?|weeks?)\b", turn.text)) and (number := parse(found[1].split())):
        days = min(int(number[0]), 36_500) * (7 if found[2].startswith("week") else 1)
        shift, name = days, f"In {say(number[0])} {found[2]} it will be"
    return Reply(f"{name} {day(turn.now + timedelta(days=shift))}.")


def clock_time(now: datetime) -> str:
    """ "half past three in the afternoon"."""
    minutes_later = now + timedelta(minutes=30)
    hour = minutes_later.hour if now.minute > 30 else now.hour
    if (hour, now.minute) in ((0, 0), (12, 0)):
        return "noon" if hour == 12 else "midnight"
    name = say((hour - 1) % 12 + 1)
    part = "in the morning" if now.hour < 12 else "in the afternoon" if now.hour < 18 else "in the evening"
    if now.minute == 0:
        return f"{name} o'clock {part}"
    distance = min(now.minute, 60 - now.minute)
    step = {15: "quarter", 30: "half"}.get(distance) or say(distance) + (
        "" if distance % 5 == 0 else " minute" if distance == 1 else " minutes"
    )
    return f"{step} {'past' if now.minute <= 30 else 'to'} {name} {part}"


def day(now: datetime) -> str:
    """ "Friday, the twenty-first of August, twenty twenty-six"."""
    return f"{_DAYS[now.weekday()]}, the {ordinal(now.day)} of {MONTHS[now.month - 1]}, {year(now.year)}"


def year(value: int) -> str:
    """ "twenty twenty-six"; "two thousand and five"."""
    century, rest = divmod(value, 100)
    if rest >= 10 and value < 10_000:
        return f"{say(century)} {say(rest)}"
    return say(value)
