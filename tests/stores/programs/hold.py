"""Holds what nobody can write without, until its standard input closes."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys

import asyncpg

from watchword_server.adapters.sql.postgres.transaction import LOCK

ADAPTER, WHERE = sys.argv[1:]


def sqlite() -> None:
    """The database's one write lock."""
    connection = sqlite3.connect(WHERE, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    wait()
    connection.execute("ROLLBACK")
    connection.close()


async def postgres() -> None:
    """The lock of the log, as a node has it that froze in its transaction, and the table that every story writes."""
    connection = await asyncpg.connect(WHERE)
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
        await connection.execute("LOCK TABLE audit IN EXCLUSIVE MODE")
        await asyncio.to_thread(wait)
    await connection.close()


def wait() -> None:
    os.write(1, b"held\n")
    sys.stdin.read()


sqlite() if ADAPTER == "sqlite" else asyncio.run(postgres())
