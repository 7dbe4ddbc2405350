"""Recording, reading and deleting over a real SQLite file."""

import asyncio
import contextlib
import itertools
import logging
import resource
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.runtime.errors import Conflict, InvalidRequest, NotFound, StoreUnavailable
from serve_app.store import Store, StoreConfig
from serve_app.store.recorder import ConversationRecorder

HOSTILE = [
    "",
    "..",
    "../etc/passwd",
    "a b",
    "é",
    "x" * 65,
    "conv_1\n",
    "\x00",
    "\ud800",
    "' OR 1=1 --",
    "%00",
    "conv_%",
]


def message(item_id: str, text: str = "hello", role: str = "user") -> dict[str, Any]:
    return {
        "id": item_id,
        "object": "realtime.item",
        "type": "message",
        "role": role,
        "status": "completed",
        "content": [{"type": "input_text", "text": text}],
    }


def start(store: Store, conversation_id: str = "conv_1") -> ConversationRecorder:
    recorder = store.recorder(conversation_id)
    recorder.conversation_started(session_id="sess_1", model="parley", voice="en", metadata={"topic": "weather"})
    return recorder


def with_store(path: Path, body: Callable[[Store], Awaitable[None]], **options: int) -> None:
    async def main() -> None:
        async with await Store.open(StoreConfig(path=path / "parley.db", **options)) as store:
            await body(store)

    asyncio.run(main())


def texts(page: dict[str, Any]) -> list[str]:
    return [item["content"][0]["text"] for item in page["data"]]


def test_a_conversation_reads_back_as_it_was_recorded(tmp_path: Path) -> None:
    call = {
        "id": "call",
        "type": "function_call",
        "status": "completed",
        "call_id": "c1",
        "name": "f",
        "arguments": "{}",
    }
    result = {"id": "result", "type": "function_call_output", "status": "completed", "call_id": "c1", "output": "42"}

    async def body(store: Store) -> None:
        recorder = start(store)
        recorder.item_put(message("hi", "what is six times seven"))
        recorder.item_put(call)
        recorder.item_put(result)
        recorder.item_put(message("answer", "it is forty-two", "assistant"))
        recorder.heard("answer", 640, "it is")
        recorder.usage("resp_1", input_tokens=10, output_tokens=20, input_audio_ms=1000, output_audio_ms=2000)
        recorder.usage("resp_2", input_tokens=1, output_tokens=2)
        recorder.conversation_ended("client closed")
        shown = await store.conversation("conv_1")
        dates = [shown.pop(name) for name in ("created_at", "updated_at", "ended_at")]
        assert all(isinstance(date, int) and date > 1_700_000_000 for date in dates)
        items = shown.pop("items")
        assert shown == {
            "id": "conv_1",
            "object": "conversation",
            "session_id": "sess_1",
            "model": "parley",
            "voice": "en",
            "end_reason": "client closed",
            "metadata": {"topic": "weather"},
            "usage": {
                "responses": 2,
                "input_tokens": 11,
                "output_tokens": 22,
                "input_audio_ms": 1000,
                "output_audio_ms": 2000,
            },
        }
        for item in items["data"]:
            assert item.pop("created_at") >= dates[0]
        assert items == {
            "object": "list",
            "data": [
                message("hi", "what is six times seven"),
                call | {"object": "realtime.item"},
                result | {"object": "realtime.item"},
                message("answer", "it is forty-two", "assistant") | {"heard_ms": 640, "heard_text": "it is"},
            ],
            "first_id": "hi",
            "last_id": "answer",
            "has_more": False,
        }

    with_store(tmp_path, body)


def test_it_is_written_without_anyone_asking(tmp_path: Path) -> None:
    async def body(store: Store) -> None:
        start(store).item_put(message("a"))
        async with asyncio.timeout(5):
            while store.pending:  # noqa: ASYNC110 (the point is that nobody tells)
                await asyncio.sleep(0)

    with_store(tmp_path, body, flush_ms=20)
    other = sqlite3.connect(tmp_path / "parley.db")
    assert other.execute("SELECT id FROM item").fetchall() == [("a",)]
    other.close()


def test_it_survives_a_restart(tmp_path: Path) -> None:
    async def first(store: Store) -> None:
        start(store).item_put(message("a", "kept"))

    async def second(store: Store) -> None:
        assert texts(await store.items("conv_1")) == ["kept"]

    with_store(tmp_path, first)
    with_store(tmp_path, second)


_OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["put", "insert", "delete", "heard", "flush", "fail"]),
        st.integers(0, 7),
        st.sampled_from([None, "", *range(8)]),
    ),
    max_size=40,
)

_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared")


@given(operations=_OPERATIONS)
@settings(max_examples=25, deadline=None)
def test_whatever_happens_the_file_ends_up_like_the_history(
    shared_folder: Path, operations: list[tuple[str, int, int | str | None]]
) -> None:
    """Against a plain list, with writes that fail at any point because another process holds the lock."""
    history: list[dict[str, Any]] = []

    def index_of(item_id: str) -> int | None:
        return next((index for index, item in enumerate(history) if item["id"] == item_id), None)

    def put(recorder: ConversationRecorder, item_id: str, text: str, previous: str | None) -> None:
        recorder.item_put(message(item_id, text), previous)
        at, before = index_of(item_id), None if previous is None else index_of(previous)
        if at is not None:
            history[at]["text"] = text
        else:
            place = 0 if previous is None else len(history) if before is None else before + 1
            history.insert(place, {"id": item_id, "text": text, "heard_ms": None})

    async def main(folder: Path) -> None:
        config = StoreConfig(path=folder / "parley.db", busy_timeout_ms=1)
        lock = sqlite3.connect(folder / "parley.db", isolation_level=None)
        async with await Store.open(config) as store, contextlib.AsyncExitStack() as stack:
            stack.callback(lock.close)
            recorder = start(store, f"conv_{next(_NUMBERS)}")
            for step, (operation, number, previous) in enumerate(operations):
                item_id = f"item_{number}"
                if operation in ("put", "insert"):
                    before = f"item_{previous}" if isinstance(previous, int) else previous
                    put(recorder, item_id, f"text {step}", before if operation == "insert" else "")
                elif operation == "delete":
                    recorder.item_deleted(item_id)
                    history[:] = [item for item in history if item["id"] != item_id]
                elif operation == "heard":
                    recorder.heard(item_id, step, "words")
                    if (at := index_of(item_id)) is not None:
                        history[at]["heard_ms"] = step
                elif operation == "flush":
                    assert await store.flush()
                else:
                    lock.execute("BEGIN IMMEDIATE")
                    assert await store.flush() or store.pending
                    lock.execute("ROLLBACK")
            assert await store.flush()
            page = await store.items(recorder.id, limit=100)
            shown = [
                {"id": one["id"], "text": one["content"][0]["text"], "heard_ms": one.get("heard_ms")}
                for one in page["data"]
            ]
            assert shown == history

    asyncio.run(main(shared_folder))


def test_pages_of_conversations(tmp_path: Path) -> None:
    async def body(store: Store) -> None:
        for number in range(5):
            start(store, f"conv_{number}")
        everything = [one["id"] for one in (await store.list_conversations())["data"]]
        assert sorted(everything) == [f"conv_{number}" for number in range(5)]
        first = await store.list_conversations(limit=2)
        assert (first["first_id"], first["last_id"], first["has_more"]) == (everything[0], everything[1], True)
        second = await store.list_conversations(limit=2, after=first["last_id"])
        third = await store.list_conversations(limit=2, after=second["last_id"])
        pages = [one["id"] for page in (first, second, third) for one in page["data"]]
        assert pages == everything
        assert not third["has_more"]
        upwards = await store.list_conversations(order="asc")
        assert [one["id"] for one in upwards["data"]] == everything[::-1]
        after_last = await store.list_conversations(after=everything[-1])
        assert after_last == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}

    with_store(tmp_path, body)


def test_pages_of_items(tmp_path: Path) -> None:
    async def body(store: Store) -> None:
        recorder = start(store)
        for number in range(250):
            recorder.item_put(message(f"item_{number}", str(number)))
        shown = await store.conversation("conv_1")
        assert (len(shown["items"]["data"]), shown["items"]["has_more"]) == (100, True)
        rest = await store.items("conv_1", limit=100, after=shown["items"]["last_id"])
        last = await store.items("conv_1", limit=100, after=rest["last_id"])
        everything = texts(shown["items"]) + texts(rest) + texts(last)
        assert everything == [str(number) for number in range(250)]
        assert texts(await store.items("conv_1", limit=2, order="desc")) == ["249", "248"]

    with_store(tmp_path, body)


