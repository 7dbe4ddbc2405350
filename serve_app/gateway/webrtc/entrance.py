"""`POST /v1/realtime/calls` and what hangs a call up again, as in OpenAI's Realtime API.

`GET /v1/realtime/calls/ice_servers` is ours: the STUN and TURN servers that a client may need to get through.
"""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deployments.runtime.errors import InvalidRequest
from serve_app.gateway.guard import CALLS
from serve_app.gateway.keys import bearer
from serve_app.gateway.realtime.entrance import Entrance
from serve_app.gateway.webrtc.calls import Calls, Wish
from serve_app.gateway.webrtc.form import read_fields
from serve_app.gateway.webrtc.offer import read_offer

_SDP = "application/sdp"


def call_routes(entrance: Entrance, calls: Calls) -> list[Route]:
    """Who comes in is checked by `entrance`, as for the WebSocket."""

    async def create(request: Request) -> Response:
        asked = request.query_params
        settings = entrance.admit(_key(request), asked.get("model"), asked.get("avatar"), asked.get("assistant"))
        if "resume" in request.query_params:
            # A token opens once. Spent on a call that then does not connect, it would take the conversation with it.
            raise InvalidRequest("A conversation is resumed over the WebSocket.", param="resume")
        fields = await read_fields(request)
        session = _session(fields)
        if session.get("assistant") not in (None, settings.assistant):
            raise InvalidRequest("Name the assistant in the address: ?assistant=…", param="session.assistant")
        offer = read_offer(fields.get("sdp", ""))
        if offer.video is not None and entrance.faces is not None and settings.speaks:
            # A client that offers to take a picture has asked for one.
            session = {"output_modalities": ["audio", "video"], **session}
        settings = entrance.possible(settings.updated(session))
        await entrance.check_avatar(settings)
        wish = Wish(settings, asked.get("parley_events") == "1")
        call_id, answer = await calls.take(offer, wish)
        return Response(answer, 201, {"Location": f"{CALLS}/{call_id}"}, media_type=_SDP)

    async def ice_servers(request: Request) -> Response:
        entrance.admit(_key(request))
        servers = {"object": "list", "data": calls.ice_servers_for_clients}
        return JSONResponse(servers, headers={"Cache-Control": "no-store"})

    async def delete(request: Request) -> Response:
        entrance.admit(_key(request))
        await calls.hang_up(request.path_params["call_id"])
        return Response(status_code=204)

    async def hang_up(request: Request) -> Response:
        await delete(request)
        return Response(status_code=200)

    return [
        Route(CALLS, create, methods=["POST"]),
        Route(CALLS + "/ice_servers", ice_servers, methods=["GET"]),
        Route(CALLS + "/{call_id}", delete, methods=["DELETE"]),
        Route(CALLS + "/{call_id}/hangup", hang_up, methods=["POST"]),
    ]


def _key(request: Request) -> str | None:
    return bearer(request.headers.get("authorization"))


def _session(fields: dict[str, str]) -> dict[str, Any]:
    if "session" not in fields:
        return {}
    try:
        session = orjson.loads(fields["session"])
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"session is not valid JSON: {error}.", "invalid_json", "session") from error
    if not isinstance(session, dict):
        raise InvalidRequest("session must be a JSON object.", param="session")
    return session
