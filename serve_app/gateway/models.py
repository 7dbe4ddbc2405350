"""`GET /v1/models`: what can be named as `model`, in OpenAI's shape."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deployments.runtime.errors import NotFound
from serve_app.gateway.health import Describe

REALTIME_MODEL = "parley"
"""The whole graph as one model. Stock clients may name any other, and get the same."""

_DEADLINE_S = 2.0


def model_routes(describe: Describe, created_s: float) -> list[Route]:
    """`created_s`: seconds since the epoch, of all models: when this server started."""

    async def listed() -> dict[str, dict[str, Any]]:
        described = await describe(_DEADLINE_S)
        names = [REALTIME_MODEL, *(name for each in described.values() for name in getattr(each, "models", ()))]
        return {
            name: {"id": name, "object": "model", "created": int(created_s), "owned_by": "parley"} for name in names
        }

    async def models(_: Request) -> Response:
        return JSONResponse({"object": "list", "data": list((await listed()).values())})

    async def one_model(request: Request) -> Response:
        name = request.path_params["name"]
        found = (await listed()).get(name)
        if found is None:
            raise NotFound(f"The model {name!r} does not exist.", "model_not_found", "model")
        return JSONResponse(found)

    return [Route("/v1/models", models), Route("/v1/models/{name:path}", one_model)]
