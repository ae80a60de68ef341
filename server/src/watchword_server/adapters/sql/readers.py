"""The reading half of the ports.

Point look-ups run right on the event loop, on one connection that only reads: a reader of SQLite's write-ahead
log waits for nobody, and a trip to a thread would cost several times the look-up. Lists run on a thread.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Generic, TypeVar

from watchword.log import Entry, genesis
from watchword_server.adapters.sql import records
from watchword_server.adapters.sql.statements import Queries, Row, Sql, Value
from watchword_server.changes import Audit, StoredKey
from watchword_server.people.values import Session, User
from watchword_server.ports import Head, Unavailable
from watchword_server.protocol.values import Api, Client, EncryptedToken, Grant, RefreshToken

NEAR: Final = 200
"""Log entries that are read on the event loop; more go to the thread."""
CACHED: Final = 10_000
"""Records that a cache holds before it is emptied."""

T = TypeVar("T")


class Reading:
    """One connection that only reads, for one thread at a time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, sql: Sql, **values: Value) -> list[Row]:
        """Every row, read to the end: a statement that is left open would hold its moment for ever."""
        try:
            return self._connection.execute(sql.text, sql.bind(**values) if sql.order else ()).fetchall()
        except (UnicodeEncodeError, OverflowError):
            return []  # what no row can hold, no row has
        except sqlite3.Error as error:
            raise Unavailable(f"the database cannot answer now: {error}") from error

    def at_once(self, questions: Callable[[], T]) -> T:
        """Ask several questions of one moment."""
        try:
            self._connection.execute("BEGIN")
            try:
                return questions()
            finally:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise Unavailable(f"the database cannot answer now: {error}") from error

    def close(self) -> None:
        self._connection.close()


class Source:
    """Where the readers read: one connection on the event loop, another on a thread."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], queries: Queries[Sql]) -> None:
        self.queries = queries
        self.here = Reading(connect())
        self._there = Reading(connect())
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="watchword-reader")
        self._head: Head | None = None
        self._turn: asyncio.AbstractEventLoop | None = None
        self._polled: Head | None = None
        self._polling: asyncio.AbstractEventLoop | None = None

    def head(self) -> Head:
        """The head in this turn of the event loop, read once for everybody in it.

        Whatever was committed before a request was sent is in it: that request is read in a later turn.
        """
        loop = asyncio.get_running_loop()
        if self._head is None or self._turn is not loop:
            self._head, self._turn = self._read_head(), loop
            loop.call_soon(self._end_turn)
        return self._head

    def polled(self) -> Head:
        """The head for who is called right from a socket, read once for all that one poll found.

        Never the one of `head`: uvloop calls sockets before what was put off to the next turn, so a task may have
        read that before the request was sent.
        """
        loop = asyncio.get_running_loop()
        if self._polled is None or self._polling is not loop:
            self._polled, self._polling = self._read_head(), loop
            loop.call_soon(self._end_poll)
        return self._polled

    def _read_head(self) -> Head:
        return records.head(self.here.rows(self.queries.head)[0])

    def _end_turn(self) -> None:
        self._head = None

    def _end_poll(self) -> None:
        self._polled = None

    def one(self, read: Callable[[Row], T], sql: Sql, **values: Value) -> T | None:
        """The record that an identity names."""
        rows = self.here.rows(sql, **values)
        return read(rows[0]) if rows else None

    async def elsewhere(self, ask: Callable[[Reading], T]) -> T:
        """Ask on the thread."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, ask, self._there)
        except RuntimeError as error:
            raise Unavailable("the store is closed") from error

    async def every(self, read: Callable[[Row], T], sql: Sql, **values: Value) -> Sequence[T]:
        """A list, on the thread."""
        return await self.elsewhere(lambda reading: [read(row) for row in reading.rows(sql, **values)])

    def close(self) -> None:
        self._thread.shutdown(cancel_futures=True)
        self.here.close()
        self._there.close()


class Cache(Generic[T]):
    """Records that rarely change, kept as long as `Head.state` stays the same, whichever process changes it."""

    def __init__(self, source: Source, sql: Sql, name: str, read: Callable[[Row], T]) -> None:
        self._source = source
        self._sql = sql
        self._name = name
        self._read = read
        self._state = -1
        self._known: dict[str, T] = {}

    def find(self, identity: str) -> T | None:
        """The record as it is now."""
        # The state is read first: a record that is newer than it is thrown away too early, never too late.
        state = self._source.head().state
        if state != self._state or len(self._known) >= CACHED:
            self._known, self._state = {}, state
        record = self._known.get(identity)
        if record is None:
            record = self._source.one(self._read, self._sql, **{self._name: identity})
            if record is not None:
                self._known[identity] = record
        return record


