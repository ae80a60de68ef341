"""Where the readers read.

Point look-ups run right on the event loop, on one connection that only reads: a reader of SQLite's write-ahead
log waits for nobody, and a trip to a thread would cost several times the look-up. Lists run on a thread.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from watchword_server.adapters.sql import records
from watchword_server.adapters.sql.promote.marker import refusal
from watchword_server.adapters.sql.statements import Queries, Row, Sql, Value
from watchword_server.ports import Head, Unavailable

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
            raise refusal(self._connection, error) from error

    def at_once(self, questions: Callable[[], T]) -> T:
        """Ask several questions of one moment."""
        try:
            self._connection.execute("BEGIN")
            try:
                return questions()
            finally:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise refusal(self._connection, error) from error

    def close(self) -> None:
        self._connection.close()


class Source:
    """Where the readers read: one connection on the event loop, another on a thread."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], queries: Queries[Sql]) -> None:
        self._queries = queries
        self._here = Reading(connect())
        self._there = Reading(connect())
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="watchword-reader")
        self._head: Head | None = None
        self._turn: asyncio.AbstractEventLoop | None = None
        self._polled: Head | None = None
        self._polling: asyncio.AbstractEventLoop | None = None

    @property
    def queries(self) -> Queries[Sql]:
        return self._queries

    async def head(self) -> Head:
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
        return self._head_of(self._here)

    def _head_of(self, reading: Reading) -> Head:
        return records.head(reading.rows(self._queries.head)[0])

    def _end_turn(self) -> None:
        self._head = None

    def _end_poll(self) -> None:
        self._polled = None

    async def one(self, read: Callable[[Row], T], sql: Sql, **values: Value) -> T | None:
        """The record that an identity names."""
        rows = self._here.rows(sql, **values)
        return read(rows[0]) if rows else None

    async def with_head(self, sql: Sql, few: bool, **values: Value) -> tuple[Head, Sequence[Row]]:
        """Both, of one moment; on the thread unless it is soon done."""

        def ask(reading: Reading) -> tuple[Head, Sequence[Row]]:
            return reading.at_once(lambda: (self._head_of(reading), reading.rows(sql, **values)))

        return ask(self._here) if few else await self._elsewhere(ask)

    async def _elsewhere(self, ask: Callable[[Reading], T]) -> T:
        """Ask on the thread."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, ask, self._there)
        except RuntimeError as error:
            raise Unavailable("the store is closed") from error

    async def every(self, read: Callable[[Row], T], sql: Sql, **values: Value) -> Sequence[T]:
        """A list, on the thread."""
        return await self._elsewhere(lambda reading: [read(row) for row in reading.rows(sql, **values)])

    def close(self) -> None:
        self._thread.shutdown(cancel_futures=True)
        self._here.close()
        self._there.close()
