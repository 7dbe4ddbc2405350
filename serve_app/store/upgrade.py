"""Alembic at work: from whatever schema the database has to this version's."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import Connection

from deployments.runtime.errors import ConfigError

_MIGRATIONS = Path(__file__).parent / "migrations"


def alembic_config() -> Config:
    """Where the migrations are; the connection to use goes into its `attributes`."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


def upgrade(connection: Connection, database: Path) -> None:
    """Run what is missing. Raises ConfigError where another version of Parley wrote the database."""
    config = alembic_config()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise ConfigError(
            f"store: {database} was written by another version of Parley ({error}): run that version or a newer one"
        ) from error
