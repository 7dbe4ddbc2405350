"""The page at `/`: the routes that serve the plain files of `serve_app/web`."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FILES = Path(__file__).parents[1] / "web"
HEADERS = {
    # Everything the page needs comes from here; no script in the text of a page ever runs.
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'",
    "Permissions-Policy": "microphone=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # Ask each time whether a file has changed (by its ETag): a page must not run with half of an older version.
    "Cache-Control": "no-cache",
}


class _Files(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response


async def page(request: Request) -> Response:
    """`GET /`."""
    return FileResponse(FILES / "index.html", headers=HEADERS)


def routes() -> list[BaseRoute]:
    """`/` and what the page loads from `/web/`."""
    return [Route("/", page), Mount("/web", _Files(directory=FILES))]
