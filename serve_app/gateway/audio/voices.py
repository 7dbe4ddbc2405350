"""Cloned voices over REST.

GET    /v1/audio/voices         newest first
POST   /v1/audio/voices         multipart: `audio_sample` (6 to 30 s), `name`, `consent`; maybe `language`, `text`
GET    /v1/audio/voices/{id}
DELETE /v1/audio/voices/{id}
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from configs.audio_api import VoicesApiConfig
from deployments.runtime.errors import InvalidRequest
from serve_app.gateway.audio.voice_desk import NewVoice, VoiceDesk
from serve_app.gateway.departure import gone, unless_it_leaves
from serve_app.gateway.places import Places
from serve_app.gateway.uploads import Form, read_form, required
from serve_app.session.validation import validated
from serve_app.store.voices import VoiceRecord

_AGREED = ("true", "yes", "1", "on")


class _Asked(BaseModel):
    """A request's fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
    consent: str = Field(default="", max_length=64)
    language: str = Field(default="", pattern="^([a-z]{2})?$")
    text: str = Field(default="", max_length=2000)
    type: str = Field(default="audio_sample", pattern="^audio_sample$")


def cloned_voice_routes(desk: VoiceDesk, config: VoicesApiConfig, places: Places) -> list[Route]:
    """The routes; errors go through `http_errors.exception_handlers`."""

    async def voices(request: Request) -> Response:
        if request.method == "POST":
            return await add(request)
        data = [voice_json(record) for record in await desk.list()]
        ends = {"first_id": data[0]["id"] if data else None, "last_id": data[-1]["id"] if data else None}
        return JSONResponse({"object": "list", "data": data, **ends, "has_more": False})

    async def add(request: Request) -> Response:
        try:
            with places.one():
                form = await read_form(
                    request, files=("audio_sample",), max_bytes=config.max_upload_bytes, within_s=config.upload_s
                )
                record = await unless_it_leaves(request.receive, desk.add(_new(form)))
        except ClientDisconnect:
            return gone()
        return JSONResponse(voice_json(record), 201)

    async def one_voice(request: Request) -> Response:
        voice = request.path_params["id"]
        if request.method == "DELETE":
            await desk.delete(voice)
            return JSONResponse({"id": voice, "object": "audio.voice.deleted", "deleted": True})
        return JSONResponse(voice_json(await desk.get(voice)))

    return [
        Route("/v1/audio/voices", voices, methods=["GET", "POST"]),
        Route("/v1/audio/voices/{id}", one_voice, methods=["GET", "DELETE"]),
    ]


def voice_json(record: VoiceRecord) -> dict[str, Any]:
    """As OpenAI has it, and more."""
    return {
        "id": record.id,
        "object": "audio.voice",
        "type": "audio_sample",
        "name": record.name,
        "language": record.language or None,
        "duration_ms": record.duration_ms,
        "created_at": record.created_at_ms // 1000,
    }


def _new(form: Form) -> NewVoice:
    asked = validated(_Asked, form.fields)
    if asked.consent.strip().lower() not in _AGREED:
        raise InvalidRequest(
            "Send consent=true: the person whose voice it is has agreed to its being cloned.",
            "consent_required",
            "consent",
        )
    return NewVoice(required(form, "audio_sample"), asked.name, asked.language, asked.text)
