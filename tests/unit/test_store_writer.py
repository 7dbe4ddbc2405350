"""The task that writes, on a virtual clock: the database is a list that can be told to fail."""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from deployments.runtime.clock import now_s
from deployments.runtime.errors import StoreUnavailable
from serve_app.store import StoreConfig
from serve_app.store.recorder import Changes, ConversationRecorder
from serve_app.store.writer import BATCH, Unwritable, Writer
from tests.virtual_time import run_virtual


def message(item_id: str, text: str = "hello") -> dict[str, Any]:
    return {"id": item_id, "type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


class Disk:
    """Takes batches; `failing` refuses them all, `poison` refuses batches with that conversation."""

    def __init__(self) -> None:
        self.batches: list[tuple[float, list[Changes]]] = []
        self.attempts_s: list[float] = []
        self.failing = False
        self.poison = ""
        self.gone: frozenset[str] = frozenset()
        self.takes_s = 0.0

    async def write(self, batch: Sequence[Changes]) -> frozenset[str]:
        self.attempts_s.append(now_s())
        await asyncio.sleep(self.takes_s)
        if self.failing:
            raise StoreUnavailable("disk I/O error")
        if any(changes.conversation["id"] == self.poison for changes in batch):
            raise Unwritable("value out of range")
        self.batches.append((now_s(), list(batch)))
        return self.gone & {changes.conversation["id"] for changes in batch}

    @property
    def texts(self) -> dict[str, str]:
        """The state after all batches."""
        rows = [pair for _, batch in self.batches for changes in batch for pair in changes.items.items()]
        return {key: row["body"]["content"][0]["text"] for key, row in rows}


def with_writer(body: Callable[[Disk, Writer], Awaitable[None]], close: bool = True, **options: int) -> None:
    async def main() -> None:
        disk = Disk()
        writer = Writer(StoreConfig(path=Path("/unused.db"), **options), disk.write)
        try:
            await body(disk, writer)
        finally:
            if close:
                await writer.close()

    run_virtual(main())


def test_a_moving_conversation_is_written_at_least_every_500_ms() -> None:
    async def body(disk: Disk, writer: Writer) -> None:
        disk.takes_s = 0.05
        recorder = ConversationRecorder("c", writer.changed, "owner")
        for words in range(500):
            recorder.item_put(message("item", str(words)))
            await asyncio.sleep(0.01)
        at_s = [0.0, *(time_s for time_s, _ in disk.batches)]
        assert max(late - early for early, late in itertools.pairwise(at_s)) <= 0.5
        assert len(disk.batches) <= 13
        assert all(changes.count == 2 for _, batch in disk.batches for changes in batch)

    with_writer(body)


def test_an_idle_conversation_is_not_written_again() -> None:
    async def body(disk: Disk, writer: Writer) -> None:
        ConversationRecorder("c", writer.changed, "owner").item_put(message("item"))
        await asyncio.sleep(60)
        assert len(disk.attempts_s) == 1

    with_writer(body)


def test_a_failing_disk_loses_nothing_and_is_asked_ever_less_often(caplog: pytest.LogCaptureFixture) -> None:
    async def body(disk: Disk, writer: Writer) -> None:
        disk.failing = True
        recorder = ConversationRecorder("c", writer.changed, "owner")
        for number in range(100):
            recorder.item_put(message(f"item_{number}", "old"))
            await asyncio.sleep(1)
        recorder.item_put(message("item_5", "new"))
        pauses_s = [late - early for early, late in itertools.pairwise(disk.attempts_s)]
        assert pauses_s == pytest.approx([0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30])
        assert writer.failing
        assert writer.stats.failures == 9
        assert writer.pending == 101
        disk.failing = False
        await asyncio.sleep(30)
        assert not writer.failing
        assert disk.texts == {f"item_{n}": "new" if n == 5 else "old" for n in range(100)}

    with caplog.at_level(logging.WARNING):
        with_writer(body)
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_a_value_that_is_refused_costs_only_its_own_conversation(caplog: pytest.LogCaptureFixture) -> None:
    async def body(disk: Disk, writer: Writer) -> None:
        disk.poison = "bad"
        for conversation_id in ("a", "bad", "b"):
            ConversationRecorder(conversation_id, writer.changed, "owner").item_put(message(f"item_{conversation_id}"))
        assert await writer.flush()
        assert set(disk.texts) == {"item_a", "item_b"}
        assert writer.stats.rows_lost == 2
        assert writer.pending == 0

    with caplog.at_level(logging.ERROR):
        with_writer(body)
    assert "conversation bad: 2 rows cannot be stored" in caplog.text


def test_the_buffer_is_bounded_while_the_disk_fails(caplog: pytest.LogCaptureFixture) -> None:
    async def body(disk: Disk, writer: Writer) -> None:
        disk.failing = True
        recorders = [ConversationRecorder(f"c{number}", writer.changed, "owner") for number in range(20)]
        for recorder in recorders:
            for number in range(10):
                recorder.item_put(message(f"{recorder.id}_{number}"))
        for recorder in recorders[10:]:
            recorder.conversation_ended("client closed")
        await writer.flush()
        assert (writer.pending, writer.stats.rows_lost) == (110, 110)
        assert {recorder.id for recorder in recorders if recorder.pending} == {f"c{n}" for n in range(10)}
        disk.failing = False

    with caplog.at_level(logging.ERROR):
        with_writer(body, buffer_rows=110)


def test_many_conversations_are_written_in_several_transactions() -> None:
    async def body(disk: Disk, writer: Writer) -> None:
        for number in range(2 * BATCH + 1):
            ConversationRecorder(f"c{number}", writer.changed, "owner").item_put(message(f"item_{number}"))
        assert await writer.flush()
        assert [len(batch) for _, batch in disk.batches] == [BATCH, BATCH, 1]

    with_writer(body)


def test_a_conversation_deleted_elsewhere_is_forgotten() -> None:
    async def body(disk: Disk, writer: Writer) -> None:
        disk.gone = frozenset({"c"})
        recorder = ConversationRecorder("c", writer.changed, "owner")
        recorder.item_put(message("a"))
        await writer.flush()
        recorder.item_put(message("b"))
        assert recorder.forgotten
        assert writer.pending == 0

    with_writer(body)


def test_changes_made_during_a_write_go_with_the_next() -> None:
    async def body(disk: Disk, writer: Writer) -> None:
        disk.takes_s = 0.2
        recorder = ConversationRecorder("c", writer.changed, "owner")
        recorder.item_put(message("a", "one"))
        await asyncio.sleep(0.5)
        recorder.item_put(message("a", "two"))
        assert disk.texts == {}
        await asyncio.sleep(0.2)
        assert disk.texts == {"a": "one"}
        await asyncio.sleep(0.5)
        assert disk.texts == {"a": "two"}
        assert [time_s for time_s, _ in disk.batches] == pytest.approx([0.6, 1.1])

    with_writer(body)


def test_a_cancelled_flush_keeps_what_it_held() -> None:
    async def body(disk: Disk, writer: Writer) -> None:
        disk.takes_s = 0.2
        recorder = ConversationRecorder("c", writer.changed, "owner")
        recorder.item_put(message("a"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await writer.flush()
        assert (recorder.pending, disk.texts) == (2, {})
        assert await writer.flush()
        assert disk.texts == {"a": "hello"}

    with_writer(body)


def test_closing_writes_what_is_left_at_once() -> None:
    async def body(disk: Disk, writer: Writer) -> None:
        ConversationRecorder("c", writer.changed, "owner").item_put(message("a"))
        await writer.close()
        assert now_s() < 0.01
        assert disk.texts == {"a": "hello"}

    with_writer(body, close=False)


def test_closing_tries_again_until_its_deadline(caplog: pytest.LogCaptureFixture) -> None:
    async def body(disk: Disk, writer: Writer) -> None:
        disk.failing = True
        ConversationRecorder("c", writer.changed, "owner").item_put(message("a"))
        await writer.close()
        assert now_s() == pytest.approx(3.0)
        assert len(disk.attempts_s) == 8
        assert writer.stats.rows_lost == 2

    with caplog.at_level(logging.ERROR):
        with_writer(body, close=False)
    assert "closing with 2 rows not written" in caplog.text


def test_closing_does_not_wait_for_a_write_that_hangs(caplog: pytest.LogCaptureFixture) -> None:
    async def body(disk: Disk, writer: Writer) -> None:
        disk.takes_s = 3600
        ConversationRecorder("c", writer.changed, "owner").item_put(message("a"))
        await asyncio.sleep(1)
        await writer.close()
        assert now_s() == pytest.approx(4.0)
        assert disk.texts == {}

    with caplog.at_level(logging.ERROR):
        with_writer(body, close=False)
    assert "not written" in caplog.text
