"""Everything that the Gateway answers."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from deployments.runtime.clock import wall_s
from serve_app.gateway.client_secrets import ClientSecrets
from serve_app.gateway.guard import Guard
from serve_app.gateway.http_errors import exception_handlers
from serve_app.gateway.json_body import json_body
from serve_app.gateway.keys import AdminKeys, ApiKeys
from serve_app.gateway.origins import OriginPolicy
from serve_app.gateway.realtime.entrance import Entrance
from serve_app.session.settings import SessionSettings

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
        return JSONResponse(secrets.issue(await json_body(request), defaults(), wall_s()))

    return Route("/v1/realtime/client_secrets", create, methods=["POST"])
