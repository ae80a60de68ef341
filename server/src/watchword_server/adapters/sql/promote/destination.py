"""The PostgreSQL side of a promotion.

The database is claimed for one promotion, and whoever opens it as a store finds that it is not whole. While pieces
come in that do not fit together yet, it has no foreign keys and no indexes but the primary keys; when they do,
everything is put back as the migrations made it, and what follows is checked at each commit.
"""

# ruff: noqa: S608  # names of tables and columns come from the schema; values are always parameters

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from watchword_server.adapters.sql.postgres.connections import FAULTS, OFF, Connection, taken
from watchword_server.adapters.sql.promote.marker import TABLE, TAKEN
from watchword_server.adapters.sql.promote.origin import Change, Digest, Row
from watchword_server.adapters.sql.promote.shapes import SHAPES, Part, Shape, listed
from watchword_server.promotion import NotPromoted

LOCK: Final = 7_081_944_325_001_019
"""Held by the one promotion that writes; any number that nobody else uses."""
PATIENCE: Final = 5.0
"""Seconds that a promotion waits for the end of one that was killed."""
LONGEST_PIECE: Final = 120.0
"""Seconds in which a piece must be written: a database that froze must not be waited for without end."""
AT_ONCE: Final = 5000
"""Keys in one statement."""
NAMES: Final = tuple(shape.name for shape in SHAPES)
MIGRATIONS: Final = "alembic_version"

_TABLES: Final = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
_CONSTRAINTS: Final = """
SELECT c.conrelid::regclass::text, quote_ident(c.conname), pg_get_constraintdef(c.oid)
FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
WHERE c.contype = $1 AND t.relnamespace = current_schema()::regnamespace AND t.relname = ANY($2)
"""
_INDEXES: Final = """
SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid)
FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
WHERE t.relnamespace = current_schema()::regnamespace AND t.relname = ANY($1)
AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.indexrelid)
"""
_COUNTED: Final = """
SELECT table_name, quote_ident(column_name), pg_get_serial_sequence(quote_ident(table_name), column_name) AS counter
FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = ANY($1)
"""
_USED: Final = {"head": "SELECT 1 FROM head WHERE seq > 0 OR state > 0", "compatibility": "SELECT 1 WHERE false"}
"""What tells that a database is in use, where that is not any row: those that `watchword migrate` leaves."""


