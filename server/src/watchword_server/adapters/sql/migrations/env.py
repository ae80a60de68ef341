"""Alembic's entry: runs the revisions on the connection that `run.py` hands over."""

from __future__ import annotations

from alembic import context

from watchword_server.adapters.sql.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
