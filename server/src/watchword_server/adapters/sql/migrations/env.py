"""Alembic's entry: runs the revisions on the connection that `run.py` hands over, or writes their SQL down."""

from __future__ import annotations

from alembic import context

from watchword_server.adapters.sql.schema import metadata

if context.is_offline_mode():
    context.configure(dialect_name=context.config.attributes["dialect"], target_metadata=metadata, literal_binds=True)
else:
    context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
