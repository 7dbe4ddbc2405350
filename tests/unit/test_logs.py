"""Records carry the ids of their context; replicas write where Serve does."""

import asyncio
import io
import json
import logging
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest

from deployments.runtime.errors import StateLost
from deployments.runtime.logs import announce, configure_logging, log_context, warnings_to_terminal

SERVE = logging.getLogger("ray.serve")
OURS = logging.getLogger("deployments.asr.server")


class Lines(logging.Handler):
    """Keeps records."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def lines() -> Iterator[Lines]:
    """A replica's logging, and what its log file gets; everything is put back."""
    before = (SERVE.handlers[:], SERVE.level, SERVE.propagate, logging.getLogRecordFactory())
    parents = {name: logging.getLogger(name).parent for name in ("configs", "deployments", "serve_app")}
    handler = Lines()
    SERVE.handlers[:] = [handler]
    SERVE.setLevel(logging.INFO)
    SERVE.propagate = False
    configure_logging()
    yield handler
    SERVE.handlers[:], SERVE.propagate = before[0], before[2]
    SERVE.setLevel(before[1])
    logging.setLogRecordFactory(before[3])
    for name, parent in parents.items():
        logging.getLogger(name).parent = parent


def ids(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in record.__dict__.items() if name in ("session_id", "turn_id")}


def test_our_records_go_where_serves_go_with_the_ids_of_their_context(lines: Lines) -> None:
    with log_context(session_id="sess_1"):
        OURS.info("opened")
        with log_context(turn_id="turn_1"):
            OURS.info("turn")
            SERVE.info("access")
        OURS.info("closed")
    OURS.info("outside")
    assert [(record.getMessage(), ids(record)) for record in lines.records] == [
        ("opened", {"session_id": "sess_1"}),
        ("turn", {"session_id": "sess_1", "turn_id": "turn_1"}),
        ("access", {"session_id": "sess_1", "turn_id": "turn_1"}),
        ("closed", {"session_id": "sess_1"}),
        ("outside", {}),
    ]


def test_serves_level_is_ours(lines: Lines) -> None:
    OURS.debug("too fine")
    assert not lines.records


def test_configuring_twice_logs_once(lines: Lines) -> None:
    configure_logging()
    OURS.info("once")
    assert len(lines.records) == 1


def test_an_empty_id_is_left_out(lines: Lines) -> None:
    with log_context(session_id="sess_1"), log_context(session_id=""):
        OURS.info("nobody's")
    assert ids(lines.records[0]) == {}


def test_tasks_have_the_ids_of_those_who_started_them(lines: Lines) -> None:
    async def say(text: str) -> None:
        await asyncio.sleep(0)
        OURS.info(text)

    async def session(name: str) -> None:
        with log_context(session_id=name):
            await asyncio.gather(say("one"), say("two"))

    async def both() -> None:
        await asyncio.gather(session("a"), session("b"))

    asyncio.run(both())
    assert sorted(ids(record)["session_id"] for record in lines.records) == ["a", "a", "b", "b"]


def test_serves_formatter_writes_the_ids_out(lines: Lines) -> None:
    from ray._common.formatters import JSONFormatter

    with log_context(session_id="sess_1", turn_id="turn_1"):
        OURS.warning("slow by %d ms", 12)
    line = json.loads(JSONFormatter().format(lines.records[0]))
    assert (line["session_id"], line["turn_id"]) == ("sess_1", "turn_1")
    assert (line["message"], line["levelname"]) == ("slow by 12 ms", "WARNING")


def test_only_warnings_of_a_replica_reach_the_terminal(lines: Lines) -> None:
    terminal = io.StringIO()
    SERVE.addHandler(logging.StreamHandler(terminal))
    configure_logging()
    OURS.info("routine")
    OURS.warning("trouble")
    assert terminal.getvalue() == "trouble\n"


def test_an_error_raised_on_purpose_stays_out_of_the_terminal(lines: Lines) -> None:
    terminal = io.StringIO()
    SERVE.addHandler(logging.StreamHandler(terminal))
    configure_logging()
    for error in (StateLost("which session?"), ValueError("a bug")):
        try:
            raise error
        except Exception:
            SERVE.exception("Request failed.")
    assert len(lines.records) == 2
    assert "a bug" in terminal.getvalue()
    assert "which session?" not in terminal.getvalue()


def test_the_controllers_warnings_reach_the_terminal(lines: Lines, capsys: pytest.CaptureFixture[str]) -> None:
    warnings_to_terminal()
    SERVE.info("routine")
    SERVE.warning("noise", extra={"log_to_stderr": False})
    SERVE.error("the application failed")
    assert capsys.readouterr().err == "ERROR the application failed\n"


def test_an_announcement_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    announce("Parley is ready: http://127.0.0.1:8000")
    assert capfd.readouterr().out == "Parley is ready: http://127.0.0.1:8000\n"


def test_a_generator_that_is_closed_in_another_context_ends_quietly() -> None:
    """As Serve closes one that was cancelled: by the loop's hook for generators that nobody reads any more."""

    async def stream() -> AsyncGenerator[int, None]:
        with log_context(session_id="sess_1"):
            while True:
                yield 1

    async def read() -> None:
        items = stream()
        await anext(items)
        await asyncio.create_task(_closed(items))

    asyncio.run(read())


async def _closed(items: AsyncGenerator[int, None]) -> None:
    await items.aclose()
