"""How Alembic reaches the tables: through the connection that `database.migrate` opened."""

from __future__ import annotations

from alembic import context

from pneumoscope.server.storage.tables import Base

if __name__ == "env_py":  # the name under which Alembic loads this file
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=Base.metadata,
        render_as_batch=True,  # SQLite can't alter most things in place
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        context.run_migrations()
