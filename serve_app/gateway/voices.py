"""`GET /v1/voices`: what replies can be spoken with, to be named as `session.audio.output.voice`."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from serve_app.gateway.audio.voice_desk import VoiceDesk
from serve_app.gateway.health import Describe

_DEADLINE_S = 2.0


def voices_route(describe: Describe, desk: VoiceDesk | None = None) -> Route:
    """The first voice is the engine's default; cloned ones come last."""

    async def voices(_: Request) -> Response:
        described = await describe(_DEADLINE_S)
        listed = [
            {
                "id": voice.id,
                "object": "voice",
                "language": voice.language,
                "description": voice.description,
                "aliases": list(voice.aliases),
            }
            for each in described.values()
            for voice in getattr(each, "voices", ())
        ]
        cloned = () if desk is None else await desk.list()
        listed += [
            {
                "id": record.id,
                "object": "voice",
                "language": record.language or None,
                "description": f"{record.name} (cloned)",
                "aliases": [],
            }
            for record in cloned
        ]
        return JSONResponse({"object": "list", "data": listed})

    return Route("/v1/voices", voices)
