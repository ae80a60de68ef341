"""What a promotion leaves in either database, and what every process makes of it. Nothing here needs SQLAlchemy.

In SQLite, the table `promotion` says how far it came. While rows are copied, only this and the tables that watch for
changes are there. From the cut on, every table has another name: whoever reads or writes, of whatever version, finds
none, and answers that it cannot. In PostgreSQL, `promotion` says of which log it is a copy, and since when a whole one.
"""

# ruff: noqa: S608  # names of tables and columns come from the schema; values are always parameters

from __future__ import annotations

import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from watchword_server.ports import Moved, Unavailable, Unfinished

if TYPE_CHECKING:
    from watchword_server.adapters.sql.postgres.connections import Connection

TABLE: Final = "promotion"
AWAY: Final = "promoted_"
"""Before the name of a table that must not be found any more."""

TAKEN: Final = "another `watchword promote` has taken this one's place"

Stage = Literal["copying", "cut", "completing", "complete"]
"""`completing` stands before PostgreSQL is told to commit: only it knows whether it did."""


@dataclass(frozen=True, slots=True)
class Marker:
    """The row in SQLite. `place` is the PostgreSQL database, without user and password."""

    id: str
    place: str
    stage: Stage


def marker(connection: sqlite3.Connection) -> Marker | None:
    """What a promotion has left in a SQLite file. Raises sqlite3.Error."""
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (TABLE,)).fetchall()
    rows = connection.execute(f"SELECT id, place, stage FROM {TABLE}").fetchall() if known else []
    return Marker(*rows[0]) if rows else None


def must_be_here(connection: sqlite3.Connection) -> None:
    """Raises Moved where this file was promoted, or is being so at this moment."""
    found = marker(connection)
    if found is not None and found.stage != "copying":
        raise Moved(moved(found))


def refusal(connection: sqlite3.Connection, error: sqlite3.Error) -> Unavailable:
    """Why a file cannot answer now; also, that it never will again."""
    with suppress(sqlite3.Error):
        found = marker(connection)
        if found is not None and found.stage != "copying":
            return Moved(moved(found))
    return Unavailable(f"the database cannot answer now: {error}")


def moved(found: Marker) -> str:
    """What to do where a file was promoted."""
    if found.stage == "complete":
        return f"this deployment has moved to {found.place}: set `database` to it (WATCHWORD_DATABASE)"
    return (
        f"this deployment is being moved to {found.place}; if no `watchword promote` runs any more, run it"
        " again, or `watchword promote --undo`"
    )


async def must_be_whole(connection: Connection, place: str) -> None:
    """Raises Unfinished where a PostgreSQL database is the target of a promotion that is not complete."""
    if not await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", TABLE):
        return
    if not await connection.fetchval(f"SELECT complete_at IS NOT NULL FROM {TABLE}"):
        raise Unfinished(
            f"{place} is not whole yet: `watchword promote` is moving a deployment into it, or was cut short, and must"
            " be run again"
        )
