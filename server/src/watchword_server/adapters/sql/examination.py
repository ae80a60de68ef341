"""Looking a database over without changing anything."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from watchword_server.adapters.sql import sqlite
from watchword_server.adapters.sql.upgrade import REVISION
from watchword_server.ports import Unavailable


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found; `newest` is in seconds since 1970."""

    place: str
    integrity: str
    revision: str
    expected_revision: str
    writable: str
    newest: float | None


def examine(path: Path) -> Examination | None:
    """The state of a database file; None when there is none. Raises Unavailable when it cannot be opened or read."""
    if not path.exists():
        return None
    try:
        with closing(sqlite.connect(path)) as connection:
            return _examine(path, connection)
    except (sqlite3.Error, OSError) as error:
        raise Unavailable(f"{path}: {error}") from error


def _examine(path: Path, connection: sqlite3.Connection) -> Examination:
    faults = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    rows = (
        connection.execute("SELECT version_num FROM alembic_version").fetchall() if "alembic_version" in tables else []
    )
    newest = connection.execute("SELECT max(at) FROM audit").fetchone()[0] if "audit" in tables else None
    return Examination(
        place=str(path),
        integrity="; ".join(faults),
        revision=rows[0][0] if rows else "none",
        expected_revision=REVISION,
        writable=_writable(connection),
        newest=None if newest is None else newest / 1000,
    )


def _writable(connection: sqlite3.Connection) -> str:
    try:
        sqlite.begin(connection)
        connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        return str(error)
    return "ok"
