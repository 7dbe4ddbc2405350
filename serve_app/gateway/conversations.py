"""REST over the store: list, read and delete conversations.

GET    /v1/conversations              ?limit=1…100&after=ID&order=desc|asc    newest first
GET    /v1/conversations/{id}         with its usage and its first 100 items
GET    /v1/conversations/{id}/items   ?limit&after&order=asc|desc              in the conversation's order
DELETE /v1/conversations/{id}
"""

from typing import cast

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from deployments.runtime.errors import InvalidRequest
from serve_app.store import Store
from serve_app.store.reading import Order
from serve_app.store.store import MAX_PAGE


def conversation_routes(store: Store) -> list[Route]:
    """The routes; errors go through `http_errors.exception_handlers`."""

    async def conversations(request: Request) -> JSONResponse:
        page = await store.list_conversations(_limit(request), _after(request), _order(request, "desc"))
        return JSONResponse(page)

    # One route with both methods: with two, Starlette's 405 would name only the first one's.
    async def one_conversation(request: Request) -> JSONResponse:
        conversation_id = request.path_params["id"]
        if request.method == "DELETE":
            await store.delete(conversation_id)
            return JSONResponse({"id": conversation_id, "object": "conversation.deleted", "deleted": True})
        return JSONResponse(await store.conversation(conversation_id))

    async def items(request: Request) -> JSONResponse:
        page = await store.items(request.path_params["id"], _limit(request), _after(request), _order(request, "asc"))
        return JSONResponse(page)

    one = "/v1/conversations/{id}"
    return [
        Route("/v1/conversations", conversations, methods=["GET"]),
        Route(one, one_conversation, methods=["GET", "DELETE"]),
        Route(f"{one}/items", items, methods=["GET"]),
    ]


def _limit(request: Request) -> int:
    given = request.query_params.get("limit", "20")
    if not (given.isascii() and given.isdigit() and len(given) <= 3 and 1 <= int(given) <= MAX_PAGE):
        raise InvalidRequest(f"limit must be a number from 1 to {MAX_PAGE}.", param="limit")
    return int(given)


def _after(request: Request) -> str | None:
    return request.query_params.get("after") or None


def _order(request: Request, default: Order) -> Order:
    given = request.query_params.get("order", default)
    if given not in ("asc", "desc"):
        raise InvalidRequest("order must be asc or desc.", param="order")
    return cast("Order", given)
