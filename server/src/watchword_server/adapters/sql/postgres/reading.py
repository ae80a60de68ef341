"""Where the readers read: look-ups that share round trips, and lists on connections of a small pool."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from operator import itemgetter
from typing import Final, TypeVar

from watchword_server.adapters.sql import records
from watchword_server.adapters.sql.postgres.connections import Connection
from watchword_server.adapters.sql.postgres.pool import PATIENCE, Pool
from watchword_server.adapters.sql.postgres.trains import Train
from watchword_server.adapters.sql.postgres.values import storable
from watchword_server.adapters.sql.statements import Queries, Row, Sql, Value
from watchword_server.ports import Head, Unavailable

LONG_PATIENCE: Final = 30.0
"""Seconds for what may be the whole log, of which every chunk comes within PATIENCE."""
CHUNK: Final = 5_000
"""Rows that are taken at once: others are answered in between."""

T = TypeVar("T")


class Source:
    """Reads through a pool, on the server that takes writes: what was committed before a question is in its answer."""

    def __init__(self, pool: Pool, queries: Queries[Sql]) -> None:
        self._pool = pool
        self._queries = queries
        self._heads: Train[None, Head] = Train(self._read_head)
        self._trains: dict[str, Train[Value, Row]] = {}

    @property
    def queries(self) -> Queries[Sql]:
        return self._queries

    async def head(self) -> Head:
        """The head, read after it was asked for, in one trip for all who ask at that time."""
        found = await self._heads.board(None)
        if found is None:
            raise Unavailable("the database has no log")
        return found

    def polled(self) -> None:
        """Only a round trip can tell."""

    async def one(self, read: Callable[[Row], T], sql: Sql, **values: Value) -> T | None:
        """The record that an identity names; those who look for others meanwhile share the trip."""
        if sql.by is None:
            rows = await self._rows(sql, values)
            return read(rows[0]) if rows else None
        (identity,) = values.values()
        if not storable(identity):
            return None
        row = await self._train(sql, sql.by).board(identity)
        return None if row is None else read(row)

    async def every(self, read: Callable[[Row], T], sql: Sql, **values: Value) -> Sequence[T]:
        """A list."""
        return [read(row) for row in await self._rows(sql, values)]

    async def with_head(self, sql: Sql, few: bool, **values: Value) -> tuple[Head, Sequence[Row]]:
        """Both, in one snapshot: of one statement, or of a transaction that fetches in chunks."""
        arguments = sql.bind(**values)
        if few:
            return await self._pool.ask(partial(self._few_with_head, sql.text, arguments))
        return await self._pool.ask(partial(self._all_with_head, sql.text, arguments), LONG_PATIENCE)

    async def _few_with_head(
        self, text: str, arguments: Sequence[Value], connection: Connection
    ) -> tuple[Head, Sequence[Row]]:
        """In one trip, since every one of them is a wait for who is told of a revocation."""
        found = await connection.fetch(_beside(self._queries.head.text, text), *arguments)
        if not found:
            raise Unavailable("the database has no log")
        width = len(Head.__struct_fields__)
        rows = [tuple(row)[width:-1] for row in found if row[-1]]
        return records.head(tuple(found[0])[:width]), sorted(rows, key=itemgetter(0))

    async def _all_with_head(
        self, text: str, arguments: Sequence[Value], connection: Connection
    ) -> tuple[Head, Sequence[Row]]:
        # A failure ends the connection, so nothing has to be rolled back.
        async with asyncio.timeout(PATIENCE):
            await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            (row,) = await connection.fetch(self._queries.head.text)
        rows = await _in_chunks(connection, text, arguments)
        await connection.execute("COMMIT")
        return records.head(row), rows

    def _train(self, sql: Sql, by: int) -> Train[Value, Row]:
        train = self._trains.get(sql.text)
        if train is None:
            train = self._trains[sql.text] = Train(partial(self._look_up, sql.text, by))
        return train

    async def _look_up(self, text: str, by: int, identities: Sequence[Value]) -> Mapping[Value, Row]:
        rows = await self._pool.ask(lambda connection: connection.fetch(text, identities))
        return {row[by]: row for row in rows}

    async def _read_head(self, _: Sequence[None]) -> Mapping[None, Head]:
        rows = await self._pool.ask(lambda connection: connection.fetch(self._queries.head.text))
        return {None: records.head(rows[0])} if rows else {}

    async def _rows(self, sql: Sql, values: Mapping[str, Value]) -> Sequence[Row]:
        if not all(map(storable, values.values())):
            return ()  # what no row can hold, no row has
        rows: Sequence[Row] = await self._pool.ask(lambda connection: connection.fetch(sql.text, *sql.bind(**values)))
        return rows

    async def close(self) -> None:
        """Let go of all connections."""
        await self._pool.close()


async def _in_chunks(connection: Connection, text: str, arguments: Sequence[Value]) -> Sequence[Row]:
    """All rows; each chunk has to come within PATIENCE."""
    rows: list[Row] = []
    async with asyncio.timeout(PATIENCE):
        cursor = await connection.cursor(text, *arguments)
    while True:
        async with asyncio.timeout(PATIENCE):
            chunk = await cursor.fetch(CHUNK)
        rows += chunk
        if len(chunk) < CHUNK:
            return rows


@cache
def _beside(head: str, text: str) -> str:
    """One row of `head` before each of the rows of `text`, and TRUE behind it; before nothing where there are none."""
    return f"SELECT head.*, found.* FROM ({head}) head LEFT JOIN (SELECT *, TRUE FROM ({text}) rows) found ON TRUE"  # noqa: S608  # of compiled statements
