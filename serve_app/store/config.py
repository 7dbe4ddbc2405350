"""Where conversations are kept, and how eagerly they are written."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError


def _default_url() -> str:
    return f"sqlite:///{Path.home() / '.local' / 'share' / 'parley' / 'parley.db'}"


class StoreConfig(BaseModel):
    """Options of the store."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(default_factory=_default_url, repr=False)
    """`sqlite:////an/absolute/path.db`. Replicas have different working directories, so a relative path is refused."""
    flush_ms: int = Field(400, ge=1, le=450)
    """How long a change may wait for others to be written with it; leaves the transaction its part of 500 ms."""
    busy_timeout_ms: int = Field(5000, ge=1, le=60_000)
    """How long a statement waits while another process writes."""
    retry_limit_ms: int = Field(30_000, ge=1, le=600_000)
    """The longest pause between two attempts while the disk fails; the first is `flush_ms`, then it doubles."""
    buffer_items: int = Field(20_000, ge=1)
    """Changed items held while the disk fails. Beyond, the oldest conversations are given up, ended ones first."""
    close_deadline_ms: int = Field(3000, ge=1, le=60_000)
    """How long `close` tries to write what is left."""

    @field_validator("url")
    @classmethod
    def _absolute_sqlite(cls, value: str) -> str:
        try:
            url = make_url(value)
        except ArgumentError as error:
            raise ValueError("not a database URL; write sqlite:////an/absolute/path.db") from error
        if url.get_backend_name() != "sqlite" or url.query or url.host:
            raise ValueError("only SQLite files are supported: sqlite:////an/absolute/path.db")
        if not url.database or not Path(url.database).is_absolute():
            raise ValueError("the path must be absolute: sqlite:////an/absolute/path.db (four slashes)")
        return value

    @property
    def path(self) -> Path:
        """The database file."""
        return Path(make_url(self.url).database or "")

    def driver_url(self, driver: str) -> URL:
        """The URL for SQLAlchemy with a driver: `aiosqlite`, or `pysqlite` for migrations."""
        return URL.create(f"sqlite+{driver}", database=str(self.path))
