"""Avatars over REST.

GET    /v1/avatars                 the stage's own, then the uploaded ones, newest first
POST   /v1/avatars                 multipart: `picture`; maybe `name`, `description` (JSON: where the face's parts are)
GET    /v1/avatars/{id}
GET    /v1/avatars/{id}/preview    a JPEG
DELETE /v1/avatars/{id}
"""

import base64
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from configs.clips import ClipsConfig
from deployments.avatar.contract import AvatarInfo
from deployments.runtime.errors import InvalidRequest
from serve_app.gateway.avatar_desk import AvatarDesk, NewAvatar
from serve_app.gateway.departure import gone, unless_it_leaves
from serve_app.gateway.places import Places
from serve_app.gateway.uploads import Form, read_form, required
from serve_app.store.avatars import AvatarRecord

_MAX_NAME_CHARS = 100
_AROUND_BYTES = 2**20
"""Of a form with a picture, beside the picture."""


def avatar_routes(desk: AvatarDesk, config: ClipsConfig, places: Places) -> list[Route]:
    """The routes; errors go through `http_errors.exception_handlers`."""

    async def avatars(request: Request) -> Response:
        if request.method == "POST":
            return await add(request)
        own, uploaded = await desk.list()
        data = [*map(_own_json, own), *map(_json, uploaded)]
        ends = {"first_id": data[0]["id"] if data else None, "last_id": data[-1]["id"] if data else None}
        return JSONResponse({"object": "list", "data": data, **ends, "has_more": False})

    async def add(request: Request) -> Response:
        try:
            with places.one():
                form = await read_form(
                    request,
                    files=("picture",),
                    max_bytes=config.max_picture_bytes + _AROUND_BYTES,
                    within_s=config.upload_s,
                )
                record, preview = await unless_it_leaves(request.receive, desk.add(_new(form)))
        except ClientDisconnect:
            return gone()
        shown = "data:image/jpeg;base64," + base64.b64encode(preview).decode()
        return JSONResponse({**_json(record), "description": record.description, "preview": shown}, 201)

    async def one_avatar(request: Request) -> Response:
        avatar = request.path_params["id"]
        if request.method == "DELETE":
            await desk.delete(avatar)
            return JSONResponse({"id": avatar, "object": "avatar.deleted", "deleted": True})
        found = await desk.get(avatar)
        if isinstance(found, AvatarInfo):
            return JSONResponse(_own_json(found))
        return JSONResponse({**_json(found), "description": found.description})

    async def preview(request: Request) -> Response:
        picture = await desk.preview(request.path_params["id"])
        headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-cache"}
        return Response(picture, media_type="image/jpeg", headers=headers)

    one = "/v1/avatars/{id}"
    return [
        Route("/v1/avatars", avatars, methods=["GET", "POST"]),
        Route(one, one_avatar, methods=["GET", "DELETE"]),
        Route(f"{one}/preview", preview, methods=["GET"]),
    ]


def _new(form: Form) -> NewAvatar:
    picture = required(form, "picture")
    unknown = sorted(form.fields.keys() - {"name", "description"})
    if unknown:
        raise InvalidRequest(f"Unknown parameter: '{unknown[0][:80]}'.", "unknown_parameter", unknown[0][:80])
    name = str(form.fields.get("name", "")).strip()
    if len(name) > _MAX_NAME_CHARS:
        raise InvalidRequest(f"name may have {_MAX_NAME_CHARS} characters.", param="name")
    return NewAvatar(picture, name or "Avatar", _description(form.fields.get("description", "")))


def _description(given: str) -> dict[str, Any]:
    try:
        description = orjson.loads(given) if given.strip() else {}
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"description is not valid JSON: {error}.", param="description") from error
    if not isinstance(description, dict):
        raise InvalidRequest("description must be a JSON object.", param="description")
    return description


def _own_json(info: AvatarInfo) -> dict[str, Any]:
    return {
        "id": info.id,
        "object": "avatar",
        "source": "server",
        "name": info.description or info.id,
        "width": info.width,
        "height": info.height,
        "created_at": None,
        "preview_url": f"/v1/avatars/{info.id}/preview",
    }


def _json(record: AvatarRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "object": "avatar",
        "source": "uploaded",
        "name": record.name,
        "width": record.width_px,
        "height": record.height_px,
        "created_at": record.created_at_ms // 1000,
        "preview_url": f"/v1/avatars/{record.id}/preview",
    }
