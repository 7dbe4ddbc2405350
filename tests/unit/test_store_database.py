"""The database file: who may read it, how it comes to be, and what happens when it is damaged or shared."""

import asyncio
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import ValidationError
from sqlalchemy import make_url
from sqlalchemy.schema import CreateTable

from deployments.runtime.errors import ConfigError
from serve_app.store import Store, StoreConfig
from serve_app.store.database import sync_engine
from serve_app.store.migrate import HEAD, prepare
from serve_app.store.schema import item, metadata
from serve_app.store.statements import upsert
from serve_app.store.upgrade import alembic_config

ROOT = Path(__file__).parents[2]


def config_for(path: Path) -> StoreConfig:
    return StoreConfig(path=path)


def open_and_close(config: StoreConfig) -> None:
    async def main() -> None:
        await (await Store.open(config)).close()

    asyncio.run(main())


def test_the_default_is_an_absolute_path() -> None:
    assert StoreConfig().path.is_absolute()


@pytest.mark.parametrize("path", ["parley.db", "../parley.db", ":memory:", ""])
def test_a_relative_path_is_refused(path: str) -> None:
    with pytest.raises(ValidationError, match="must be an absolute path"):
        StoreConfig(path=Path(path))


def test_folders_and_files_are_private(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "100% mine?a=b#c" / "parley.db"

    async def main() -> None:
        async with await Store.open(config_for(path)) as store:
            store.recorder("conv_1").conversation_started(session_id="s", model="m", voice="v")
            await store.flush()
            files = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
            assert set(files) >= {"parley.db", "parley.db-wal", "parley.db-shm"}
            assert set(files.values()) == {0o600}

    asyncio.run(main())
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (path.parent, path.parent.parent)] == [0o700, 0o700]


def test_a_file_that_others_can_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "parley.db"
    path.touch(0o644)
    prepare(config_for(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_migrations_and_tables_agree(tmp_path: Path) -> None:
    config = config_for(tmp_path / "parley.db")
    prepare(config)
    engine = sync_engine(config)
    try:
        with engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    finally:
        engine.dispose()


def test_every_connection_waits_for_others_and_keeps_order(tmp_path: Path) -> None:
    config = config_for(tmp_path / "parley.db")
    prepare(config)
    engine = sync_engine(config)
    names = ("journal_mode", "busy_timeout", "foreign_keys", "synchronous", "secure_delete")
    try:
        with engine.connect() as connection:
            values = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]
    finally:
        engine.dispose()
    assert values == ["wal", 5000, 1, 1, 1]


def test_the_sql_is_portable() -> None:
    dialect = make_url("postgresql://").get_dialect()()
    for table in metadata.sorted_tables:
        assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=dialect))
    sql = str(upsert(item, "postgresql", frozenset({"created_at_ms"})).compile(dialect=dialect))
    assert "ON CONFLICT (conversation_id, id) DO UPDATE SET position = excluded.position" in sql
    assert "created_at_ms = excluded" not in sql


@pytest.mark.parametrize("place", ["a file/parley.db", "a folder"])
def test_a_path_that_cannot_be_written_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "a file").touch()
    (tmp_path / "a folder").mkdir()
    with pytest.raises(ConfigError, match=r"cannot be written .*point the store's `path` at a folder"):
        open_and_close(config_for(tmp_path / place))


def test_a_folder_without_write_permission_is_refused() -> None:
    # Not even root can make a file there.
    with pytest.raises(ConfigError, match="cannot be written"):
        open_and_close(config_for(Path("/proc/parley/parley.db")))


def test_a_lock_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "parley.db.lock").mkdir()
    with pytest.raises(ConfigError, match=r"the lock .*parley.db.lock cannot be made: Is a directory"):
        open_and_close(config_for(tmp_path / "parley.db"))


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "parley.db"
    path.write_bytes(b"these are my notes, not a database\n" * 200)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=r"is damaged .*restore it from a backup, or move it away"):
        open_and_close(config_for(path))
    assert path.read_bytes() == before


def test_damage_inside_the_file_is_found_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "parley.db"
    open_and_close(config_for(path))
    with path.open("r+b") as file:
        file.seek(2 * 4096)
        file.write(os.urandom(4096))
    with pytest.raises(ConfigError, match="is damaged"):
        open_and_close(config_for(path))


def test_the_newest_migration_is_known_without_looking() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == HEAD


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "parley.db"
    open_and_close(config_for(path))
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(ConfigError, match="written by another version of Parley"):
        open_and_close(config_for(path))


def test_a_migration_is_all_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "parley.db"
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("CREATE TABLE usage (in_the_way INTEGER)")
    with pytest.raises(ConfigError, match="cannot be opened: table usage already exists"):
        open_and_close(config_for(path))
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    assert tables == {"usage"}


_PROCESS = """
import asyncio, sys
from pathlib import Path
from serve_app.store import Store, StoreConfig

def item(item_id):
    return {"id": item_id, "type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]}

async def main(path, name, crash):
    print("ready", flush=True)
    sys.stdin.readline()
    async with await Store.open(StoreConfig(path=path)) as store:
        recorder = store.recorder(name)
        recorder.conversation_started(session_id="s", model="m", voice="v")
        for number in range(8):
            recorder.item_put(item(f"item_{number}"))
            await store.flush()
        if crash:
            recorder.item_put(item("not flushed"))
            print("flushed", flush=True)
            sys.stdin.readline()

asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3:] == ["crash"]))
"""


def process(path: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", _PROCESS, str(path), *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ids_in(path: Path) -> dict[str, int]:
    """Conversations and how many items each has."""

    async def main() -> dict[str, int]:
        async with await Store.open(config_for(path)) as store:
            listed = (await store.list_conversations())["data"]
            return {one["id"]: len((await store.items(one["id"], limit=100))["data"]) for one in listed}

    return asyncio.run(main())


def test_two_processes_start_at_once_and_one_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "parley.db"
    with process(path, "conv_a") as ending, process(path, "conv_b", "crash") as crashing:
        for each in (ending, crashing):
            assert each.stdout is not None
            assert each.stdout.readline() == "ready\n"
        for each in (ending, crashing):
            assert each.stdin is not None
            each.stdin.write("go\n")
            each.stdin.flush()
        assert crashing.stdout is not None
        assert crashing.stdout.readline() == "flushed\n"
        crashing.send_signal(signal.SIGKILL)
        errors = [each.communicate(timeout=30)[1] for each in (ending, crashing)]
        assert ([ending.returncode, crashing.returncode], errors) == ([0, -signal.SIGKILL], ["", ""])
    # All that was flushed, by both.
    assert ids_in(path) == {"conv_a": 8, "conv_b": 8}