def test_an_unknown_after_is_refused(tmp_path: Path) -> None:
    async def body(store: Store) -> None:
        start(store)
        for after in [*HOSTILE, "conv_2"]:
            with pytest.raises(InvalidRequest) as caught:
                await store.list_conversations(after=after)
            assert caught.value.param == "after"
            with pytest.raises(InvalidRequest):
                await store.items("conv_1", after=after)

    with_store(tmp_path, body)


def test_hostile_ids_are_not_found(tmp_path: Path) -> None:
    async def body(store: Store) -> None:
        start(store)
        for hostile in [*HOSTILE, "conv_2"]:
            for call in (store.conversation, store.items, store.delete):
                with pytest.raises(NotFound):
                    await call(hostile)
        for hostile in HOSTILE:
            with pytest.raises(ValueError, match="not an id"):
                store.recorder(hostile)
        assert len((await store.list_conversations())["data"]) == 1

    with_store(tmp_path, body)


def test_items_may_have_any_id_and_text(tmp_path: Path) -> None:
    names = ["'; DROP TABLE item; --", "日本語 🙂", "nul \x00 in it", "half a pair \ud83d", "x" * 10_000]

    async def body(store: Store) -> None:
        recorders = [start(store, "conv_1"), start(store, "conv_2")]
        for recorder in recorders:
            for name in names:
                recorder.item_put(message(name, name))
        stored = [name.replace("\x00", "\ufffd").replace("\ud83d", "\ufffd") for name in names]
        for recorder in recorders:
            page = await store.items(recorder.id)
            assert [one["id"] for one in page["data"]] == stored
            assert texts(page) == stored
            assert texts(await store.items(recorder.id, after=names[3])) == stored[4:]
        for name in names:
            recorders[0].item_deleted(name)
        assert (await store.items("conv_1"))["data"] == []
        assert len((await store.items("conv_2"))["data"]) == len(names)
        assert store.stats.rows_lost == 0

    with_store(tmp_path, body)


