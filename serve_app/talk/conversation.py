"""Holds one conversation over a WebSocket and prints it as it is spoken."""

import asyncio
import base64
import json
import sys
from contextlib import aclosing
from typing import Any

from websockets.asyncio.client import ClientConnection

from deployments.media.audio import VOICE_RATE_HZ, samples_of, samples_to_ms
from serve_app.talk.sources import Source
from serve_app.talk.speakers import Speaker

_ANSWER_WITHIN_S = 5.0
"""A recording that gets no answer for so long after its end gets none."""


class Conversation:
    """One conversation from `session.created` to its end."""

    def __init__(self, socket: ClientConnection, source: Source, speaker: Speaker, instructions: str | None) -> None:
        self._socket = socket
        self._source = source
        self._speaker = speaker
        self._instructions = instructions
        self._heard_ms = 0.0
        self._asked = 0
        self._open_responses = 0
        self._quiet_since_s = 0.0
        self._line_open = False

    async def hold(self) -> None:
        """Talk until the source ends and was answered. Raises websockets.ConnectionClosed when the server ends it."""
        await self._send(type="session.update", session=self._session())
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(self._read())
            writing = tasks.create_task(self._write())
            await self._until_answered()
            reading.cancel()
            writing.cancel()
        self._end_line()

    def _session(self) -> dict[str, Any]:
        session: dict[str, Any] = {"type": "realtime", "audio": {"input": {"transcription": {"model": "parley"}}}}
        if self._instructions is not None:
            session["instructions"] = self._instructions
        return session

    async def _write(self) -> None:
        async with aclosing(self._source.frames()) as frames:
            async for frame in frames:
                if isinstance(frame, str):
                    content = [{"type": "input_text", "text": frame}]
                    item = {"type": "message", "role": "user", "content": content}
                    await self._send(type="conversation.item.create", item=item)
                    await self._send(type="response.create")
                    self._asked += 1
                else:
                    await self._send(type="input_audio_buffer.append", audio=base64.b64encode(frame).decode())

    async def _until_answered(self) -> None:
        await self._source.finished.wait()
        self._touch()
        while self._source.ends:
            await asyncio.sleep(0.1)
            quiet_s = asyncio.get_running_loop().time() - self._quiet_since_s
            done = self._open_responses == 0 and self._asked <= 0
            if (done and self._heard_ms and quiet_s > 1.0) or quiet_s > _ANSWER_WITHIN_S:
                return
        await asyncio.Event().wait()

    async def _read(self) -> None:
        async for message in self._socket:
            event = json.loads(message)
            handler = getattr(self, "_on_" + event["type"].replace(".", "_"), None)
            if handler is not None:
                self._touch()
                handler(event)

    def _touch(self) -> None:
        self._quiet_since_s = asyncio.get_running_loop().time()

    async def _send(self, **event: Any) -> None:
        await self._socket.send(json.dumps(event))

    # One method an event that matters here; the rest is passed over.

    def _on_input_audio_buffer_speech_started(self, _: dict[str, Any]) -> None:
        self._speaker.drop()
        self._end_line(" —" if self._line_open else "")

    def _on_input_audio_buffer_committed(self, _: dict[str, Any]) -> None:
        self._asked += 1

    def _on_conversation_item_input_audio_transcription_completed(self, event: dict[str, Any]) -> None:
        self._end_line()
        print(f"you:    {event['transcript'] or '(nothing understood)'}")
        if not event["transcript"].strip():
            self._asked -= 1

    def _on_response_created(self, _: dict[str, Any]) -> None:
        self._open_responses += 1
        self._asked = max(0, self._asked - 1)  # some responses nobody asked for

    def _on_parley_turn_timeline(self, event: dict[str, Any]) -> None:
        parts = {
            "silence": event["silence_ms"],
            "words final": event["words_final_ms"],
            "first token": event["first_token_ms"],
            "first sound": event["first_audio_ms"],
        }
        known = ", ".join(f"{name} {ms:.0f} ms" for name, ms in parts.items() if ms is not None)
        self._end_line()
        print(f"        [{known}]")

    def _on_response_output_audio_transcript_delta(self, event: dict[str, Any]) -> None:
        if not self._line_open:
            print("parley: ", end="")
            self._line_open = True
        print(event["delta"], end="", flush=True)

    def _on_response_output_audio_delta(self, event: dict[str, Any]) -> None:
        pcm = base64.b64decode(event["delta"])
        self._heard_ms += samples_to_ms(samples_of(pcm), VOICE_RATE_HZ)
        self._speaker.play(pcm)

    def _on_response_done(self, event: dict[str, Any]) -> None:
        self._open_responses -= 1
        response = event["response"]
        self._end_line(" —" if response["status"] == "cancelled" else "")
        if response["status"] == "failed":
            error = response["status_details"]["error"]
            print(f"talk: the reply failed: {error.get('message', error['code'])}", file=sys.stderr)

    def _on_error(self, event: dict[str, Any]) -> None:
        self._end_line()
        print(f"talk: {event['error']['message']}", file=sys.stderr)

    def _end_line(self, mark: str = "") -> None:
        if self._line_open:
            print(mark)
            self._line_open = False
