"""The database under a deployment, as it is seen past the issuer: a file of SQLite's, or one of PostgreSQL's.

with GROUNDS["postgres"].laid(folder) as ground, deployment(folder, settings=ground.settings) as site:
    assert ground.value("SELECT count(*) FROM users WHERE email = $1", "alice@example.com") == 1
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import asyncpg

from tests.servers.postgres import Postgres, server
from watchword_server.adapters.sql.postgres import upgrade


class Ground(Protocol):
    """One database. Queries name their values $1, $2, ..."""

    @property
    def settings(self) -> str:
        """The line of watchword.toml that names it; none for the one that is there anyway."""

    def value(self, query: str, *values: str) -> int:
        """The one value that a query has."""

    def mark(self) -> object:
        """Changes whenever something is written, before it is durable. Cheap: somebody waits for it without a pause."""


@dataclass(frozen=True)
class File:
    """SQLite's, in the data folder; there as soon as the issuer has run."""

    path: Path
    settings: str = ""

    def value(self, query: str, *values: str) -> int:
        named = {str(number): value for number, value in enumerate(values, 1)}
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as database:
            ((found,),) = database.execute(query, named).fetchall()
        return int(found)

    def mark(self) -> tuple[int, int]:
        """Of the write-ahead log."""
        found = self.path.with_name(f"{self.path.name}-wal").stat()
        return found.st_size, found.st_mtime_ns


@dataclass(frozen=True)
class Tables:
    """PostgreSQL's, on a server of its own, which may be treated badly."""

    server: Postgres
    url: str = field(repr=False)
    _runner: asyncio.Runner
    _connection: asyncpg.Connection

    @property
    def settings(self) -> str:
        return f'database = "{self.url}"'

    def value(self, query: str, *values: str) -> int:
        return int(self._runner.run(_asked(self.url, query, values)))

    def mark(self) -> int:
        """How far the server's own log goes: it moves with the first statement that writes, before the commit."""
        return int(self._runner.run(self._connection.fetchval("SELECT pg_current_wal_insert_lsn() - '0/0'")))


async def _asked(url: str, query: str, values: Sequence[str]) -> int | bool:
    """On a connection of its own: the server may have been killed since the last question."""
    connection = await asyncpg.connect(url)
    try:
        found: int | bool = await connection.fetchval(query, *values)
        return found
    finally:
        await connection.close()


@contextmanager
def _file(folder: Path) -> Iterator[Ground]:
    yield File(folder / "data" / "watchword.db")


@contextmanager
def _tables(folder: Path) -> Iterator[Ground]:
    """A server of our own: what others write would look like ours."""
    with server() as postgres, asyncio.Runner() as runner:
        url = postgres.database()
        runner.run(upgrade.migrate(url))
        connection = runner.run(asyncpg.connect(url))
        try:
            yield Tables(postgres, url, runner, connection)
        finally:
            connection.terminate()


@dataclass(frozen=True)
class Kind:
    """`laid` gives a fresh one for a deployment in that folder, for as long as the block lasts."""

    title: str
    laid: Callable[[Path], AbstractContextManager[Ground]]


GROUNDS: Final[Mapping[str, Kind]] = {"sqlite": Kind("SQLite", _file), "postgres": Kind("PostgreSQL", _tables)}
