"""`WS /v1/realtime`: OpenAI's Realtime protocol between a WebSocket and a session.

Three tasks: messages in, events out, and the session itself, which the other two end with it.
"""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import aclosing
from typing import Any

from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect

from deployments.runtime.errors import InvalidRequest, ParleyError
from deployments.runtime.logs import log_context
from serve_app.gateway.realtime.envelope import Refused
from serve_app.gateway.realtime.inbound import Inbound
from serve_app.gateway.realtime.limits import Limits
from serve_app.gateway.realtime.wire import Outbound
from serve_app.gateway.sessions import LiveSession
from serve_app.session.closing import CLIENT_LEFT, CONNECTION_LOST, FAILED, SLOW_CLIENT, Closing
from serve_app.session.events import ErrorEvent

log = logging.getLogger(__name__)

SEND_DEADLINE_S = 10.0
"""For one message to be taken by the network below. Behind Serve's Python proxy it always is at once; there the proxy's
pings end a client that does not read, after 40 s."""
_CLOSE_DEADLINE_S = 2.0
_MAX_REASON_BYTES = 123
"""RFC 6455 §5.5: a control frame's payload has at most 125 bytes, two of them the code."""


class RealtimeSocket:
    """One client's connection, accepted."""

    def __init__(self, websocket: WebSocket, session: LiveSession, limits: Limits, extensions: bool) -> None:
        self._websocket = websocket
        self._session = session
        self._inbound = Inbound(session.settings, limits)
        self._outbound = Outbound(session.id, extensions)
        self._reachable = True

    async def serve(self) -> None:
        """Carry the conversation until it ends, by either side."""
        with log_context(session_id=self._session.id):
            try:
                await self._carry()
            finally:
                # Serve cancels this task when a client is lost abruptly.
                self._session.close(CONNECTION_LOST)
            closing = self._session.closing or CONNECTION_LOST
            log.info("a session ended: %s", closing.reason)
            if closing not in (CLIENT_LEFT, CONNECTION_LOST):
                await close(self._websocket, closing)

    async def _carry(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(self._guard(self._session.run()))
            receiving = tasks.create_task(self._guard(self._receive()))
            tasks.create_task(self._guard(self._send_events()))
            try:
                await asyncio.wait((running,))
            except asyncio.CancelledError:
                self._session.close(CONNECTION_LOST)
                raise
            receiving.cancel()

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        """A bug ends this conversation, with a reason that its client can read, and no other."""
        try:
            await work
        except Exception:
            log.exception("a connection broke")
            self._session.close(FAILED)

    async def _receive(self) -> None:
        while (message := await self._websocket.receive())["type"] != "websocket.disconnect":
            try:
                await self._take(message)
            except Refused as refused:
                await self._refuse(refused.error, refused.event_id)
        # A client that says goodbye does not come back; 1001 is a page that is left or loaded again.
        self._gone(CLIENT_LEFT if message.get("code") == CLIENT_LEFT.code else CONNECTION_LOST)

    async def _take(self, message: Message) -> None:
        text = message.get("text")
        if text is None:
            raise Refused(InvalidRequest("Send text: JSON, with sound as base64 in it.", "invalid_frame"), None)
        for command in await self._inbound.commands(text):
            await self._session.submit(command)

    async def _send_events(self) -> None:
        async with aclosing(self._session.events()) as events:
            async for event in events:
                for message in self._outbound.messages(event):
                    await self._send(message)

    async def _refuse(self, error: ParleyError, event_id: str | None) -> None:
        for message in self._outbound.messages(ErrorEvent.of(error, event_id)):
            await self._send(message)

    async def _send(self, message: str) -> None:
        if not self._reachable:
            return
        try:
            async with asyncio.timeout(SEND_DEADLINE_S):
                await self._websocket.send({"type": "websocket.send", "text": message})
        except TimeoutError:
            self._gone(SLOW_CLIENT)
        except WebSocketDisconnect:
            self._gone(CONNECTION_LOST)

    def _gone(self, closing: Closing) -> None:
        """Nothing reaches the client any more; what the session still says is dropped."""
        self._reachable = False
        self._session.close(closing)


async def close(websocket: WebSocket, closing: Closing) -> None:
    """Send the close frame; a client that is gone or does not read is not waited for."""
    reason = closing.reason.encode()[:_MAX_REASON_BYTES].decode(errors="ignore")
    try:
        async with asyncio.timeout(_CLOSE_DEADLINE_S):
            await websocket.close(closing.code, reason)
    except (TimeoutError, WebSocketDisconnect):
        log.info("a client was gone before its close frame")
