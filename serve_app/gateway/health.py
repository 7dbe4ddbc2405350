"""`GET /livez`: this process answers. `GET /readyz`: every deployment does, with its engine, or why not."""

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from deployments.runtime.stage import StageDescription

Describe = Callable[[float], Awaitable[Mapping[str, StageDescription]]]
"""Asks all stages, within so many seconds; by deployment name."""

_DEADLINE_S = 2.0


def health_routes(describe: Describe) -> list[Route]:
    """Open to all, since probes carry no key."""

    async def livez(_: Request) -> Response:
        return PlainTextResponse("ok")

    async def readyz(_: Request) -> Response:
        described = await describe(_DEADLINE_S)
        deployments = {
            # The Gateway's own line is true by answering.
            "Gateway": {"ready": True, "engine": None, "problem": None},
            **{
                name: {"ready": each.ready, "engine": each.engine or None, "problem": each.problem or None}
                for name, each in described.items()
            },
        }
        ready = all(each.ready for each in described.values())
        return JSONResponse({"ready": ready, "deployments": deployments}, 200 if ready else 503)

    return [Route("/livez", livez), Route("/readyz", readyz)]