class Destination:
    """One PostgreSQL database, as one promotion holds it. What the driver raises is for the story to explain."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._id = ""
        self._loose: list[str] = []
        self._deferred: list[tuple[str, str]] = []
        self._counters: list[tuple[str, str, str]] = []
        self._ending = connection.transaction()

    def abandon(self) -> None:
        """Cut the connection: nothing more is sent, and what was begun is undone."""
        self._connection.terminate()

    async def hold(self) -> None:
        """Be the only promotion into this database. Raises NotPromoted where another one goes on."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while not await self._connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
            if asyncio.get_running_loop().time() >= deadline:
                raise NotPromoted("another `watchword promote` into this database is under way")
            await asyncio.sleep(0.1)

    async def state(self) -> tuple[str, str, bool] | None:
        """Of which promotion this is the target: its id, its log, whether it is complete. Waits for a commit."""
        if not await self._has(TABLE):
            return None
        # FOR UPDATE: a connection that was lost while it committed may be committing still.
        row = await self._connection.fetchrow(f"SELECT id, log, complete_at IS NOT NULL FROM {TABLE} FOR UPDATE")
        return None if row is None else (row[0], row[1], row[2])

    async def claim(self, id: str, log: str, migrate: Callable[[], Awaitable[None]]) -> None:
        """Empty the database for this promotion, and give it its schema. Raises NotPromoted where others use it.

        The mark is there before the first table, so nobody takes the database for one that is free.
        """
        await self._must_be_durable()
        async with self._connection.transaction():
            await self._must_be_free(log)
            found = await self._tables()
            for name in found & {*NAMES, MIGRATIONS, TABLE}:
                await self._connection.execute(f'DROP TABLE "{name}" CASCADE')
            await self._connection.execute(
                f"CREATE TABLE {TABLE} (id text PRIMARY KEY, log text NOT NULL, complete_at bigint)"
            )
            await self._connection.execute(f"INSERT INTO {TABLE} VALUES ($1, $2, NULL)", id, log)
        self._id = id
        await migrate()
        # What the migrations put in comes from the origin, too.
        await self._connection.execute(f"TRUNCATE {', '.join(NAMES)}")
        await self._loosen()

    async def release(self) -> None:
        """Let no other process complete what was claimed before."""
        async with self._connection.transaction():
            await self._connection.execute(f"UPDATE {TABLE} SET id = 'undone' WHERE complete_at IS NULL")

    async def fill(self, shape: Shape, rows: Sequence[Row]) -> None:
        """Add a piece of a table. A row that is there already was written anew meanwhile, and comes again later."""
        try:
            async with asyncio.timeout(LONGEST_PIECE):
                await self._copy(shape, rows)
        except FAULTS as error:
            if not taken(error):
                raise
            values = ", ".join(f"${number}" for number in range(1, len(shape.parts) + 1))
            insert = f'INSERT INTO "{shape.name}" ({shape.columns}) VALUES ({values}) ON CONFLICT DO NOTHING'
            await self._connection.executemany(insert, rows)

    async def apply(self, changes: Sequence[Change]) -> None:
        """Make everything as it was at a moment of the origin, in one transaction."""
        async with asyncio.timeout(LONGEST_PIECE), self._connection.transaction():
            await self._apply(changes)

    async def tighten(self) -> None:
        """Put back what `claim` has left out. Foreign keys are checked at each commit until all is complete."""
        for statement in self._loose:
            await self._connection.execute(statement)
        self._loose.clear()
        counted = await self._connection.fetch(_COUNTED, NAMES)
        self._counters = [(table, column, counter) for table, column, counter in counted if counter is not None]
        await self._connection.execute("ANALYZE")

    async def digests(self) -> Mapping[str, Digest]:
        """What stands in each table, in a few bytes."""
        return {shape.name: await self._digest(shape) for shape in SHAPES}

    async def finish(self, changes: Sequence[Change], counts: Mapping[str, int], highest: Mapping[str, int]) -> None:
        """Everything but the commit: the last changes, read back, and the counters beyond what was given out."""
        await self._connection.execute("RESET synchronous_commit")
        self._ending = self._connection.transaction()
        await self._ending.start()
        await self._apply(changes)
        await self._connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for change in changes:
            await self._read_back(change)
        await self._count(counts)
        await self._count_on(highest)
        for table, name in self._deferred:
            await self._connection.execute(f"ALTER TABLE {table} ALTER CONSTRAINT {name} NOT DEFERRABLE")

    async def complete(self, at: int) -> None:
        """Say that the database is whole. Raises NotPromoted when somebody has taken the promotion back."""
        said = f"UPDATE {TABLE} SET complete_at = $1 WHERE id = $2 AND complete_at IS NULL"
        if await self._connection.execute(said, at, self._id) != "UPDATE 1":
            raise NotPromoted(TAKEN)

    async def insert(self, table: str, row: Mapping[str, object]) -> None:
        """One row of this database's own."""
        names = ", ".join(f'"{name}"' for name in row)
        values = ", ".join(f"${number}" for number in range(1, len(row) + 1))
        await self._connection.execute(f'INSERT INTO "{table}" ({names}) VALUES ({values})', *row.values())

    async def commit(self) -> None:
        """What `finish` has begun is true for everybody."""
        await self._ending.commit()

    async def _must_be_durable(self) -> None:
        durability = await self._connection.fetchval("SELECT current_setting('synchronous_commit')")
        if durability in OFF:
            raise NotPromoted(f"the database has synchronous_commit = {durability}: set it to `on`")

    async def _must_be_free(self, log: str) -> None:
        state = await self.state()
        if state is not None and state[1] != log:
            raise NotPromoted("the database is the target of another deployment's promotion: name an empty one")
        if state is not None and state[2]:
            raise NotPromoted("the database is in use: a promotion into it was completed; name an empty one")
        if state is not None:
            return
        found = await self._tables()
        if found - {*NAMES, MIGRATIONS}:
            raise NotPromoted("the database is not empty: name one that nothing else uses")
        for name in sorted(found - {MIGRATIONS}):
            await self._connection.execute(f'LOCK TABLE "{name}" IN ACCESS EXCLUSIVE MODE')
            used = _USED.get(name, f'SELECT 1 FROM "{name}"')
            if await self._connection.fetchval(f"SELECT EXISTS ({used})"):
                raise NotPromoted("the database belongs to a deployment already: name an empty one")

    async def _loosen(self) -> None:
        await self._connection.execute("SET synchronous_commit = off")  # until the last commit, nothing depends on it
        await self._connection.execute("SET maintenance_work_mem = '128MB'")
        foreign = await self._connection.fetch(_CONSTRAINTS, b"f", NAMES)
        unique = await self._connection.fetch(_CONSTRAINTS, b"u", NAMES)
        indexes = await self._connection.fetch(_INDEXES, NAMES)
        for table, name, _ in (*foreign, *unique):
            await self._connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        for name, _ in indexes:
            await self._connection.execute(f"DROP INDEX {name}")
        self._loose = [f"ALTER TABLE {table} ADD CONSTRAINT {name} {text}" for table, name, text in unique]
        self._loose += [text for _, text in indexes]
        for table, name, text in foreign:
            own = "DEFERRABLE" in text
            self._loose.append(
                f"ALTER TABLE {table} ADD CONSTRAINT {name} {text}" + ("" if own else " DEFERRABLE INITIALLY DEFERRED")
            )
            if not own:
                self._deferred.append((table, name))

    async def _apply(self, changes: Sequence[Change]) -> None:
        """All that was touched goes first: a row may take what another gave up."""
        for change in reversed(changes):
            for keys in _pieces(change.keys):
                await self._connection.execute(
                    f'DELETE FROM "{change.shape.name}" AS one USING {_wanted(change.shape)}', *_arrays(keys)
                )
        for change in changes:
            await self._copy(change.shape, change.rows)

    async def _copy(self, shape: Shape, rows: Sequence[Row]) -> None:
        if rows:
            columns = [part.name.strip('"') for part in shape.parts]
            await self._connection.copy_records_to_table(shape.name, records=rows, columns=columns)

    async def _read_back(self, change: Change) -> None:
        shape, sent = change.shape, set(change.rows)
        keys = list({*change.keys, *(shape.key_of(row) for row in change.rows)})
        columns = listed(shape.parts, "one.")
        for piece in _pieces(keys):
            statement = f'SELECT {columns} FROM "{shape.name}" AS one, {_wanted(shape)}'
            sent ^= {tuple(row) for row in await self._connection.fetch(statement, *_arrays(piece))}
        if sent:
            raise NotPromoted(f"the last changes of the table {shape.name} did not arrive as they were sent")

    async def _count(self, counts: Mapping[str, int]) -> None:
        parts = ", ".join(f'(SELECT count(*) FROM "{name}")' for name in counts)
        row = await self._connection.fetchrow(f"SELECT {parts}")
        for (name, count), arrived in zip(counts.items(), row, strict=True):
            if arrived != count:
                raise NotPromoted(f"the table {name} has {count} rows, and {arrived} of them arrived")

    async def _count_on(self, highest: Mapping[str, int]) -> None:
        """What the database counts by itself goes on beyond every number that was ever given out."""
        for table, column, counter in self._counters:
            last = await self._connection.fetchval(f'SELECT coalesce(max({column}), 0) FROM "{table}"')
            last = max(last, highest.get(table, 0))
            await self._connection.execute("SELECT setval($1::text::regclass, $2, $3)", counter, max(last, 1), last > 0)

    async def _digest(self, shape: Shape) -> Digest:
        whole = "||','||".join(_spelled(part) for part in shape.parts)
        hashed = f"encode(substring(sha256(convert_to({whole}, 'UTF8')) FROM 1 FOR 8), 'hex')"
        row = await self._connection.fetchrow(
            f"SELECT count(*), coalesce(sum(('x' || {hashed})::bit(64)::bigint), 0) FROM \"{shape.name}\""
        )
        assert row is not None  # noqa: S101  # an aggregate has one row
        return row[0], int(row[1])

    async def _has(self, name: str) -> bool:
        return name in await self._tables()

    async def _tables(self) -> set[str]:
        return {name for (name,) in await self._connection.fetch(_TABLES)}


def _spelled(part: Part) -> str:
    """A column as text, exactly as `origin.py` has SQLite spell it."""
    match part.in_postgres:
        case "text":
            return f"coalesce(length({part.name})||':'||{part.name}, '-')"
        case "bytea":
            return f"coalesce(encode({part.name}, 'hex'), '-')"
        case _:
            return f"coalesce({part.name}::text, '-')"


def _wanted(shape: Shape) -> str:
    """Rows by their keys, which come as one array a column."""
    arrays = ", ".join(f"${number}::{part.in_postgres}[]" for number, part in enumerate(shape.key, 1))
    same = " AND ".join(f"one.{part.name} = wanted.{part.name}" for part in shape.key)
    return f"unnest({arrays}) AS wanted({listed(shape.key)}) WHERE {same}"


def _arrays(keys: Sequence[Row]) -> list[list[object]]:
    return [list(column) for column in zip(*keys, strict=True)]


def _pieces(keys: Sequence[Row]) -> list[Sequence[Row]]:
    return [keys[start : start + AT_ONCE] for start in range(0, len(keys), AT_ONCE)]
