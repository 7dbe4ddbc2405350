"""A server that speaks the protocol by a script: for what a real one does only when it is full, stopping or broken.

It hears by loudness alone, "recognises" the words it was given and "speaks" a tone; everything else (event names,
fields, order, pacing) is as the real server's.
"""

import asyncio
import json
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from serve_app.gateway import page
from tests.browser.scripted_session import ScriptedSession


@dataclass
class Script:
    """What the next sessions do."""

    words: str = "hello there"
    answer: str = "Hello. It is good to hear you."
    close_at_once: tuple[int, str] | None = None
    """Accept and close with this code and reason."""
    drop_at_once: bool = False
    """Accept and break off without a close frame."""
    key: str | None = None
    """Wanted from everybody."""
    token: str | None = None
    """Given out with `session.created`, and wanted from who comes back."""


@dataclass
class StandIn:
    """Runs in a thread of its own; `script` may be changed at any time."""

    script: Script = field(default_factory=Script)
    sessions: list[ScriptedSession] = field(default_factory=list)
    asked_to_resume: list[dict[str, str]] = field(default_factory=list)
    """The query of each who came back with a token."""

    def __post_init__(self) -> None:
        app = Starlette(routes=[*page.routes(), WebSocketRoute("/v1/realtime", self._realtime)])
        config = uvicorn.Config(app, "127.0.0.1", 0, log_level="warning", lifespan="off", ws="websockets-sansio")
        self._server = uvicorn.Server(config)
        self._socket = config.bind_socket()
        self._socket.listen()  # from now on: who comes before the server runs waits
        self._thread = threading.Thread(target=self._run, name="stand-in")

    def __enter__(self) -> "StandIn":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)
        self._socket.close()

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/"

    @property
    def session(self) -> ScriptedSession:
        """The newest."""
        return self.sessions[-1]

    def close_sessions(self, code: int, reason: str) -> None:
        """Close every open session with that code."""
        for session in self.sessions:
            self._do(session.close(code, reason))

    def break_sessions(self) -> None:
        """Break off every connection without a word, as a dead network does."""
        self._do(self._break_off())

    def interrupt(self) -> None:
        """Do as if the user had begun to speak."""
        self._do(self.session.speech_started())

    def hold(self, held: bool) -> None:
        """Hold the reply, or let it go on."""
        self._do(self.session.hold(held))

    def release(self) -> None:
        """Let replies go on without telling the page."""
        self._do(self.session.release())

    def send(self, kind: str, **fields: Any) -> None:
        """Send any event to the newest session."""
        self._do(self.session.send(kind, **fields))

    async def _break_off(self) -> None:
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()

    def _do(self, doing: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(doing, self._loop).result(5)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._server.serve(sockets=[self._socket])

    async def _realtime(self, websocket: WebSocket) -> None:
        script = self.script
        await websocket.accept("realtime" if "realtime" in websocket.scope["subprotocols"] else None)
        if script.close_at_once:
            await websocket.close(*script.close_at_once)
            return
        if script.drop_at_once:
            await self._break_off()
            return
        if script.key and f"openai-insecure-api-key.{script.key}" not in websocket.scope["subprotocols"]:
            await websocket.close(3000, "invalid_request_error.invalid_api_key")
            return
        token = websocket.query_params.get("resume")
        if token is not None:
            self.asked_to_resume.append(dict(websocket.query_params))
            if token != script.token:
                error = {"type": "invalid_request_error", "message": "This conversation cannot be resumed."}
                await websocket.send_text(json.dumps({"type": "error", "error": error}))
                await websocket.close(1008)
                return
        session = ScriptedSession(websocket, script.words, script.answer)
        self.sessions.append(session)
        await session.run(script.token)
