"""Brings a file to the revision that this code was written for. Alembic is imported only when there is work."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from watchword_server.adapters.sql.upgrade import OLDEST, REVISIONS, Schema, must_be_ours


def upgrade(connection: sqlite3.Connection, path: Path) -> None:
    """Apply what is missing. Raises SchemaError for a file of a newer version, sqlite3.Error when it is locked."""
    if _behind(connection, path):
        from watchword_server.adapters.sql.migrations import run  # only here: it brings Alembic

        # Asked again inside the transaction: another process may have been faster.
        run.upgrade(connection, lambda: _behind(connection, path))


def _behind(connection: sqlite3.Connection, path: Path) -> bool:
    found = schema(connection)
    must_be_ours(found, str(path))
    return found.is_behind


def schema(connection: sqlite3.Connection) -> Schema:
    """What stands in the file. Raises sqlite3.Error."""
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()}
    revision = _first(connection, REVISIONS) if "alembic_version" in tables else None
    oldest = _first(connection, OLDEST) if "compatibility" in tables else None
    return Schema(revision, oldest, empty=not tables)


def _first(connection: sqlite3.Connection, question: str) -> str | None:
    rows = connection.execute(question).fetchall()
    return rows[0][0] if rows else None
