"""A call is hung up whichever replica holds it: two servers on one store."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from configs.store import StoreConfig
from serve_app.gateway.webrtc import calls
from serve_app.session.closing import CLIENT_LEFT
from serve_app.store import Store
from tests.scripted_sessions import SessionMaker
from tests.webrtc_caller import Callee, Caller, until


def with_stores(path: Path, body: Callable[[Store, Store], Awaitable[None]]) -> None:
    async def main() -> None:
        config = StoreConfig(path=path / "parley.db", flush_ms=10)
        async with await Store.open(config) as one, await Store.open(config) as other, asyncio.timeout(55):
            await body(one, other)

    asyncio.run(main())


def test_another_replica_hangs_up(tmp_path: Path) -> None:
    async def body(one: Store, other: Store) -> None:
        make = SessionMaker()
        async with (
            Callee(make, book=one).serving() as here,
            Callee(SessionMaker(), book=other).serving() as there,
            Caller(here) as caller,
            httpx.AsyncClient() as http,
        ):
            await caller.call()
            await caller.event("session.created")
            began_s = asyncio.get_running_loop().time()
            answer = await http.delete(f"http://{there}{caller.location}")
            assert answer.status_code == 204
            assert asyncio.get_running_loop().time() - began_s < 2
            assert make.made[0].closing is CLIENT_LEFT
            for address in (here, there):
                again = await http.delete(f"http://{address}{caller.location}")
                assert (again.status_code, again.json()["error"]["param"]) == (404, "call_id")
            await until(lambda: caller.channel.readyState == "closed")

    with_stores(tmp_path, body)


def test_a_replica_that_was_killed_is_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "_HANG_UP_S", 0.3)

    async def body(one: Store, other: Store) -> None:
        await one.call_began("rtc_dead")
        async with Callee(SessionMaker(), book=other).serving() as there, httpx.AsyncClient() as http:
            answer = await http.delete(f"http://{there}/v1/realtime/calls/rtc_dead")
            assert answer.status_code == 404
            assert not await one.ask_to_end_call("rtc_dead")

    with_stores(tmp_path, body)


def test_the_store_tells_only_who_holds_a_call(tmp_path: Path) -> None:
    async def body(one: Store, other: Store) -> None:
        await one.call_began("rtc_1")
        await one.call_began("rtc_2")
        assert not await other.ask_to_end_call("rtc_3")
        assert await other.ask_to_end_call("rtc_1")
        assert await other.ask_to_end_call("rtc_1")
        assert await one.calls_to_end(("rtc_1", "rtc_2")) == ("rtc_1",)
        assert await other.calls_to_end(()) == ()
        await one.call_ended("rtc_1")
        assert not await other.ask_to_end_call("rtc_1")

    with_stores(tmp_path, body)
