"""Carries a conversation over a connected call, until either side ends it.

One TaskGroup: the session, its events, the client's messages, the client's voice, the clock of what goes out, and the
watch over the connection.
"""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import aclosing
from typing import Any

from deployments.runtime import clock
from deployments.runtime.errors import InvalidRequest
from deployments.runtime.logs import log_context
from serve_app.gateway.realtime.envelope import APPEND, Refused, open_envelope
from serve_app.gateway.realtime.inbound import Inbound
from serve_app.gateway.realtime.limits import Limits
from serve_app.gateway.realtime.wire import Outbound
from serve_app.gateway.sessions import LiveSession
from serve_app.gateway.webrtc.channel import FLOODED
from serve_app.gateway.webrtc.face import FaceControl
from serve_app.gateway.webrtc.pacer import Pacer
from serve_app.gateway.webrtc.peer import Peer
from serve_app.gateway.webrtc.voice_in import VoiceIn
from serve_app.gateway.webrtc.voice_out import VoiceOut
from serve_app.session import events as ev
from serve_app.session.closing import CLIENT_LEFT, CONNECTION_LOST, FAILED, SLOW_CLIENT

log = logging.getLogger(__name__)

CLEAR_OUTPUT = "output_audio_buffer.clear"
_LOOK_EVERY_S = 1.0
_FLUSH_DEADLINE_S = 1.0


class Carrier:
    """One call's conversation."""

    def __init__(
        self, session: LiveSession, peer: Peer, limits: Limits, face: FaceControl, *, extensions: bool, lost_s: float
    ) -> None:
        self._session = session
        self._peer = peer
        self._limits = limits
        self._lost_s = lost_s
        self._inbound = Inbound(session.settings, limits)
        self._outbound = Outbound(session.id, extensions)
        self._in = VoiceIn(session)
        self._out = VoiceOut(face)
        self._pacer = Pacer(
            self._out.sound,
            self._out.pictures,
            send_sound=peer.sound.send,
            send_picture=lambda frame, at: peer.picture.send(frame.data, at) if peer.picture else None,
            after=self._tell_changes,
        )
        peer.on_sound = self._in.arrived
        peer.face = face

    async def carry(self) -> None:
        """Until the conversation ends, by either side."""
        with log_context(session_id=self._session.id):
            try:
                await self._run()
            finally:
                self._session.close(CONNECTION_LOST)
            closing = self._session.closing or CONNECTION_LOST
            log.info("a call ended: %s", closing.reason)
            if closing not in (CLIENT_LEFT, CONNECTION_LOST):
                await self._say_goodbye(closing.reason)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            running = tasks.create_task(self._guard(self._session.run()))
            telling = tasks.create_task(self._guard(self._tell()))
            others = [
                tasks.create_task(self._guard(work))
                for work in (self._obey(), self._in.run(), self._pacer.run(), self._watch(), self._watch_silence())
            ]
            try:
                await asyncio.wait((running, telling))
            except asyncio.CancelledError:
                self._session.close(CONNECTION_LOST)
                raise
            for task in others:
                task.cancel()

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        """A bug ends this conversation and no other."""
        try:
            await work
        except Exception:
            log.exception("a call broke")
            self._session.close(FAILED)

    async def _tell(self) -> None:
        async with aclosing(self._session.events()) as events:
            async for event in events:
                command = self._out.told(event)
                if command is not None:
                    # Not awaited: it waits for its turn behind the client's own commands.
                    self._tasks.create_task(self._guard(self._session.submit(command)))
                if not isinstance(event, ev.OutputAudioDelta | ev.VideoBlock):
                    self._send(*self._outbound.messages(event))
                self._tell_changes()

    def _tell_changes(self) -> None:
        for change, response_id in self._out.sound.changes():
            self._send(self._outbound.notice(f"output_audio_buffer.{change}", response_id=response_id))

    def _send(self, *messages: str) -> None:
        for message in messages:
            if not self._peer.channel.send(message):
                self._session.close(SLOW_CLIENT)

    async def _obey(self) -> None:
        while True:
            message = await self._peer.channel.receive()
            try:
                await self._take(message)
            except Refused as refused:
                self._send(*self._outbound.messages(ev.ErrorEvent.of(refused.error, refused.event_id)))

    async def _take(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            raise Refused(InvalidRequest("Send text: JSON. Sound comes as a track.", "invalid_frame"), None)
        envelope = open_envelope(message, self._limits)
        if envelope.type == APPEND:
            complaint = "On WebRTC the microphone is an audio track; input_audio_buffer.append is for WebSockets."
            raise Refused(InvalidRequest(complaint, param="type"), envelope.event_id)
        if envelope.type == CLEAR_OUTPUT:
            commands = self._out.clear(envelope.event_id)
            self._tell_changes()
        else:
            commands = list(await self._inbound.obeyed(envelope))
        for command in commands:
            await self._session.submit(command)

    async def _watch(self) -> None:
        channel = self._peer.channel
        watched = {
            asyncio.create_task(self._peer.gone.wait()): CLIENT_LEFT,
            asyncio.create_task(channel.closed.wait()): CLIENT_LEFT,
            asyncio.create_task(channel.flooded.wait()): FLOODED,
        }
        try:
            done, _ = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            self._session.close(watched[done.pop()])
        finally:
            for task in watched:
                task.cancel()

    async def _watch_silence(self) -> None:
        """A client that just vanishes says nothing; ICE itself would notice after 30 s."""
        received, since_s = -1, clock.now_s()
        while True:
            now = await self._peer.received_packets()
            if now != received:
                received, since_s = now, clock.now_s()
            elif clock.now_s() - since_s >= self._lost_s:
                self._session.close(CONNECTION_LOST)
                return
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _say_goodbye(self, reason: str) -> None:
        """A WebSocket's close frame has a reason; here an error event says it."""
        error = {"type": "server_error", "code": "session_closed", "message": reason, "param": None, "event_id": None}
        self._send(*self._outbound.messages(ev.ErrorEvent(error)))
        try:
            async with asyncio.timeout(_FLUSH_DEADLINE_S):
                await self._peer.channel.flushed()
        except TimeoutError:
            log.info("a client did not take the last words of its call")
