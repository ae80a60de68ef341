"""Rows of every table, whatever tables there are, and what stands in either database."""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import BigInteger, Column, LargeBinary, Table

from watchword_server.adapters.sql.schema import metadata
from watchword_server.adapters.sql.sqlite.store import open_store

Rows = dict[str, set[tuple[Any, ...]]]

ODD = ("", "-", "1:a,2:b", "Jürgen 🔑 \u200f", "a'b\"c\\d\n", "ﬀ\u0301")
"""Texts that some way of writing down would not bring back."""


def made(folder: Path, rows: int = 7) -> Path:
    """A SQLite file with rows in every table, in which no column is without a NULL or an odd value where it may be."""
    path = folder / "watchword.db"
    open_store(path).close()
    with closing(connected(path)) as database:
        for table in metadata.sorted_tables:
            for number in range(rows):
                add(database, table, number)
    return path


def connected(path: Path) -> sqlite3.Connection:
    """A connection that commits each statement."""
    database = sqlite3.connect(path, isolation_level=None, timeout=10)
    database.execute("PRAGMA foreign_keys = ON")
    return database


def add(database: sqlite3.Connection, table: Table, number: int) -> None:
    """A row of a table, unless a rule of the table is against it. Equal numbers make equal keys."""
    values = [value(column, number) for column in table.columns]
    places = ", ".join("?" for _ in values)
    database.execute(f"INSERT OR IGNORE INTO {table.name} VALUES ({places})", values)


def value(column: Column[Any], number: int) -> Any:
    """What stands in this column of a row."""
    if column.nullable and number % 2:
        return None
    if column.foreign_keys:
        (foreign,) = column.foreign_keys
        return value(foreign.column, number % 3)
    if isinstance(column.type, LargeBinary):
        return bytes([number % 256]) * 32 if column.primary_key else bytes(range(number % 256))
    if isinstance(column.type, BigInteger):
        return number + 1 if column.primary_key else (0, -1, 2**62, -(2**63))[number % 4]
    unique = column.primary_key or column.unique
    return f"{column.name}-{number}" if unique else ODD[number % len(ODD)]


def in_sqlite(path: Path) -> Rows:
    """Every row of every table, wherever a promotion has put it."""
    with closing(sqlite3.connect(path)) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        ours = [name for name in names if name not in ("alembic_version", "sqlite_sequence", "promotion")]
        return {
            name.removeprefix("promoted_"): set(database.execute(f"SELECT * FROM {name}").fetchall())
            for name in ours
            if not name.startswith("promotion_")
        }


def names(path: Path) -> set[str]:
    """Everything that the file's schema names."""
    with closing(sqlite3.connect(path)) as database:
        return {name for (name,) in database.execute("SELECT name FROM sqlite_master")}


def in_postgres(url: str) -> Rows:
    """Every row of every table."""

    async def read(connection: asyncpg.Connection) -> Rows:
        found = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        ours = {name for (name,) in found} - {"alembic_version", "promotion"}
        return {name: {tuple(row) for row in await connection.fetch(f"SELECT * FROM {name}")} for name in ours}

    return asked(url, read)


def schema(url: str) -> set[str]:
    """Every constraint and index of the schema, as PostgreSQL spells it."""

    async def read(connection: asyncpg.Connection) -> set[str]:
        rows = await connection.fetch(
            "SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE connamespace = current_schema()::regnamespace AND conrelid::regclass::text <> 'promotion'"
            " UNION ALL SELECT indexdef FROM pg_indexes"
            " WHERE schemaname = current_schema() AND tablename <> 'promotion'"
        )
        return {text for (text,) in rows}

    return asked(url, read)


def asked(url: str, ask: Callable[[asyncpg.Connection], Any]) -> Any:
    """What one connection answers."""

    async def run() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await ask(connection)
        finally:
            await connection.close()

    return asyncio.run(run())


def differences(here: Rows, there: Rows) -> Mapping[str, Any]:
    """Tables that differ, but for the one audit row that a promotion writes about itself."""
    found = {name: here.get(name, set()) ^ there.get(name, set()) for name in here.keys() | there.keys()}
    own = {row for row in found.get("audit", set()) if "issuer.promote" in row}
    if len(own) == 1:
        found["audit"] -= own
    return {name: rows for name, rows in found.items() if rows}


def token() -> bytes:
    """A refresh token's hash."""
    return secrets.token_bytes(32)
