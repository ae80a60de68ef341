"""Brings a database to the revision that this code was written for. Alembic is imported only when there is work."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

REVISION: Final = "0002"
"""The migration that this code was written for."""


class SchemaError(Exception):
    """The file cannot be used; the message says why and what to do."""


def upgrade(connection: sqlite3.Connection, path: Path) -> None:
    """Apply what is missing. Raises SchemaError for a file of a newer version, sqlite3.Error when it is locked."""
    if _revision(connection) == REVISION:
        return
    from watchword_server.adapters.sql.migrations import run  # only here: it brings Alembic

    def due() -> bool:
        """Asked inside the transaction: another process may have been faster."""
        found = _revision(connection)
        if found is None and _tables(connection):
            raise SchemaError(f"{path} is the database of another program: name a file of its own for Watchword.")
        if found is not None and not run.knows(found):
            raise SchemaError(
                f"{path} was written by a newer version of Watchword (revision {found}, this one knows {REVISION}):"
                " run that version, or restore a backup that was made before the upgrade."
            )
        return found != REVISION

    run.upgrade(connection, due)


def _revision(connection: sqlite3.Connection) -> str | None:
    """The revision that the database is at; None for a new one."""
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchall()
    rows = connection.execute("SELECT version_num FROM alembic_version").fetchall() if known else []
    return rows[0][0] if rows else None


def _tables(connection: sqlite3.Connection) -> int:
    rows = connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchall()
    count: int = rows[0][0]
    return count