class SqlLog:
    """The revocation log."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._queries = source.queries

    async def head(self) -> Head:
        return self._source.head()

    def latest(self) -> Head | None:
        return self._source.polled()

    async def after(self, seq: int, limit: int) -> tuple[Head, Sequence[Entry]]:
        head = self._head(self._source.here)
        if head.rev <= seq:
            return head, ()
        if min(limit, head.rev - seq) <= NEAR:
            return self._after(self._source.here, seq, limit)
        return await self._source.elsewhere(lambda reading: self._after(reading, seq, limit))

    async def alive(self, now: int) -> tuple[Head, Sequence[Entry]]:
        return await self._source.elsewhere(lambda reading: self._alive(reading, now))

    async def chain_at(self, seq: int) -> bytes | None:
        head = self._head(self._source.here)
        if seq == head.rev:  # known even where its entry is forgotten
            return head.chain
        if seq == 0:
            return genesis(head.log)
        rows = self._source.here.rows(self._queries.chain, seq=seq)
        return rows[0][0] if rows else None

    def _head(self, reading: Reading) -> Head:
        return records.head(reading.rows(self._queries.head)[0])

    def _after(self, reading: Reading, seq: int, limit: int) -> tuple[Head, Sequence[Entry]]:
        head, rows = reading.at_once(
            lambda: (self._head(reading), reading.rows(self._queries.after, seq=seq, limit=limit))
        )
        wanted = min(limit, head.rev - seq)
        if len(rows) != wanted or rows[-1][0] != seq + wanted:
            return head, ()  # some between are forgotten
        return head, [records.entry(row) for row in rows]

    def _alive(self, reading: Reading, now: int) -> tuple[Head, Sequence[Entry]]:
        head, rows = reading.at_once(lambda: (self._head(reading), reading.rows(self._queries.alive, now=now)))
        return head, [records.entry(row) for row in rows]


class SqlUsers:
    """People."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._queries = source.queries

    async def find(self, sub: str) -> User | None:
        return self._source.one(records.user, self._queries.user, sub=sub)

    async def named(self, email: str) -> User | None:
        return self._source.one(records.user, self._queries.user_named, email=email)

    async def all(self, after: str, limit: int) -> Sequence[User]:
        return await self._source.every(records.user, self._queries.users, after=after, limit=limit)


class SqlClients:
    """Registered programs."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._queries = source.queries
        self._cache = Cache(source, self._queries.client, "client_id", records.client)

    async def find(self, client_id: str) -> Client | None:
        return self._cache.find(client_id)

    async def all(self, after: str, limit: int) -> Sequence[Client]:
        return await self._source.every(records.client, self._queries.clients, after=after, limit=limit)


class SqlApis:
    """Resource servers."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._queries = source.queries
        self._by_audience = Cache(source, self._queries.api, "audience", records.api)
        self._by_client = Cache(source, self._queries.api_of, "client_id", records.api)

    async def find(self, audience: str) -> Api | None:
        return self._by_audience.find(audience)

    async def of(self, client_id: str) -> Api | None:
        return self._by_client.find(client_id)

    async def all(self) -> Sequence[Api]:
        return await self._source.every(records.api, self._queries.apis)


class SqlSessions:
    """Sign-ins."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._queries = source.queries

    async def find(self, sid: str) -> Session | None:
        return self._source.one(records.session, self._queries.session, sid=sid)

    async def of(self, sub: str) -> Sequence[Session]:
        return await self._source.every(records.session, self._queries.sessions_of, sub=sub)


class SqlGrants:
    """What clients may do for subjects."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._queries = source.queries

    async def find(self, gid: str) -> Grant | None:
        return self._source.one(records.grant, self._queries.grant, gid=gid)


class SqlRefreshTokens:
    """Refresh tokens, kept by SHA-256."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._queries = source.queries

    async def find(self, hash: bytes) -> RefreshToken | None:
        return self._source.one(records.refresh_token, self._queries.refresh_token, hash=hash)


class SqlEncryptedTokens:
    """Encrypted access tokens, kept by SHA-256."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._queries = source.queries

    async def find(self, hash: bytes) -> EncryptedToken | None:
        return self._source.one(records.encrypted_token, self._queries.encrypted_token, hash=hash)


class SqlKeys:
    """Signing keys at rest."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._queries = source.queries

    async def all(self) -> Sequence[StoredKey]:
        return await self._source.every(records.stored_key, self._queries.keys)


class SqlAuditTrail:
    """What happened."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._queries = source.queries

    async def latest(self, limit: int) -> Sequence[Audit]:
        return await self._source.every(records.audit, self._queries.audit, limit=limit)
