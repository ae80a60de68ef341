"""Opens a SQLite file as the stores of the server."""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

from watchword.jose.b64 import b64url
from watchword.log import genesis
from watchword_server.adapters import nudge
from watchword_server.adapters.sql.promote.marker import must_be_here
from watchword_server.adapters.sql.sqlite import connections
from watchword_server.adapters.sql.sqlite.reading import Source
from watchword_server.adapters.sql.sqlite.upgrade import schema, upgrade
from watchword_server.adapters.sql.sqlite.writer import Writer
from watchword_server.adapters.sql.statements import Commands, Sql, load
from watchword_server.adapters.sql.stores import assembled
from watchword_server.adapters.sql.upgrade import REVISION, Schema, SchemaError, Upgrade, must_be_ours
from watchword_server.ports import Random, Stores, Unavailable


class Store:
    """The stores of one database, as one process holds them. Close it to let go of the file."""

    def __init__(self, source: Source, writer: Writer, stores: Stores, listeners: list[Callable[[], None]]) -> None:
        self._source = source
        self._writer = writer
        self._listeners = listeners
        self.stores = stores

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call back on this event loop after each commit of this process that moved the log or `Head.state`.

        It carries nothing: who wants to know reads. Several commits may become one call.
        """
        loop = asyncio.get_running_loop()
        self._listeners.append(lambda: _call_on(loop, callback))

    def close(self) -> None:
        """Finish what waits to be written and close the file."""
        self._writer.close()
        self._source.close()


def open_store(path: Path, random: Random = secrets.token_bytes) -> Store:
    """Open the database, making and migrating it as needed.

    Raises SchemaError for a file that this version must not touch, Unavailable when it is locked or unreadable.
    """
    statements = load("sqlite")
    commands, queries = statements.commands, statements.queries
    try:
        _prepare(path, commands, random)
        source = Source(partial(connections.reader, path), queries)
    except (sqlite3.Error, OSError) as error:
        raise _refusal(error, path) from error
    listeners: list[Callable[[], None]] = []
    writer = Writer(partial(connections.writer, path), commands, partial(_tell, path.parent, listeners))
    return Store(source, writer, assembled(source, writer, commands), listeners)


def due(path: Path) -> Upgrade:
    """What `migrate` would do, by a look. Raises SchemaError or Unavailable."""
    if not path.exists():
        return Upgrade(str(path), None, REVISION)
    try:
        with closing(connections.connect(path)) as connection:
            return _upgrade(path, schema(connection))
    except (sqlite3.Error, OSError) as error:
        raise _refusal(error, path) from error


def migrate(path: Path, random: Random = secrets.token_bytes) -> Upgrade:
    """What opening does to a file first. Raises SchemaError or Unavailable."""
    found = due(path)
    try:
        _prepare(path, load("sqlite").commands, random)
    except (sqlite3.Error, OSError) as error:
        raise _refusal(error, path) from error
    return found


def _upgrade(path: Path, found: Schema) -> Upgrade:
    must_be_ours(found, str(path))
    return Upgrade(str(path), found.revision, found.wanted)


def _prepare(path: Path, commands: Commands[Sql], random: Random) -> None:
    """The file, its schema, and the head of its log."""
    connections.create(path)
    connection = connections.connect(path)
    try:
        must_be_here(connection)
        upgrade(connection, path)
        if not connection.execute(commands.head.text).fetchall():
            log = b64url(random(16))
            begin = commands.begin_log
            connections.patiently(lambda: connection.execute(begin.text, begin.bind(log=log, chain=genesis(log))))
    finally:
        connection.close()


def _refusal(error: sqlite3.Error | OSError, path: Path) -> Exception:
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
        return SchemaError(f"{path} is not a SQLite database: name another file, or restore this one from a backup.")
    return Unavailable(f"{path} cannot be opened now: {error}")


def _tell(folder: Path, listeners: list[Callable[[], None]]) -> None:
    """Nudge the other processes first: this one may be a command that ends with its answer."""
    nudge.send(folder)
    for listener in listeners:
        listener()


def _call_on(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # a closed loop has nobody left to tell
        loop.call_soon_threadsafe(callback)
