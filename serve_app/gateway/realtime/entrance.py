"""Who comes in at `WS /v1/realtime?model=…`, with which settings, and what is said to those who do not."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.websockets import WebSocket, WebSocketDisconnect

from deployments.runtime.clock import wall_s
from deployments.runtime.errors import InvalidRequest, NotFound, ParleyError, ServerFull, Unauthorized
from serve_app.gateway.client_secrets import PREFIX, ClientSecrets
from serve_app.gateway.keys import ApiKeys, bearer
from serve_app.gateway.realtime.limits import Limits
from serve_app.gateway.realtime.socket import RealtimeSocket, close
from serve_app.gateway.realtime.wire import Outbound
from serve_app.gateway.sessions import Resumed, Sessions
from serve_app.session.closing import SERVER_FULL, Closing
from serve_app.session.events import ErrorEvent
from serve_app.session.ids import new_id
from serve_app.session.screen import Faces
from serve_app.session.settings import SessionSettings

log = logging.getLogger(__name__)

SUBPROTOCOL = "realtime"
_KEY_SUBPROTOCOL = "openai-insecure-api-key."
_UNAUTHORIZED = 3000
"""As OpenAI closes for a wrong key; IANA's registry of close codes calls it `Unauthorized`."""
_MOST_DIGITS = 9
_POLICY = 1008
"""RFC 6455 §7.4.1: a policy is violated, and none of the other codes fits."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """The WebSocket's endpoint."""

    keys: ApiKeys
    secrets: ClientSecrets
    sessions: Sessions
    defaults: Callable[[], SessionSettings]
    """What a session has before its client sets anything; may change while the server runs."""
    limits: Callable[[], Limits]
    take: Callable[[str, int | None], Awaitable[Resumed]]
    """The conversation that a token opens, heard so far in ms. Raises NotFound."""
    faces: Faces | None = None
    """None: the server has none to show."""
    assistant: Callable[[str], SessionSettings] | None = None
    """What a session with this assistant has before its client sets anything. Raises NotFound."""

    async def serve(self, websocket: WebSocket) -> None:
        """Hold one connection from its handshake to its end."""
        offered = websocket.scope.get("subprotocols", [])
        try:
            await websocket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
            try:
                token = websocket.query_params.get("resume")
                if token:
                    await self._go_on(websocket, token)
                else:
                    asked = websocket.query_params
                    key = _key(websocket, offered)
                    settings = self.admit(key, asked.get("model"), asked.get("avatar"), asked.get("assistant"))
                    await self.check_avatar(settings)
                    await self._converse(websocket, settings)
            except ServerFull as error:
                log.warning("turned away a client: %s", error)
                await close(websocket, Closing(SERVER_FULL.code, error.message))
            except ParleyError as error:
                await _turn_away(websocket, error)
        except WebSocketDisconnect:
            log.info("a client left during the handshake")

    async def _converse(self, websocket: WebSocket, settings: SessionSettings, resumed: Resumed | None = None) -> None:
        extensions = websocket.query_params.get("parley_events") == "1"
        with self.sessions.enter(settings, resumed) as session:
            await RealtimeSocket(websocket, session, self.limits(), extensions).serve()

    async def _go_on(self, websocket: WebSocket, token: str) -> None:
        """With the conversation that the token opens: it is as good as the key that the session began with."""
        with self.sessions.reserved():
            resumed = await self.take(token, _heard_ms(websocket))
        await self._converse(websocket, resumed.carried.settings, resumed)

    def admit(
        self, key: str | None, model: str | None = None, avatar: str | None = None, assistant: str | None = None
    ) -> SessionSettings:
        """Check an API key or a client secret; what its session begins with. Raises Unauthorized, InvalidRequest.

        `avatar`: show this face, the engine's own where it is empty; None: no face is asked for here. `assistant`: its
        name; a client secret's own goes before it. Raises NotFound for one that is not there.
        """
        asked = {}
        if key is not None and key.startswith(PREFIX):
            asked = self.secrets.open(key, wall_s())
        else:
            self.keys.check(key)
        settings = self._first(asked.get("assistant") or assistant).updated(asked)
        if model:
            settings = settings.updated({"model": model})
        if avatar is not None:
            settings = settings.updated({"output_modalities": ["audio", "video"], "video": {"avatar": avatar}})
        return self.possible(settings)

    def _first(self, assistant: str | None) -> SessionSettings:
        if not assistant:
            return self.defaults()
        if self.assistant is None:
            raise NotFound("This server has no assistants.", "assistant_not_found", "assistant")
        return self.assistant(assistant)

    def possible(self, settings: SessionSettings) -> SessionSettings:
        """The same settings. Raises InvalidRequest where they ask for a face that this server does not have."""
        if settings.shows_face and self.faces is None:
            raise InvalidRequest(
                'This server has no face: use "output_modalities": ["audio"].', param="session.output_modalities"
            )
        return settings

    async def check_avatar(self, settings: SessionSettings) -> None:
        """Raises NotFound where they ask for an avatar that was deleted, which the stage may still know."""
        if settings.shows_face and self.faces is not None and settings.video is not None:
            await self.faces.check(settings.video.avatar)


def _key(websocket: WebSocket, offered: list[str]) -> str | None:
    """From the header, or as browsers send it, who cannot set headers on a WebSocket."""
    for subprotocol in offered:
        if subprotocol.startswith(_KEY_SUBPROTOCOL):
            return subprotocol.removeprefix(_KEY_SUBPROTOCOL)
    return bearer(websocket.headers.get("authorization"))


def _heard_ms(websocket: WebSocket) -> int | None:
    """How much the client has played of the reply that was cut off."""
    given = websocket.query_params.get("heard_ms")
    if given is None:
        return None
    if not (given.isascii() and given.isdecimal()) or len(given) > _MOST_DIGITS:
        raise InvalidRequest("heard_ms: milliseconds, a whole number.", param="heard_ms")
    return int(given)


async def _turn_away(websocket: WebSocket, error: ParleyError) -> None:
    """Say why, then close: a browser shows its page nothing of a refused handshake."""
    for message in Outbound(new_id("sess"), extensions=False).messages(ErrorEvent.of(error)):
        await websocket.send_text(message)
    code = _UNAUTHORIZED if isinstance(error, Unauthorized) else _POLICY
    await close(websocket, Closing(code, f"{error.realtime_type}.{error.code}"))