def test_a_value_that_no_database_takes_costs_only_its_conversation(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def body(store: Store) -> None:
        bad, good = start(store, "conv_bad"), start(store, "conv_good")
        for recorder in (bad, good):
            recorder.item_put(message("a"))
        bad.heard("a", 2**70, "hello")
        assert texts(await store.items("conv_good")) == ["hello"]
        assert store.stats.rows_lost == 3
        bad.item_put(message("b", "later"))
        assert texts(await store.items("conv_bad")) == ["later"]

    with caplog.at_level(logging.ERROR):
        with_store(tmp_path, body)
    assert "conv_bad: 3 rows cannot be stored" in caplog.text
    assert "hello" not in caplog.text


def test_deleting_takes_everything_along(tmp_path: Path) -> None:
    async def first(store: Store) -> None:
        recorder = start(store)
        recorder.item_put(message("a", "a secret word"))
        recorder.usage("resp_1", input_tokens=1, output_tokens=1)
        recorder.conversation_ended("client closed")

    async def second(store: Store) -> None:
        await store.delete("conv_1")
        with pytest.raises(NotFound):
            await store.conversation("conv_1")
        with pytest.raises(NotFound):
            await store.delete("conv_1")

    with_store(tmp_path, first)
    assert b"a secret word" in (tmp_path / "parley.db").read_bytes()
    with_store(tmp_path, second)
    assert b"a secret word" not in (tmp_path / "parley.db").read_bytes()
    connection = sqlite3.connect(tmp_path / "parley.db")
    counts = [
        connection.execute(f"SELECT count(*) FROM {table}").fetchone() for table in ("conversation", "item", "usage")
    ]
    connection.close()
    assert counts == [(0,), (0,), (0,)]


@pytest.mark.parametrize("flushed", [True, False])
def test_a_running_conversation_that_is_deleted_stays_deleted(tmp_path: Path, flushed: bool) -> None:
    async def body(store: Store) -> None:
        recorder = start(store)
        recorder.item_put(message("a"))
        if flushed:
            await store.flush()
        await store.delete("conv_1")
        recorder.item_put(message("b"))
        recorder.heard("a", 100, "hel")
        recorder.conversation_ended("client closed")
        await store.flush()
        with pytest.raises(NotFound):
            await store.conversation("conv_1")
        with pytest.raises(NotFound):
            await store.delete("conv_1")
        assert store.pending == 0

    with_store(tmp_path, body)


def test_a_deletion_during_a_flush_wins(tmp_path: Path) -> None:
    async def body(store: Store) -> None:
        for number in range(20):
            recorder = start(store, f"conv_{number}")
            recorder.item_put(message("a"))
            flushing = asyncio.create_task(store.flush())
            for _ in range(number):
                await asyncio.sleep(0)
            await store.delete(recorder.id)
            await flushing
            recorder.item_put(message("b"))
        assert (await store.list_conversations())["data"] == []

    with_store(tmp_path, body)


def test_a_conversation_that_runs_in_another_replica_stays_deleted(tmp_path: Path) -> None:
    async def body(running: Store) -> None:
        recorder = start(running)
        recorder.item_put(message("a"))
        await running.flush()
        async with await Store.open(StoreConfig(path=tmp_path / "parley.db")) as other:
            await other.delete("conv_1")
            recorder.item_put(message("b"))
            await running.flush()
            recorder.item_put(message("c"))
            await running.flush()
            for store in (running, other):
                assert (await store.list_conversations())["data"] == []
                with pytest.raises(NotFound):
                    await store.items("conv_1")
            with pytest.raises(NotFound):
                await other.delete("conv_1")

    with_store(tmp_path, body)
    connection = sqlite3.connect(tmp_path / "parley.db")
    with connection:
        assert connection.execute("SELECT session_id, metadata FROM conversation").fetchall() == [("", "{}")]
        connection.execute("UPDATE conversation SET deleted_at_ms = deleted_at_ms - 8 * 24 * 3600 * 1000")

    async def nothing(_store: Store) -> None:
        return

    with_store(tmp_path, nothing)
    assert connection.execute("SELECT count(*) FROM conversation").fetchone() == (0,)
    connection.close()


def test_two_recorders_of_one_conversation_are_refused(tmp_path: Path) -> None:
    async def body(store: Store) -> None:
        recorder = start(store)
        with pytest.raises(Conflict):
            store.recorder(recorder.id)

    with_store(tmp_path, body)


def test_a_conversation_goes_on_while_the_disk_fails(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def body(store: Store) -> None:
        recorder = start(store)
        recorder.item_put(message("a", "before"))
        assert await store.flush()
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
        try:
            for number in range(200):
                recorder.item_put(message(f"item_{number}", "x" * 1000))
            assert not await store.flush()
            assert not await store.flush()
            # Reading goes on, with what was written before.
            assert texts(await store.items("conv_1")) == ["before"]
            with pytest.raises(StoreUnavailable) as caught:
                await store.delete("conv_1")
            assert caught.value.retryable
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert store.pending == 201
        assert await store.flush()
        assert len((await store.items("conv_1", limit=100))["data"]) == 100
        assert (store.stats.failures, store.stats.rows_lost, store.pending) == (2, 0, 0)

    with caplog.at_level(logging.WARNING):
        with_store(tmp_path, body, flush_ms=450)
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_closing_gives_up_on_a_database_that_stays_locked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def body(store: Store) -> None:
        recorder = start(store)
        await store.flush()
        lock = sqlite3.connect(tmp_path / "parley.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        recorder.item_put(message("a"))
        async with asyncio.timeout(2):
            await store.close()
        lock.close()
        assert store.stats.rows_lost == 2

    with caplog.at_level(logging.ERROR):
        with_store(tmp_path, body, busy_timeout_ms=5000, close_deadline_ms=300)
    assert "closing with 2 rows not written" in caplog.text


def test_a_reader_that_gives_up_leaves_nothing_behind(tmp_path: Path) -> None:
    async def body(store: Store) -> None:
        recorder = start(store)
        for number in range(100):
            recorder.item_put(message(f"item_{number}"))
        await store.flush()
        for patience in range(30):
            reading = asyncio.create_task(store.conversation("conv_1"))
            for _ in range(patience):
                await asyncio.sleep(0)
            reading.cancel()
            await asyncio.wait([reading])
        assert len((await store.conversation("conv_1"))["items"]["data"]) == 100

    with_store(tmp_path, body)


def test_a_deletion_that_is_given_up_is_whole(tmp_path: Path) -> None:
    async def body(store: Store) -> None:
        for patience in range(30):
            recorder = start(store, f"conv_{patience}")
            recorder.item_put(message("item_1"))
            await store.flush()
            deleting = asyncio.create_task(store.delete(f"conv_{patience}"))
            for _ in range(1 + patience):
                await asyncio.sleep(0)
            deleting.cancel()
            await asyncio.wait([deleting])
        # The lock is free again only after the last of them.
        await store.flush()
        assert (await store.list_conversations())["data"] == []

    with_store(tmp_path, body)
