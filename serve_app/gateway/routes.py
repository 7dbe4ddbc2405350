"""Everything that the Gateway answers."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

import orjson
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from deployments.runtime.clock import wall_s
from deployments.runtime.errors import InvalidRequest, TooLarge
from serve_app.gateway.client_secrets import ClientSecrets
from serve_app.gateway.guard import Guard
from serve_app.gateway.http_errors import exception_handlers
from serve_app.gateway.keys import AdminKeys, ApiKeys
from serve_app.gateway.origins import OriginPolicy
from serve_app.gateway.realtime.entrance import Entrance
from serve_app.session.settings import SessionSettings

_MAX_BODY_BYTES = 2**20

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]


def build_asgi_app(
    entrance: Entrance,
    origins: OriginPolicy,
    routes: Sequence[BaseRoute],
    lifespan: Lifespan | None = None,
    admin: ApiKeys | None = None,
) -> Starlette:
    """The realtime endpoints and `routes`, behind the guard. `admin` are the keys to /v1/admin."""
    return Starlette(
        routes=[
            WebSocketRoute("/v1/realtime", entrance.serve),
            client_secret_route(entrance.secrets, entrance.defaults),
            *routes,
        ],
        middleware=[
            Middleware(
                Guard,
                origins=origins,
                keys=entrance.keys,
                admin=AdminKeys(admin or ApiKeys(), entrance.keys),
            )
        ],
        exception_handlers=exception_handlers(),
        lifespan=lifespan,
    )


def client_secret_route(secrets: ClientSecrets, defaults: Callable[[], SessionSettings]) -> Route:
    """`POST /v1/realtime/client_secrets`."""

    async def create(request: Request) -> Response:
        return JSONResponse(secrets.issue(await _json_body(request), defaults(), wall_s()))

    return Route("/v1/realtime/client_secrets", create, methods=["POST"])


async def _json_body(request: Request) -> object:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            raise TooLarge(f"The body may have {_MAX_BODY_BYTES} bytes.")
    try:
        return orjson.loads(body) if body else {}
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The body is not valid JSON: {error}.", "invalid_json") from error
