"""The load generator, a process of its own: `python -m benchmarks.load` reads a Load from stdin and prints JSON lines.

First {"phase": "streaming"} once every user has heard something, then {"phase": "over"}, then {"result": …}.
"""

import asyncio
import random
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

import orjson
import uvloop
from pydantic import TypeAdapter

from benchmarks.user import Answer, User, heard_s, lateness_ms
from benchmarks.voice import CLIPS, load

_FIRST_ANSWER_S = 30.0


@dataclass(frozen=True, slots=True)
class Load:
    """What the users do."""

    url: str
    sessions: int
    turns: int | None
    """Of each user; None: talk for `window_s`."""
    window_s: float = 0.0
    """From the moment at which all stream."""
    ramp_s: float = 1.0
    """Users begin within this time, at seeded moments."""
    think_s: tuple[float, float] = (0.5, 0.9)
    answer_s: float = 15.0
    silence_ms: float = 500.0
    """Configured: the endpoint is due so long after the last speech sample."""
    lead_ms: float = 240.0
    """Configured: how far ahead of real time the server sends."""
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Result:
    """What the users noted."""

    turns: int
    """Asked."""
    answers: list[Answer]
    """To those that were heard to the end and answered with sound."""
    lateness_ms: list[float]
    """Of each block of sound, against its reply's pace."""
    sound_share: float
    """How much of the time the users were being spoken to."""
    wake_late_ms: list[float]
    """How late the generator itself woke for each frame."""
    behind_ms: float
    """How far the user worst off was behind with sending: the server took no more."""
    cpu_cores: float
    """The generator's own use."""


async def talk(spec: Load) -> Result:
    """Let the users talk, and tell stdout about the phases."""
    users = _users(spec)
    offset = random.Random(spec.seed)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(user.run(spec.turns, offset.uniform(0, spec.ramp_s))) for user in users]
        async with asyncio.timeout(spec.ramp_s + _FIRST_ANSWER_S):
            await asyncio.gather(*(user.heard.wait() for user in users))
        begun_s, begun_cpu_s = time.monotonic(), time.process_time()
        for user in users:
            user.wake_late_ms.clear()
            user.behind_s = 0.0
        _say({"phase": "streaming"})
        if spec.turns is None:
            await asyncio.sleep(spec.window_s)
        else:
            await asyncio.wait(running)
        window_s = time.monotonic() - begun_s
        cpu_s = time.process_time() - begun_cpu_s
        _say({"phase": "over"})
        for task in running:
            task.cancel()
    return _result(spec, users, begun_s, window_s, cpu_s)


def _users(spec: Load) -> list[User]:
    utterances = [load(name, end_ms) for name, end_ms in CLIPS]
    return [
        User(
            spec.url,
            utterances[n % len(utterances) :] + utterances[: n % len(utterances)],
            random.Random(1000 * spec.seed + n),
            think_s=spec.think_s,
            answer_s=spec.answer_s,
        )
        for n in range(spec.sessions)
    ]


def _result(spec: Load, users: list[User], begun_s: float, window_s: float, cpu_s: float) -> Result:
    # Of users that talk without end, the last turn was broken off.
    asked = [turn for user in users for turn in (user.turns if spec.turns is not None else user.turns[:-1])]
    answers = [answer for turn in asked if (answer := turn.answer(spec.silence_ms)) is not None]
    replies = [[block for block in turn.arrivals if block[0] >= begun_s] for user in users for turn in user.turns]
    return Result(
        turns=len(asked),
        answers=answers,
        lateness_ms=[round(late_ms, 2) for reply in replies for late_ms in lateness_ms(reply, spec.lead_ms)],
        sound_share=sum(heard_s(reply) for reply in replies) / (window_s * len(users)),
        wake_late_ms=[round(late_ms, 2) for user in users for late_ms in user.wake_late_ms],
        behind_ms=1000 * max(user.behind_s for user in users),
        cpu_cores=cpu_s / window_s,
    )


def _say(line: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(line) + b"\n")
    sys.stdout.buffer.flush()


def main() -> None:
    """Read the task, talk, print the result."""
    spec = TypeAdapter(Load).validate_json(sys.stdin.buffer.readline())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(talk(spec))
    _say({"result": asdict(result)})


if __name__ == "__main__":
    main()
