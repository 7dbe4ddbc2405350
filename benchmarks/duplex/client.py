"""A client that plays one trial over a line: speaks when it is due, runs the functions, and notes what arrives."""

import asyncio
import base64
import functools
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.duplex.line import Line, Message
from benchmarks.duplex.microphone import Microphone
from benchmarks.duplex.mixing import Heard
from benchmarks.duplex.playback import Playback
from benchmarks.duplex.take import Said, Take
from benchmarks.duplex.trials import Kind, Right, Trial
from benchmarks.speech_scenes import Samples
from deployments.media.audio import VOICE_RATE_HZ

_BEFORE_S = 1.0
"""The room alone, to begin with."""
_TWICE_AFTER_S = 0.4
"""Into the second reply, the second interruption."""
_CALL_TAKES_S = 1.0
_WATCHED_S = {Right.YIELD: 4.0, Right.KEEP: 2.2, Right.QUIET: 2.5, Right.WAIT: 6.0}
"""After the last sound of the user's side, at most."""
_UNDISTURBED_S = 6.0
"""How long a reply is watched over which nothing is said."""
_GIVE_UP_S = 20.0
_ASKS_S = 2.0
WEATHER: Message = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the current weather in a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
RESULT = '{"temperature_celsius": 21}'


class Client:
    """One trial. Runs in any loop, on any clock."""

    def __init__(self, line: Line, trial: Trial, sounds: Sequence[Heard], room: Samples) -> None:
        self._line = line
        self._trial = trial
        self._sounds = list(sounds)
        self._room = room
        self._take = Take()
        self._playback = Playback()
        self._microphone: Microphone
        self._active = 0
        self._user_speaks = False
        self._changed = asyncio.Event()
        self._calls: set[asyncio.Task[None]] = set()

    async def play(self) -> Take:
        """Play it to its end."""
        self._microphone = Microphone(
            self._room,
            self._playback,
            _now_s(),
            echo_db=self._trial.echo_db,
            echo_delay_ms=self._trial.echo_delay_ms,
        )
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(self._read())
            sending = tasks.create_task(self._send_sound())
            await self._direct(tasks)
            sending.cancel()
            await self._ask_what_is_kept()
            reading.cancel()
        self._take.blocks = self._playback.blocks
        self._take.ended_s = _now_s()
        return self._take

    # What happens

    async def _direct(self, tasks: asyncio.TaskGroup) -> None:
        trial = self._trial
        self._tasks = tasks
        await self._line.send({"type": "session.update", "session": _settings(trial)})
        await asyncio.sleep(_BEFORE_S)
        if trial.ask:
            await self._ask(trial.ask)
            await self._until(self._begun, _GIVE_UP_S)
        for n, sound in enumerate(self._sounds):
            after_s = trial.delay_ms / 1000
            if n:
                before = self._replies()
                await self._until(functools.partial(self._has_more_replies, before), _WATCHED_S[Right.YIELD])
                after_s = _TWICE_AFTER_S
            await self._say(sound, _now_s() + after_s)
        await self._watch()

    async def _watch(self) -> None:
        trial = self._trial
        if not self._take.said:
            await asyncio.sleep(_UNDISTURBED_S)
            return
        last_s = self._take.said[-1].last_s
        await asyncio.sleep(max(0.0, last_s - _now_s()))
        if trial.right in (Right.YIELD, Right.WAIT):
            await self._until(lambda: self._answered(last_s), _WATCHED_S[trial.right])
            await asyncio.sleep(0.6)
        else:
            await asyncio.sleep(_WATCHED_S[trial.right])

    async def _say(self, sound: Heard, at_s: float) -> None:
        start_s = self._microphone.add(sound.samples, at_s)
        self._line.foretell([(word, start_s + end / VOICE_RATE_HZ) for word, end in sound.words])
        said = Said(start_s, sound)
        self._take.said.append(said)
        await asyncio.sleep(max(0.0, said.last_s - _now_s()))

    async def _ask(self, text: str) -> None:
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        await self._line.send({"type": "conversation.item.create", "item": item})
        await self._line.send({"type": "response.create"})

    def _begun(self) -> bool:
        return bool(self._playback.blocks) or bool(self._calls) or bool(self._take.answered_calls)

    def _answered(self, last_s: float) -> bool:
        """A reply began after the user had spoken, and no function is running."""
        later = any(at_s > last_s for at_s, _ in self._take.of("response.created"))
        sounding = bool(self._playback.blocks) and self._playback.blocks[-1].at_s > last_s
        settled = self._trial.kind is not Kind.DURING_CALL or (not self._calls and self._active == 0)
        return later and sounding and settled

    def _replies(self) -> int:
        return len({block.response_id for block in self._playback.blocks})

    def _has_more_replies(self, before: int) -> bool:
        return self._replies() > before

    async def _until(self, condition: Callable[[], bool], at_most_s: float) -> None:
        """Wait for something that follows from a message or a function's end."""
        try:
            async with asyncio.timeout(at_most_s):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return

    async def _ask_what_is_kept(self) -> None:
        items = {block.item_id for block in self._playback.blocks}
        for item_id in items:
            await self._line.send({"type": "conversation.item.retrieve", "item_id": item_id})
        await self._until(lambda: items <= self._take.kept.keys(), _ASKS_S)

    # What goes out and comes in

    async def _send_sound(self) -> None:
        while True:
            due_s = self._microphone.next_frame_s
            await asyncio.sleep(max(0.0, due_s - _now_s()))
            self._take.wake_late_ms = max(self._take.wake_late_ms, 1000 * (_now_s() - due_s))
            await self._line.send({"type": "input_audio_buffer.append", "audio": self._microphone.frame()})

    async def _read(self) -> None:
        async for message in self._line.messages():
            self._note(message, _now_s())
            self._changed.set()

    def _note(self, message: Message, now_s: float) -> None:
        match message["type"]:
            case "response.output_audio.delta":
                pcm = base64.b64decode(message["delta"])
                self._playback.play(pcm, message["response_id"], message["item_id"], now_s)
                return
            case "input_audio_buffer.speech_started":
                self._playback.flush(now_s)
                self._user_speaks = True
            case "response.created":
                self._active += 1
                self._user_speaks = False
            case "response.done":
                self._active -= 1
            case "response.function_call_arguments.done":
                running = self._tasks.create_task(self._run_function(message["call_id"]))
                self._calls.add(running)
                running.add_done_callback(self._end_function)
            case "conversation.item.retrieved":
                self._take.kept[message["item"]["id"]] = _text(message["item"])
        self._take.events.append((now_s, message))

    def _end_function(self, running: "asyncio.Task[None]") -> None:
        self._calls.discard(running)
        self._changed.set()

    async def _run_function(self, call_id: str) -> None:
        """Takes a second; its result is sent, and an answer asked for as soon as nobody speaks."""
        await asyncio.sleep(_CALL_TAKES_S)
        item = {"type": "function_call_output", "call_id": call_id, "output": RESULT}
        await self._line.send({"type": "conversation.item.create", "item": item})
        self._take.answered_calls.append(call_id)
        if not self._active and not self._user_speaks:
            await self._line.send({"type": "response.create"})


def _settings(trial: Trial) -> dict[str, Any]:
    waits = trial.kind in (Kind.HESITATION, Kind.NUMBER)
    detection = {"type": "semantic_vad", "eagerness": "auto"} if waits else {"type": "server_vad"}
    settings: dict[str, Any] = {"type": "realtime", "audio": {"input": {"turn_detection": detection}}}
    return {**settings, "tools": [WEATHER]} if trial.kind is Kind.DURING_CALL else settings


def _text(item: Message) -> str:
    return "".join(part.get("transcript") or part.get("text") or "" for part in item.get("content", ()))


def _now_s() -> float:
    return asyncio.get_running_loop().time()
