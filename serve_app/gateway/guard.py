"""What every request passes first: where it comes from, and to the API the key."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from deployments.runtime.errors import Forbidden, ParleyError
from serve_app.gateway.http_errors import error_response
from serve_app.gateway.keys import AdminKeys, ApiKeys, bearer
from serve_app.gateway.origins import OriginPolicy

OPEN_TO_ALL = frozenset({"/livez", "/readyz", "/metrics"})
"""For those who watch over the server; they say nothing about anybody's conversation."""

KEYED = ("/v1/", "/api/v1/")
"""What only the owners of a key may use."""

ADMIN = "/v1/admin/"
"""What only the owners of an admin key may use."""

CALLS = "/v1/realtime/calls"
"""Opened by client secrets too, which browsers have: as with the WebSocket, its entrance checks."""


class Guard:
    """ASGI middleware. The WebSocket's key is the entrance's business, since only there a client can be told."""

    def __init__(self, app: ASGIApp, origins: OriginPolicy, keys: ApiKeys, admin: AdminKeys) -> None:
        self._app = app
        self._origins = origins
        self._keys = keys
        self._admin = admin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer 401 or 403."""
        if scope["type"] not in ("http", "websocket") or scope["path"] in OPEN_TO_ALL:
            await self._app(scope, receive, send)
            return
        try:
            self._check(scope)
        except ParleyError as error:
            if scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1008, "reason": ""})  # before accept: HTTP 403
            else:
                await error_response(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        refusal = self._origins.refusal(headers)
        if refusal is not None:
            raise Forbidden(refusal)
        path = scope["path"]
        if path.startswith(ADMIN):
            self._admin.check(bearer(headers.get("authorization")))
        elif scope["type"] == "http" and path.startswith(KEYED) and path != CALLS and not path.startswith(CALLS + "/"):
            self._keys.check(bearer(headers.get("authorization")))
