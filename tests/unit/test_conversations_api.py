"""The REST endpoints over a real SQLite file, and the one shape of every error."""

import asyncio
import json
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai.types.conversations import Conversation, ConversationDeletedResource
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deployments.runtime import errors
from serve_app.gateway.conversations import conversation_routes
from serve_app.gateway.http_errors import exception_handlers
from serve_app.store import Store, StoreConfig

Body = Callable[[httpx.AsyncClient, Store], Awaitable[None]]


def message(item_id: str, text: str = "hello") -> dict[str, Any]:
    content = [{"type": "input_audio", "transcript": text, "audio": "AAAA"}]
    return {"id": item_id, "type": "message", "role": "user", "status": "completed", "content": content}


def with_client(path: Path, body: Body, routes: list[Route] | None = None) -> None:
    async def main() -> None:
        config = StoreConfig(path=path / "parley.db", busy_timeout_ms=10)
        async with await Store.open(config) as store:
            app = Starlette(
                routes=[*conversation_routes(store), *(routes or [])], exception_handlers=exception_handlers()
            )
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://parley") as client:
                await body(client, store)

    asyncio.run(main())


def error_of(response: httpx.Response, status: int) -> dict[str, Any]:
    """The error object, after checking the shape that every error has."""
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert set(body) == {"error"}
    error: dict[str, Any] = body["error"]
    assert set(error) == {"message", "type", "code", "param"}
    assert error["message"]
    return error


def test_list_read_and_delete(tmp_path: Path) -> None:
    async def body(client: httpx.AsyncClient, store: Store) -> None:
        empty = (await client.get("/v1/conversations")).json()
        assert empty == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
        recorder = store.recorder("conv_1")
        recorder.conversation_started(session_id="sess_1", model="parley", voice="en", metadata={"topic": "weather"})
        for number in range(3):
            recorder.item_put(message(f"item_{number}", f"text {number}"))

        listed = (await client.get("/v1/conversations")).json()
        assert [one["id"] for one in listed["data"]] == ["conv_1"]
        assert "items" not in listed["data"][0]

        shown = (await client.get("/v1/conversations/conv_1")).json()
        assert Conversation.model_validate(shown).metadata == {"topic": "weather"}
        assert shown["items"]["data"][2]["content"] == [{"type": "input_audio", "transcript": "text 2"}]

        page = (await client.get("/v1/conversations/conv_1/items?limit=1&after=item_0")).json()
        assert ([one["id"] for one in page["data"]], page["has_more"]) == (["item_1"], True)
        backwards = (await client.get("/v1/conversations/conv_1/items?order=desc")).json()
        assert [one["id"] for one in backwards["data"]] == ["item_2", "item_1", "item_0"]

        deleted = (await client.delete("/v1/conversations/conv_1")).json()
        assert ConversationDeletedResource.model_validate(deleted).deleted
        recorder.item_put(message("item_3"))
        for method, path in (("GET", ""), ("GET", "/items"), ("DELETE", "")):
            error = error_of(await client.request(method, f"/v1/conversations/conv_1{path}"), 404)
            assert error == {
                "message": "No conversation with id 'conv_1'.",
                "type": "invalid_request_error",
                "code": "not_found",
                "param": "conversation_id",
            }

    with_client(tmp_path, body)


