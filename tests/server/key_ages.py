"""Keys that are older than they are: what was published for a long while can be had without waiting for it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

LONG = 2 * 3600
"""Seconds: longer than a key is published ahead."""


def born(data: Path, at: int) -> None:
    """As if every key in use of a data folder had been made then, and called if it was called."""
    with closing(sqlite3.connect(data / "watchword.db", timeout=10)) as database, database:
        database.execute(
            "UPDATE keys SET created_at = ?1, active_at = iif(active_at, ?1, NULL) WHERE retired_at IS NULL", (at,)
        )
