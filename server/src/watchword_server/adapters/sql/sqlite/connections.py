"""Connections to SQLite: durable, shared between processes, never waiting without a bound."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

PATIENCE: Final = 2.0
"""Seconds that a writer waits for another process's transaction."""
UPGRADE_PATIENCE: Final = 30.0
"""Seconds that a start waits for another process's migrations."""
PAUSE: Final = 0.002
"""Seconds between two tries. SQLite's own handler sleeps up to 0.1 s, and a busy server would starve it."""
READ_PATIENCE: Final = 0.05
"""Seconds. A reader of a write-ahead log waits for nobody but a recovery; it holds up the event loop."""

SCRUB_PATIENCE: Final = 0.5
"""Seconds that a writer waits for those who read the write-ahead log, to empty it."""

STATEMENTS: Final = 256
"""Prepared statements that a connection keeps: more than there are."""

_SETTINGS: Final = (
    # Every commit reaches the disk before it is answered; NORMAL would lose the last ones with the power.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
    # Pages of 4 KiB. Rarer checkpoints cost less; the log is cut back after a burst.
    "PRAGMA wal_autocheckpoint = 2000",
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA temp_store = MEMORY",
    # A private key that was destroyed must not be found in the file. Some builds of SQLite have it so anyway.
    "PRAGMA secure_delete = ON",
)

_T = TypeVar("_T")


def create(path: Path) -> None:
    """Make the file with mode 0600 when it is not there; SQLite gives its -wal and -shm the same mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        # By name: opening and closing the file would drop this process's locks on it (fcntl(2)).
        for name in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
            if name.exists():
                name.chmod(0o600)


def connect(path: Path) -> sqlite3.Connection:
    """A connection in autocommit mode, usable from any one thread at a time. Raises sqlite3.Error."""
    connection = sqlite3.connect(
        path, timeout=PATIENCE, isolation_level=None, check_same_thread=False, cached_statements=STATEMENTS
    )
    try:
        # SQLite answers BUSY at once while another process recovers the log or switches to it.
        patiently(lambda: connection.execute("PRAGMA journal_mode = WAL").fetchall())
        for setting in _SETTINGS:
            connection.execute(setting).fetchall()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def writer(path: Path) -> sqlite3.Connection:
    """A connection for transactions that start with `begin`, which does the waiting."""
    connection = connect(path)
    connection.execute("PRAGMA busy_timeout = 0")
    return connection


def reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write."""
    connection = connect(path)
    connection.execute("PRAGMA query_only = ON")
    connection.execute(f"PRAGMA busy_timeout = {round(READ_PATIENCE * 1000)}")
    return connection


def begin(connection: sqlite3.Connection, patience: float = PATIENCE) -> None:
    """Begin to write, waiting a bounded time for another process. Raises sqlite3.Error."""
    patiently(lambda: connection.execute("BEGIN IMMEDIATE"), patience)


def scrub(connection: sqlite3.Connection) -> bool:
    """Leave nothing in the write-ahead log of what was overwritten or deleted. Whether nobody stood in the way."""
    deadline = time.monotonic() + SCRUB_PATIENCE
    while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        if time.monotonic() >= deadline:
            return False
        time.sleep(PAUSE)
    return True


def patiently(action: Callable[[], _T], patience: float = PATIENCE) -> _T:
    """Do it, again and again while the database is locked, for at most `patience` seconds."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return action()
        except sqlite3.OperationalError as error:
            if not locked(error) or time.monotonic() >= deadline:
                raise
        time.sleep(PAUSE)


def locked(error: Exception) -> bool:
    """Whether another process holds the database."""
    return _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def passing(error: Exception) -> bool:
    """Whether the connection is sound and only has to wait: for a lock, or for space."""
    return locked(error) or _code(error) == sqlite3.SQLITE_FULL


def taken(error: Exception) -> bool:
    """Whether a row's identity is taken, or what it belongs to is gone."""
    return getattr(error, "sqlite_errorcode", None) in (
        sqlite3.SQLITE_CONSTRAINT_UNIQUE,
        sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
        sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY,
    )


def _code(error: Exception) -> int | None:
    """The primary result code: the low byte of the extended one."""
    code = getattr(error, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else None
