"""Where conversations are kept, and how eagerly they are written."""

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator


def data_home() -> Path:
    """Where people's data is kept: $XDG_DATA_HOME/parley, by default ~/.local/share/parley."""
    base = os.environ.get("XDG_DATA_HOME", "")
    # The XDG specification: a relative path is to be ignored.
    return (Path(base) if base.startswith("/") else Path.home() / ".local" / "share") / "parley"


class StoreConfig(BaseModel):
    """Options of the store."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path = Field(default_factory=lambda: data_home() / "parley.db")
    """The SQLite file; its directory is made. Absolute, since a replica has its own working directory."""
    flush_ms: int = Field(default=400, ge=1, le=450)
    """How long a change may wait for others to be written with it; leaves the transaction its part of 500 ms."""
    busy_timeout_ms: int = Field(default=5000, ge=1, le=60_000)
    """How long a statement waits while another process writes."""
    retry_limit_ms: int = Field(default=30_000, ge=1, le=600_000)
    """The longest pause between two attempts while the disk fails; the first is `flush_ms`, then it doubles."""
    buffer_rows: int = Field(default=20_000, ge=1)
    """Changes held while the disk fails. Beyond, the oldest conversations' are given up, ended ones first."""
    close_deadline_ms: int = Field(default=3000, ge=1, le=60_000)
    """How long closing tries to write what is left."""

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        path = path.expanduser()
        if not path.is_absolute():
            raise ValueError(f"must be an absolute path or begin with ~, not {str(path)!r}")
        return path
