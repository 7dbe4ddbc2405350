"""Run by Alembic: migrates over the connection that `migrate.py` hands in."""

from alembic import context

from serve_app.store.schema import metadata

# `render_as_batch`: SQLite cannot alter a column, so Alembic copies the table.
context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
