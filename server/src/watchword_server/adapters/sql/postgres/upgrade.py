"""The schema of a PostgreSQL database: whether this code can serve it, and bringing it up to date.

A server never migrates by itself: several start at once, and an operator wants to say when. Alembic writes the SQL of
the revisions, and it runs here, all of it in one transaction.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Final

from watchword.jose.b64 import b64url
from watchword.log import genesis
from watchword_server.adapters.sql.postgres import connections
from watchword_server.adapters.sql.postgres.connections import FAULTS, Connection, place, reason
from watchword_server.adapters.sql.promote.marker import must_be_whole
from watchword_server.adapters.sql.statements import load
from watchword_server.adapters.sql.upgrade import (
    OLDEST,
    REVISION,
    REVISIONS,
    Schema,
    SchemaError,
    Upgrade,
    must_be_ours,
)
from watchword_server.ports import Random, Unavailable

LOCK: Final = 0x7761746368776F73
"""Held by who migrates: the next waits and finds nothing left to do."""
OLDEST_SERVER: Final = 130_000
"""PostgreSQL 13: the oldest whose statements in one message have a timeout each."""

_FACTS: Final = "SELECT current_setting('server_version_num')::int, current_setting('server_encoding')"
_THERE: Final = """
SELECT to_regclass('alembic_version') IS NOT NULL, to_regclass('compatibility') IS NOT NULL,
    NOT EXISTS (
        SELECT 1 FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND relname <> 'promotion'
    )
"""


async def must_be_servable(url: str) -> None:
    """Raises SchemaError, which says what to do, or Unavailable."""
    connection = await connections.writer(url)
    try:
        async with asyncio.timeout(connections.CONNECT_PATIENCE):
            await _must_be_fit(connection, place(url))
            await must_be_whole(connection, place(url))
            found = await schema(connection)
    except FAULTS as error:
        raise Unavailable(f"{place(url)} does not answer: {reason(error)}") from error
    finally:
        connection.terminate()
    must_be_ours(found, place(url))
    if found.is_behind:
        state = "has no schema yet" if found.revision is None else f"has the schema of revision {found.revision}"
        raise SchemaError(f"{place(url)} {state}, and this version wants {REVISION}: run `watchword migrate`.")


async def due(url: str) -> Upgrade:
    """What `migrate` would do, by a look. Raises SchemaError or Unavailable."""
    connection = await connections.connect(url, connections.LISTENER)
    try:
        await _must_be_fit(connection, place(url))
        found = await schema(connection)
    except FAULTS as error:
        raise Unavailable(f"{place(url)} does not answer: {reason(error)}") from error
    finally:
        connection.terminate()
    return _upgrade(url, found)


async def migrate(url: str, random: Random = secrets.token_bytes) -> Upgrade:
    """Apply what is missing, or nothing of it. Raises SchemaError or Unavailable."""
    connection = await connections.connect(url, connections.MIGRATION)
    try:
        await _must_be_fit(connection, place(url))
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
            # Looked at again: whoever was waited for may have done it all.
            upgrade = _upgrade(url, await schema(connection))
            if upgrade.found != upgrade.wanted:
                await _apply(connection, upgrade.found, random)
        return upgrade
    except FAULTS as error:
        raise Unavailable(f"{place(url)} was not migrated, and is as it was: {reason(error)}") from error
    finally:
        connection.terminate()


async def schema(connection: Connection) -> Schema:
    """What stands in the database."""
    versioned, compatible, empty = await connection.fetchrow(_THERE)
    revision = await connection.fetchval(REVISIONS) if versioned else None
    oldest = await connection.fetchval(OLDEST) if compatible else None
    return Schema(revision, oldest, empty)


def _upgrade(url: str, found: Schema) -> Upgrade:
    must_be_ours(found, place(url))
    return Upgrade(place(url), found.revision, found.wanted)


async def _apply(connection: Connection, revision: str | None, random: Random) -> None:
    from watchword_server.adapters.sql.migrations import run  # only here: it brings Alembic

    await connection.execute(run.script("postgresql", revision))
    log = b64url(random(16))
    begin = load("postgres").commands.begin_log
    await connection.execute(begin.text, *begin.bind(log=log, chain=genesis(log)))


async def _must_be_fit(connection: Connection, where: str) -> None:
    version, encoding = await connection.fetchrow(_FACTS)
    if version < OLDEST_SERVER:
        raise SchemaError(f"{where} is PostgreSQL {version // 10_000}: Watchword needs 13 or newer.")
    if encoding != "UTF8":
        raise SchemaError(f"{where} keeps text as {encoding}: make the database with ENCODING 'UTF8'.")
