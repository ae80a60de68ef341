"""Looking a database over without changing anything."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from watchword_server.adapters.sql.examination import Examination
from watchword_server.adapters.sql.promote.marker import must_be_here
from watchword_server.adapters.sql.sqlite import connections
from watchword_server.adapters.sql.sqlite.upgrade import schema
from watchword_server.ports import Unavailable


def examine(path: Path) -> Examination | None:
    """The state of a database file; None when there is none. Raises Unavailable when it cannot be opened or read."""
    if not path.exists():
        return None
    try:
        with closing(connections.connect(path)) as connection:
            must_be_here(connection)
            return _examine(path, connection)
    except (sqlite3.Error, OSError) as error:
        raise Unavailable(f"{path}: {error}") from error


def _examine(path: Path, connection: sqlite3.Connection) -> Examination:
    faults = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
    found = schema(connection)
    newest = None if found.revision is None else connection.execute("SELECT max(at) FROM audit").fetchone()[0]
    return Examination(
        place=str(path),
        integrity="; ".join(faults),
        revision=found.revision or "none",
        expected_revision=found.wanted,
        writable=_writable(connection),
        newest=None if newest is None else newest / 1000,
        risks=(),
        migrates_itself=True,
    )


def _writable(connection: sqlite3.Connection) -> str:
    try:
        connections.begin(connection)
        connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        return str(error)
    return "ok"
