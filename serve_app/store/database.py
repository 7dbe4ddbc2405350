"""The database file: private, opened in WAL mode, its errors translated."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from configs.store import StoreConfig
from deployments.runtime.errors import ConfigError, ParleyError, StoreUnavailable
from serve_app.store.writer import Unwritable

# The database is at fault, not the values: worth another attempt.
_FAULTS = (exc.OperationalError, exc.InterfaceError, exc.InternalError, exc.TimeoutError, OSError)


def private_file(path: Path) -> None:
    """Make the file, readable by its owner alone; a folder that is missing becomes 0700. Raises ConfigError."""
    try:
        for folder in reversed([folder for folder in path.parents if not folder.exists()]):
            folder.mkdir(mode=0o700, exist_ok=True)
        # SQLite gives the files beside it (-wal, -shm) the same mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
    except OSError as error:
        raise ConfigError(
            f"store: {path} cannot be written ({error.strerror}): "
            "point the store's `path` at a folder of the user who runs Parley"
        ) from error


def async_engine(config: StoreConfig) -> AsyncEngine:
    """The engine for reading and writing. Its errors and logs show no values: they are what people said."""
    engine = create_async_engine(
        _url(config, "aiosqlite"), hide_parameters=True, pool_timeout=config.busy_timeout_ms / 1000
    )
    _set_up(engine.sync_engine, config.busy_timeout_ms)
    return engine


def sync_engine(config: StoreConfig) -> Engine:
    """The engine for migrations, in a worker thread."""
    engine = create_engine(_url(config, "pysqlite"), hide_parameters=True)
    _set_up(engine, config.busy_timeout_ms)
    return engine


def _url(config: StoreConfig, driver: str) -> URL:
    return URL.create(f"sqlite+{driver}", database=str(config.path))


def _set_up(engine: Engine, busy_timeout_ms: int) -> None:
    def connected(connection: Any, _record: object) -> None:
        # sqlite3 begins no transaction by itself, so that reads are consistent and migrations are all or nothing.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout = {busy_timeout_ms}",
            "journal_mode = WAL",
            # Survives a crash of the process; the last transactions before a power cut may be missing.
            "synchronous = NORMAL",
            "foreign_keys = ON",
            # What was said is overwritten with zeros when it is deleted.
            "secure_delete = ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def began(connection: Connection) -> None:
        # A writer takes the lock at once: one that begins by reading fails without waiting if another wrote since.
        options = connection.get_execution_options()
        if options.get("busy_timeout_ms") is not None:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {options['busy_timeout_ms']}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writes") else "BEGIN")

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", began)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Errors of the driver become StoreUnavailable (worth another attempt) or Unwritable (the values are at fault)."""
    try:
        yield
    except ParleyError:
        raise
    except Exception as error:
        damaged = isinstance(error, exc.DatabaseError) and type(error.orig) is sqlite3.DatabaseError
        if damaged or isinstance(error, _FAULTS):
            raise StoreUnavailable(f"the store's database does not answer: {getattr(error, 'orig', error)}") from error
        raise Unwritable(str(error)) from error
