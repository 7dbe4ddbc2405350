"""One connection of the stand-in server: hears by loudness, answers with a tone."""

import asyncio
import base64
import itertools
import json
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.websockets import WebSocket, WebSocketDisconnect

RATE_HZ = 24_000
LOUD_RMS = 0.01
ONSET_MS = 100
SILENCE_MS = 500
LEAD_S = 0.24
BLOCK_S = 0.08
WORD_S = 0.3
TONE_HZ = 440.0

_NUMBERS = itertools.count()


class ScriptedSession:
    """Keeps what the page sent in `received` (sound apart, in `heard`)."""

    def __init__(self, websocket: WebSocket, words: str, answer: str) -> None:
        self.received: list[dict[str, Any]] = []
        self.heard = np.zeros(0, np.float32)
        self.closed = False
        self._websocket = websocket
        self._words = words.split()
        self._answer = answer.split()
        self._loud_ms = self._quiet_ms = 0
        self._user_item = ""
        self._started_ms = 0
        self._interim_words = 0
        self._reply: asyncio.Task[None] | None = None
        self._reply_ids = ("", "")
        self._told: dict[str, str] = {}
        """What was said of each reply's item."""
        self._sent_ms: dict[str, int] = {}
        self._going = asyncio.Event()
        self._going.set()

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """What the page sent of that type."""
        return [event for event in self.received if event["type"] == kind]

    def sent_ms(self, item: str) -> int:
        """How much sound of an item went out."""
        return self._sent_ms[item]

    async def run(self, token: str | None) -> None:
        """Until the page leaves."""
        extra = {"parley": {"resume_token": token, "resume_within_s": 60}} if token else {}
        await self.send("session.created", session={"type": "realtime", "id": "sess_1", "model": "parley"}, **extra)
        await self.send("parley.state", state="idle")
        try:
            while True:
                await self._take(json.loads(await self._websocket.receive_text()))
        except (WebSocketDisconnect, RuntimeError):  # RuntimeError: starlette's word for a socket that we closed
            pass
        finally:
            self.closed = True
            await self._stop_reply()

    async def close(self, code: int, reason: str) -> None:
        """Close with a code."""
        if not self.closed:
            self.closed = True
            await self._stop_reply()
            await self._websocket.close(code, reason)

    async def hold(self, held: bool) -> None:
        """Say that playback is held, or goes on."""
        kind = "parley.playback.held" if held else "parley.playback.resumed"
        self._going.clear() if held else self._going.set()
        await self.send(kind, response_id=self._reply_ids[0])

    async def release(self) -> None:
        """Let replies go on, silently."""
        self._going.set()

    async def _take(self, event: dict[str, Any]) -> None:
        if event["type"] == "input_audio_buffer.append":
            await self._hear(
                np.frombuffer(base64.b64decode(event["audio"]), "<i2").astype(np.float32) / np.float32(32768)
            )
            return
        self.received.append(event)
        match event["type"]:
            case "session.update":
                await self.send("session.updated", session=event["session"])
            case "response.create":
                await self._answer_now(silence_ms=None)
            case "response.cancel":
                await self._stop_reply()
            case "conversation.item.truncate":
                await self._truncated(event["item_id"], event["audio_end_ms"])
            case "conversation.item.retrieve":
                part = {"type": "output_audio", "transcript": self._told[event["item_id"]]}
                item = {"id": event["item_id"], "type": "message", "role": "assistant", "content": [part]}
                await self.send("conversation.item.retrieved", item=item)
            case _:
                pass

    async def _hear(self, samples: NDArray[np.float32]) -> None:
        self.heard = np.concatenate([self.heard, samples])
        if len(self.heard) == len(samples):
            await self.send("parley.state", state="listening")
        frame_ms = round(1000 * len(samples) / RATE_HZ)
        loud = float(np.sqrt(np.mean(samples**2))) > LOUD_RMS
        self._loud_ms = self._loud_ms + frame_ms if loud else 0
        self._quiet_ms = 0 if loud else self._quiet_ms + frame_ms
        if not self._user_item:
            if self._loud_ms >= ONSET_MS:
                await self.speech_started()
                await self._interim(1)
        elif self._quiet_ms >= SILENCE_MS:
            await self._speech_stopped()
        elif (count := 1 + (self._stream_ms - self._started_ms) // 200) > self._interim_words:
            await self._interim(count)

    async def speech_started(self) -> None:
        """The user began to speak: a reply is over."""
        self._user_item = self._new_id("item")
        self._started_ms = self._stream_ms
        await self._stop_reply()
        await self.send(
            "input_audio_buffer.speech_started", audio_start_ms=self._stream_ms - ONSET_MS, item_id=self._user_item
        )
        await self.send("parley.state", state="user_speaking")

    async def _interim(self, count: int) -> None:
        self._interim_words = count
        words = " ".join(self._words[:count])
        await self.send("parley.transcript.interim", item_id=self._user_item, text=words)

    async def _speech_stopped(self) -> None:
        item, self._user_item = self._user_item, ""
        end_ms = self._stream_ms - self._quiet_ms
        await self.send("input_audio_buffer.speech_stopped", audio_end_ms=end_ms, item_id=item)
        await self.send("input_audio_buffer.committed", item_id=item, previous_item_id=None)
        await self.send(
            "conversation.item.input_audio_transcription.completed",
            item_id=item,
            content_index=0,
            transcript=" ".join(self._words),
            usage={"type": "duration", "seconds": 1},
        )
        await self._answer_now(silence_ms=float(self._quiet_ms))

    async def _answer_now(self, silence_ms: float | None) -> None:
        await self._stop_reply()
        self._reply_ids = (self._new_id("resp"), self._new_id("item"))
        self._reply = asyncio.create_task(self._speak(*self._reply_ids, silence_ms))

    async def _speak(self, response: str, item: str, silence_ms: float | None) -> None:
        await self.send("response.created", response={"id": response, "status": "in_progress"})
        await self.send("parley.state", state="thinking")
        await asyncio.sleep(0.05)
        await self.send(
            "parley.turn.timeline",
            response_id=response,
            silence_ms=silence_ms,
            words_final_ms=None if silence_ms is None else 31.0,
            first_token_ms=38.0,
            first_audio_ms=52.0,
        )
        await self.send("parley.state", state="speaking")
        ids: dict[str, Any] = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        started_s = asyncio.get_running_loop().time()
        self._told[item] = ""
        blocks = int(len(self._answer) * WORD_S / BLOCK_S) + 1
        said = 0
        for block in range(blocks):
            while said < len(self._answer) and said * WORD_S <= block * BLOCK_S:
                delta = ("" if said == 0 else " ") + self._answer[said]
                self._told[item] += delta
                await self.send("response.output_audio_transcript.delta", **ids, delta=delta)
                said += 1
            await self.send("response.output_audio.delta", **ids, delta=_tone(block))
            self._sent_ms[item] = round(1000 * (block + 1) * BLOCK_S)
            due_s = started_s + (block + 1) * BLOCK_S - LEAD_S
            await asyncio.sleep(max(0.0, due_s - asyncio.get_running_loop().time()))
            await self._going.wait()
        await self.send("response.output_audio.done", **ids)
        await self.send("response.done", response={"id": response, "status": "completed"})
        await self.send("parley.state", state="listening")

    async def _stop_reply(self) -> None:
        if self._reply is None or self._reply.done():
            return
        self._reply.cancel()
        await asyncio.wait([self._reply])
        if self.closed:
            return
        response, item = self._reply_ids
        await self.send("response.output_audio.done", response_id=response, item_id=item, content_index=0)
        await self.send("response.done", response={"id": response, "status": "cancelled"})
        await self.send("parley.state", state="listening")

    async def _truncated(self, item: str, audio_end_ms: int) -> None:
        words = self._told[item].split()
        self._told[item] = " ".join(words[: int(audio_end_ms / 1000 / WORD_S)])
        await self.send("conversation.item.truncated", item_id=item, content_index=0, audio_end_ms=audio_end_ms)

    @property
    def _stream_ms(self) -> int:
        return round(1000 * len(self.heard) / RATE_HZ)

    def _new_id(self, kind: str) -> str:
        return f"{kind}_{next(_NUMBERS)}"

    async def send(self, kind: str, **fields: Any) -> None:
        """Send an event."""
        event = {"type": kind, "event_id": self._new_id("event"), **fields}
        with suppress(WebSocketDisconnect, RuntimeError):  # the page has left, or we closed: `run` sees it too
            await self._websocket.send_text(json.dumps(event))


def _tone(block: int) -> str:
    times_s = (np.arange(int(BLOCK_S * RATE_HZ)) + block * int(BLOCK_S * RATE_HZ)) / RATE_HZ
    samples = (0.3 * np.sin(2 * np.pi * TONE_HZ * times_s) * 32767).astype("<i2")
    return base64.b64encode(samples.tobytes()).decode()
