"""A simulated user: streams 20 ms frames in real time, takes turns, and notes when what arrived."""

import asyncio
import itertools
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import websockets
from websockets.asyncio.client import ClientConnection

from benchmarks.voice import FRAME_S, Utterance, room_noise
from deployments.media.audio import BYTES_PER_SAMPLE, VOICE_RATE_HZ

_NOISE = room_noise(101)
_SESSION = orjson.dumps({"type": "session.update", "session": {"type": "realtime"}}).decode()


@dataclass(frozen=True, slots=True)
class Answer:
    """How an answer came about, in ms."""

    decision_late_ms: float
    """Arrival of `speech_stopped`, after the last speech sample plus the configured silence."""
    decision_to_audio_ms: float
    """Arrival of the first sound, after that of `speech_stopped`."""
    speech_to_audio_ms: float
    """Arrival of the first sound, after the last speech sample plus the configured silence."""
    server_ms: float
    """The server's own figure for decision to sound."""


@dataclass(slots=True)
class Turn:
    """One question and its answer; seconds of the monotonic clock (uvloop's own has whole milliseconds)."""

    speech_ended_s: float | None = None
    """When the last sample of speech was due to be spoken."""
    stopped_s: float | None = None
    """`speech_stopped` arrived."""
    first_audio_s: float | None = None
    server_ms: float | None = None
    """The server's own figure, decision to first sound."""
    arrivals: list[tuple[float, int]] = field(default_factory=list)
    """Each block of sound: when it arrived, and the reply's length in samples up to its end."""

    def restart(self) -> None:
        """The user speaks on: what was decided and said before was no answer."""
        self.stopped_s = self.first_audio_s = self.server_ms = None
        self.arrivals.clear()

    def answer(self, silence_ms: float) -> Answer | None:
        """None where the user was not heard to the end, or got no sound in reply. `silence_ms`: as configured."""
        ended_s, stopped_s, audio_s = self.speech_ended_s, self.stopped_s, self.first_audio_s
        if ended_s is None or stopped_s is None or audio_s is None or self.server_ms is None or stopped_s < ended_s:
            return None
        due_s = ended_s + silence_ms / 1000
        return Answer(
            1000 * (stopped_s - due_s), 1000 * (audio_s - stopped_s), 1000 * (audio_s - due_s), self.server_ms
        )


class User:
    """One session. `run` talks until cancelled or `turns` are done."""

    def __init__(
        self,
        url: str,
        utterances: Sequence[Utterance],
        chance: random.Random,
        *,
        think_s: tuple[float, float],
        answer_s: float,
    ) -> None:
        """Before speaking the user keeps silent for a time within `think_s`; an answer that takes over `answer_s` is
        given up.
        """
        self._url = url.replace("http", "ws", 1) + "/v1/realtime?model=parley&parley_events=1"
        self._utterances = utterances
        self._chance = chance
        self._think_s = think_s
        self._answer_s = answer_s
        self.turns: list[Turn] = []
        self.heard = asyncio.Event()
        """The first answer has begun."""
        self.wake_late_ms: list[float] = []
        """How late this side itself woke for each frame: a busy load generator would blame the server."""
        self.behind_s = 0.0
        """How far sending was behind real time at worst: the server took no more."""
        self._answered = asyncio.Event()
        self._sent = 0
        self._next_s = 0.0

    async def run(self, turns: int | None, start_after_s: float = 0.0) -> None:
        """Connect and talk, without end where `turns` is None.

        Raises websockets.ConnectionClosed when the server ends it, RuntimeError when it reports an error.
        """
        await asyncio.sleep(start_after_s)
        async with websockets.connect(self._url, max_size=2**24, compression=None) as socket:
            await socket.send(_SESSION)
            async with asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(self._read(socket))
                await self._talk(socket, itertools.count() if turns is None else iter(range(turns)))
                reading.cancel()

    async def _talk(self, socket: ClientConnection, turns: Iterator[int]) -> None:
        self._next_s = time.monotonic()
        for n in turns:
            await self._keep_silent(socket, self._chance.uniform(*self._think_s))
            self._answered.clear()
            await self._say(socket, self._utterances[n % len(self._utterances)])
            deadline_s = time.monotonic() + self._answer_s
            while not self._answered.is_set() and time.monotonic() < deadline_s:
                await self._keep_silent(socket, FRAME_S)

    async def _say(self, socket: ClientConnection, utterance: Utterance) -> None:
        turn = Turn()
        self.turns.append(turn)
        for n, frame in enumerate(utterance.messages):
            await self._send(socket, frame)
            if n == utterance.last_frame:
                turn.speech_ended_s = self._next_s - utterance.rest_s

    async def _keep_silent(self, socket: ClientConnection, duration_s: float) -> None:
        for _ in range(max(1, round(duration_s / FRAME_S))):
            await self._send(socket, _NOISE[self._sent % len(_NOISE)])

    async def _send(self, socket: ClientConnection, frame: str) -> None:
        """A frame is sent when its last sample has been spoken."""
        self._next_s += FRAME_S
        wait_s = self._next_s - time.monotonic()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
            self.wake_late_ms.append(1000 * (time.monotonic() - self._next_s))
        else:
            self.behind_s = max(self.behind_s, -wait_s)
        self._sent += 1
        await socket.send(frame)

    async def _read(self, socket: ClientConnection) -> None:
        async for text in socket:
            self._note(time.monotonic(), orjson.loads(text))

    def _note(self, now_s: float, event: dict[str, Any]) -> None:
        if event["type"] == "error":
            raise RuntimeError(f"the server reports: {event['error']['message']}")
        if not self.turns:
            return
        turn = self.turns[-1]
        match event["type"]:
            case "input_audio_buffer.speech_started":
                turn.restart()
            case "input_audio_buffer.speech_stopped":
                turn.stopped_s = now_s
            case "parley.turn.timeline":
                turn.server_ms = event["first_audio_ms"]
            case "response.output_audio.delta":
                before = turn.arrivals[-1][1] if turn.arrivals else 0
                turn.first_audio_s = turn.first_audio_s or now_s
                turn.arrivals.append((now_s, before + _samples(event["delta"])))
                self.heard.set()
            case "response.done":
                # A reply to half a question is broken off when the user speaks on.
                if event["response"]["status"] == "completed" and turn.speech_ended_s is not None:
                    self._answered.set()


def _samples(base64: str) -> int:
    return (len(base64) * 3 // 4 - base64.count("=", -2)) // BYTES_PER_SAMPLE


def heard_s(arrivals: Sequence[tuple[float, int]]) -> float:
    """How much sound came after the first block."""
    return (arrivals[-1][1] - arrivals[0][1]) / VOICE_RATE_HZ if arrivals else 0.0


def lateness_ms(arrivals: Sequence[tuple[float, int]], lead_ms: float) -> list[float]:
    """How much later each block of a reply arrived than its pace demands.

    The pace is that of the block with the shortest way, as in RFC 5481 §4.2 (packet delay variation); the blocks of the
    first burst, up to the lead, have none. So the least value is 0 unless the first block itself had the shortest way.
    """
    lead_samples = lead_ms * VOICE_RATE_HZ / 1000
    delays_s = [at_s - (end - lead_samples) / VOICE_RATE_HZ for at_s, end in arrivals if end > lead_samples]
    if not delays_s:
        return []
    shortest_s = min(arrivals[0][0], *delays_s)
    return [1000 * (delay_s - shortest_s) for delay_s in delays_s]