def test_wrong_queries_name_the_parameter(tmp_path: Path) -> None:
    queries = {
        "limit": ["limit=0", "limit=101", "limit=-1", "limit=1.5", "limit=", "limit=%C2%B2", "limit=9999999999"],
        "order": ["order=up", "order=DESC", "order="],
        "after": ["after=conv_2", "after=%00", "after=%ED%A0%80", "after=" + "x" * 5000],
    }

    async def body(client: httpx.AsyncClient, store: Store) -> None:
        store.recorder("conv_1").conversation_started(session_id="s", model="m", voice="v")
        for path in ("/v1/conversations", "/v1/conversations/conv_1/items"):
            for parameter, wrong in queries.items():
                for query in wrong:
                    error = error_of(await client.get(f"{path}?{query}"), 400)
                    assert (error["param"], error["type"]) == (parameter, "invalid_request_error")
                    assert len(error["message"]) < 200
            assert (await client.get(f"{path}?limit=100&order=asc&unknown=1")).status_code == 200

    with_client(tmp_path, body)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_hostile_ids_are_not_found(tmp_path: Path, method: str) -> None:
    hostile = ["%00", "%2e%2e", "a%20b", "%F0%9F%98%80", "%ED%A0%80", "'%20OR%201=1--", "x" * 3000, "%25", "conv_1%0A"]

    async def body(client: httpx.AsyncClient, store: Store) -> None:
        store.recorder("conv_1").conversation_started(session_id="s", model="m", voice="v")
        for name in hostile:
            error = error_of(await client.request(method, f"/v1/conversations/{name}"), 404)
            assert len(error["message"]) < 200
        assert len((await client.get("/v1/conversations")).json()["data"]) == 1

    with_client(tmp_path, body)


def test_unknown_addresses_and_methods_have_the_same_shape(tmp_path: Path) -> None:
    async def body(client: httpx.AsyncClient, store: Store) -> None:
        error = error_of(await client.get("/v1/nothing"), 404)
        assert (error["code"], error["type"]) == ("not_found", "invalid_request_error")
        response = await client.put("/v1/conversations/conv_1", json={})
        error = error_of(response, 405)
        assert (error["code"], error["message"]) == ("method_not_allowed", "This address does not take PUT.")
        assert set(response.headers["allow"].split(", ")) == {"DELETE", "GET", "HEAD"}

    with_client(tmp_path, body)


def test_every_error_of_ours_has_the_one_shape(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.ParleyError) and kind is not errors.ParleyError
    ]

    async def fails(request: Request) -> Response:
        kind: type[errors.ParleyError] = getattr(errors, request.path_params["kind"])
        raise kind("What to do about it.", param="model")

    async def body(client: httpx.AsyncClient, store: Store) -> None:
        for kind in kinds:
            response = await client.get(f"/fails/{kind.__name__}")
            assert error_of(response, kind.http_status) == {
                "message": "What to do about it.",
                "type": kind.realtime_type,
                "code": kind.default_code,
                "param": "model",
            }
            assert response.headers.get("retry-after") == ("1" if kind.retryable else None)

    with caplog.at_level(logging.ERROR):
        with_client(tmp_path, body, [Route("/fails/{kind}", fails)])
    assert len(kinds) >= 15
    logged = {record.getMessage().split(": ")[1] for record in caplog.records}
    assert logged == {kind.__name__ for kind in kinds if kind.http_status >= 500}


def test_a_bug_tells_the_client_nothing(tmp_path: Path) -> None:
    async def fails(_request: Request) -> Response:
        raise ZeroDivisionError("secret detail of the inside")

    async def body(client: httpx.AsyncClient, store: Store) -> None:
        response = await client.get("/bug")
        error = error_of(response, 500)
        assert (error["type"], error["code"], error["param"]) == ("server_error", "server_error", None)
        assert "secret" not in response.text
        assert "ZeroDivision" not in response.text

    with_client(tmp_path, body, [Route("/bug", fails)])


def test_a_locked_database_asks_the_client_to_come_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def body(client: httpx.AsyncClient, store: Store) -> None:
        store.recorder("conv_1").conversation_started(session_id="s", model="m", voice="v")
        await store.flush()
        other = sqlite3.connect(tmp_path / "parley.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        response = await client.delete("/v1/conversations/conv_1")
        error = error_of(response, 503)
        assert (error["code"], response.headers["retry-after"]) == ("store_unavailable", "1")
        assert str(tmp_path) not in json.dumps(error)
        assert (await client.get("/v1/conversations/conv_1")).status_code == 200
        other.close()
        assert (await client.delete("/v1/conversations/conv_1")).status_code == 200

    with caplog.at_level(logging.ERROR):
        with_client(tmp_path, body)
    assert "StoreUnavailable" in caplog.text
