"""Connections to PostgreSQL: to the one that takes writes, durable, and never holding others up without a bound."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import asyncpg

from watchword_server.adapters.sql.upgrade import SchemaError
from watchword_server.ports import Unavailable

Connection: TypeAlias = asyncpg.Connection

CONNECT_PATIENCE: Final = 2.0
"""Seconds in which a connection must stand."""
STATEMENTS: Final = 256
"""Prepared statements that a connection keeps: more than there are."""
LONGEST_STATEMENT: Final = 64 * 1024
"""Bytes of a statement that is kept prepared: those of many rows are long."""
OFF: Final = ("off", "local")
"""What `synchronous_commit` must not be: the last commits would go with the power, or with a failover."""

FAULTS: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""Whatever can happen to a connection, TimeoutError included."""


_PASSING: Final = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


@dataclass(frozen=True, slots=True)
class Manners:
    """How a session behaves. Times are milliseconds, and kept by the server: it outlives a client that froze."""

    reads_only: bool
    statement: int
    lock: int
    idle: int
    """For how long it may hold a transaction open and say nothing."""

    def settings(self) -> dict[str, str]:
        return {
            "application_name": "watchword",
            "default_transaction_isolation": "read committed",
            "default_transaction_read_only": "on" if self.reads_only else "off",
            "statement_timeout": str(self.statement),
            "lock_timeout": str(self.lock),
            "idle_in_transaction_session_timeout": str(self.idle),
            # Look-ups by key: compiling them would take a hundred times as long as they do.
            "jit": "off",
        }


READER: Final = Manners(reads_only=True, statement=10_000, lock=2_000, idle=10_000)
# Who froze with a lock loses it before those who wait for it give up.
WRITER: Final = Manners(reads_only=False, statement=3_000, lock=3_000, idle=1_500)
LISTENER: Final = Manners(reads_only=True, statement=2_000, lock=2_000, idle=2_000)
MIGRATION: Final = Manners(reads_only=False, statement=0, lock=10_000, idle=60_000)


async def connect(url: str, manners: Manners) -> Connection:
    """A connection to the server that takes writes: never to a standby. Raises Unavailable."""
    try:
        async with asyncio.timeout(CONNECT_PATIENCE):
            return await asyncpg.connect(
                url,
                timeout=CONNECT_PATIENCE,
                statement_cache_size=STATEMENTS,
                max_cached_statement_lifetime=0,
                max_cacheable_statement_size=LONGEST_STATEMENT,
                server_settings=manners.settings(),
                target_session_attrs="primary",
            )
    except FAULTS as error:
        raise Unavailable(f"{place(url)} cannot be reached: {reason(error)}") from None  # it may hold the URL


async def writer(url: str) -> Connection:
    """A connection whose commits are durable. Raises Unavailable, and SchemaError for one whose commits are not."""
    connection = await connect(url, WRITER)
    try:
        durability = await connection.fetchval("SELECT current_setting('synchronous_commit')")
    except FAULTS as error:
        connection.terminate()
        raise Unavailable(f"{place(url)} does not answer: {reason(error)}") from error
    if durability in OFF:
        connection.terminate()
        raise SchemaError(
            f"{place(url)} has synchronous_commit = {durability}, which loses what was acknowledged: set it to `on`"
            " for this database and role."
        )
    return connection


def place(url: str) -> str:
    """Where it is, for people: without user and password."""
    parts = urlsplit(url)
    return f"PostgreSQL at {parts.netloc.rpartition('@')[2] or 'its socket'}{parts.path}"


def reason(error: BaseException) -> str:
    """What happened, in one line."""
    said = str(error).strip().partition("\n")[0]
    return said or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)


def taken(error: BaseException) -> bool:
    """Whether a row's identity is taken, or what it belongs to is gone."""
    return isinstance(error, asyncpg.UniqueViolationError | asyncpg.ForeignKeyViolationError)


def passing(error: BaseException) -> bool:
    """Whether the same may be tried again at once: two transactions crossed, or the connection ended.

    What the driver calls a wrong use of the connection is its end, too: the server has said so while we said nothing,
    as to who is silent for too long in a transaction.
    """
    return isinstance(error, _PASSING)
