"""Brings the database to this version's schema, once, however many processes start at the same time."""

from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import Connection, delete, exc, inspect, text

from configs.store import StoreConfig
from deployments.runtime.clock import wall_s
from deployments.runtime.errors import ConfigError
from serve_app.store.database import private_file, sync_engine
from serve_app.store.schema import call, conversation

HEAD = "0005"
"""The newest revision in `migrations/versions`."""
_LOCK_TIMEOUT_S = 60.0
# Far longer than any session: the row of a conversation deleted while it ran has no writer left by then.
_TOMBSTONE_MS = 7 * 24 * 3600 * 1000
# The check reads the whole file: 0.13 s for 125 MB from the page cache.
_CHECKED_BYTES = 1 << 30


def prepare(config: StoreConfig) -> None:
    """Make the file if need be and migrate it. Blocks: call it in a worker thread. Raises ConfigError."""
    private_file(config.path)
    lock = FileLock(f"{config.path}.lock", timeout=_LOCK_TIMEOUT_S, mode=0o600)
    try:
        with lock:
            _upgrade(config)
    except Timeout as error:
        raise ConfigError(
            f"store: another process has been preparing {config.path} for {_LOCK_TIMEOUT_S:.0f} s: "
            "end it and start again"
        ) from error
    except OSError as error:
        raise ConfigError(f"store: the lock {config.path}.lock cannot be made: {error.strerror}") from error
    except exc.OperationalError as error:
        raise ConfigError(f"store: {config.path} cannot be opened: {error.orig}") from error
    except exc.DatabaseError as error:
        raise _damaged(config.path, error.orig) from error


def _upgrade(config: StoreConfig) -> None:
    engine = sync_engine(config)
    try:
        with engine.connect().execution_options(writes=True) as connection, connection.begin():
            if config.path.stat().st_size <= _CHECKED_BYTES:
                problem = connection.execute(text("PRAGMA quick_check(1)")).scalar_one()
                if problem != "ok":
                    raise _damaged(config.path, problem)
            if _revision(connection) != HEAD:
                # Here: nearly every start finds a finished schema, and the import takes a quarter of a second.
                from serve_app.store.upgrade import upgrade

                upgrade(connection, config.path)
            oldest_ms = int(wall_s() * 1000) - _TOMBSTONE_MS
            connection.execute(delete(conversation).where(conversation.c.deleted_at_ms < oldest_ms))
            connection.execute(delete(call).where(call.c.began_at_ms < oldest_ms))  # of replicas that were killed
    finally:
        engine.dispose()


def _revision(connection: Connection) -> str | None:
    """None where the tables are not there yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _damaged(path: Path, problem: object) -> ConfigError:
    return ConfigError(
        f"store: {path} is damaged ({problem}): restore it from a backup, or move it away together with "
        f"{path.name}-wal and {path.name}-shm and start again with an empty one"
    )
