"""A conversation passes from one recorder to the next, in one process or between two on the same database."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from configs.store import StoreConfig
from deployments.runtime import clock
from deployments.runtime.errors import NotFound
from serve_app.store import Store
from serve_app.store.recorder import ConversationRecorder

SETTINGS = {"model": "parley", "tools": []}
REST = {"item_id": "item_2", "text": "One two three.", "heard_chars": 4}
SILENT_S = 600.0


def message(item_id: str, text: str, role: str = "user") -> dict[str, Any]:
    content = [{"type": "input_text", "text": text}]
    return {"id": item_id, "type": "message", "role": role, "status": "completed", "content": content}


def begin(store: Store, digest: str = "d1") -> ConversationRecorder:
    recorder = store.recorder("conv_1")
    recorder.conversation_started(session_id="sess_1", model="parley", voice="en")
    recorder.resumable(token_digest=digest, settings=SETTINGS)
    recorder.item_put(message("item_1", "hello"))
    recorder.item_put(message("item_2", "One", "assistant"))
    return recorder


def leave(recorder: ConversationRecorder, within_s: float = 60) -> None:
    recorder.left_open(within_s=within_s, rest=REST)
    recorder.conversation_ended("the connection was lost")


def with_stores(path: Path, body: Callable[[Store, Store], Awaitable[None]]) -> None:
    """Two, as two replicas on one host have them."""

    async def main() -> None:
        config = StoreConfig(path=path / "parley.db", flush_ms=450)
        async with await Store.open(config) as one, await Store.open(config) as other:
            await body(one, other)

    asyncio.run(main())


def test_what_was_left_is_found_by_the_same_process_and_by_another(tmp_path: Path) -> None:
    async def body(one: Store, other: Store) -> None:
        leave(begin(one))
        assert (await one.claim("d1", SILENT_S)).handed_over
        _, left = await other.take_over("d1", SILENT_S)
        assert (left.conversation_id, left.session_id) == ("conv_1", "sess_1")
        assert (left.settings, left.rest) == (SETTINGS, REST)
        assert [item["id"] for item in left.items] == ["item_1", "item_2"]
        assert left.items[0]["content"] == [{"type": "input_text", "text": "hello"}]

    with_stores(tmp_path, body)


def test_a_token_opens_once_whoever_is_first(tmp_path: Path) -> None:
    async def body(one: Store, other: Store) -> None:
        leave(begin(one))
        await one.flush()
        results = await asyncio.gather(
            *(store.take_over("d1", SILENT_S) for store in (one, other, one, other)), return_exceptions=True
        )
        assert sum(isinstance(result, tuple) for result in results) == 1
        assert sum(isinstance(result, NotFound) for result in results) == 3
        with pytest.raises(NotFound, match="cannot be resumed"):
            await one.claim("d1", SILENT_S)

    with_stores(tmp_path, body)


def test_who_takes_over_goes_on_where_the_record_ends(tmp_path: Path) -> None:
    async def body(one: Store, other: Store) -> None:
        leave(begin(one))
        await one.flush()
        recorder, _ = await other.take_over("d1", SILENT_S)
        recorder.conversation_started(session_id="sess_1", model="parley", voice="en")
        recorder.resumable(token_digest="d2", settings=SETTINGS)
        recorder.item_put(message("item_3", "there"))
        recorder.item_put(message("item_2", "One two", "assistant"))
        told = await other.conversation("conv_1")
        assert [item["content"][0]["text"] for item in told["items"]["data"]] == ["hello", "One two", "there"]
        assert told["ended_at"] is None
        leave(recorder)
        assert (await other.claim("d2", SILENT_S)).handed_over, "and it can be left again, with the next token"

    with_stores(tmp_path, body)


def test_the_old_recorder_writes_no_more(tmp_path: Path) -> None:
    """Its process still believed in a connection that was dead."""

    async def body(one: Store, other: Store) -> None:
        old = begin(one)
        await one.flush()
        assert not (await other.claim("d1", SILENT_S)).handed_over
        assert await one.wanted() == ("conv_1",)
        recorder, left = await other.take_over("d1", SILENT_S)
        assert left.rest == {}
        recorder.item_put(message("item_3", "new"))
        await other.flush()
        old.item_put(message("item_9", "never heard"))
        old.conversation_ended("ping timeout")
        await one.flush()
        assert old.forgotten
        told = await other.conversation("conv_1")
        assert [item["id"] for item in told["items"]["data"]] == ["item_1", "item_2", "item_3"]
        assert told["ended_at"] is None

    with_stores(tmp_path, body)


def test_an_owner_learns_that_it_was_passed_over(tmp_path: Path) -> None:
    async def body(one: Store, other: Store) -> None:
        recorder = begin(one)
        await one.flush()
        assert await one.wanted() == ()
        await other.take_over("d1", SILENT_S)
        assert not recorder.ended
        assert await one.wanted() == ("conv_1",)
        assert await other.wanted() == ()

    with_stores(tmp_path, body)


def test_a_conversation_waits_only_so_long(tmp_path: Path) -> None:
    async def body(one: Store, other: Store) -> None:
        leave(begin(one), within_s=0.05)
        await one.flush()
        await asyncio.sleep(0.06)
        for attempt in (one.claim("d1", SILENT_S), other.take_over("d1", SILENT_S)):
            with pytest.raises(NotFound):
                await attempt

    with_stores(tmp_path, body)


def test_after_a_kill_the_last_sign_of_life_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(one: Store, other: Store) -> None:
        begin(one)
        await one.flush()
        real_s = clock.wall_s()
        monkeypatch.setattr("serve_app.store.store.wall_s", lambda: real_s + 599)
        assert not (await other.claim("d1", SILENT_S)).handed_over
        monkeypatch.setattr("serve_app.store.store.wall_s", lambda: real_s + 601)
        with pytest.raises(NotFound):
            await other.claim("d1", SILENT_S)

    with_stores(tmp_path, body)


def test_one_that_ended_for_good_or_was_deleted_is_not_resumed(tmp_path: Path) -> None:
    async def body(one: Store, other: Store) -> None:
        begin(one).conversation_ended("the client left")
        await one.flush()
        with pytest.raises(NotFound):
            await other.claim("d1", SILENT_S)
        await other.delete("conv_1")

    with_stores(tmp_path, body)


@pytest.mark.parametrize("running", [False, True])
def test_a_deletion_takes_the_token_with_it(tmp_path: Path, running: bool) -> None:
    async def body(one: Store, other: Store) -> None:
        recorder = begin(one)
        if not running:
            leave(recorder)
        await one.flush()
        await other.delete("conv_1")
        with pytest.raises(NotFound):
            await other.claim("d1", SILENT_S)
        if running:
            leave(recorder)
            await one.flush()
            with pytest.raises(NotFound):
                await other.claim("d1", SILENT_S)

    with_stores(tmp_path, body)
