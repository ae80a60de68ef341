"""Group commit: one thread takes whatever waits, runs it as one transaction, and answers when it is durable.

One job's failure is its own: it is undone alone, and those beside it go on. A commit that fails is the failure
of all of them, and none was acknowledged.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from queue import SimpleQueue
from threading import Thread
from typing import Final

import msgspec

from watchword.log import Entry
from watchword_server.adapters.sql.journal import BATCH, WAITING, Done
from watchword_server.adapters.sql.log_head import LogHead
from watchword_server.adapters.sql.plan import Plan
from watchword_server.adapters.sql.sqlite import connections
from watchword_server.adapters.sql.statements import Commands, Sql, Step, Value
from watchword_server.changes import Revoke
from watchword_server.ports import Conflict, Unavailable

_OWN_FAULTS: Final = (
    Conflict,
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    ValueError,
    OverflowError,
)
"""What one job's values can cause. Anything else is the database's state, and everybody's."""

logger = logging.getLogger(__name__)


Outcome = Done | Exception


class _Torn(Exception):
    """A job failed in its midst, and what it had done so far stands among what others did."""


class _Job(msgspec.Struct, frozen=True):
    plan: Plan
    future: asyncio.Future[Done]
    loop: asyncio.AbstractEventLoop


@dataclass(slots=True)
class _Batch:
    """What one transaction gathers: the head as it will be, once known, and the audit rows of all jobs."""

    head: LogHead | None = None
    audit: list[tuple[Value, ...]] = field(default_factory=list)


class Writer:
    """The one writing thread of this process. `news` runs on it after a commit that others should hear of."""

    def __init__(
        self, connect: Callable[[], sqlite3.Connection], commands: Commands[Sql], news: Callable[[], None]
    ) -> None:
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        self._commands = commands
        self._audit = sorted(((size, sql.text) for size, sql in commands.audit.items()), reverse=True)
        self._news = news
        self._jobs: deque[_Job] = deque()
        self._calls: SimpleQueue[bool] = SimpleQueue()
        self._calling: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._thread = Thread(target=self._serve, name="watchword-writer", daemon=True)
        self._thread.start()

    async def run(self, plan: Plan) -> Done:
        """Wait until the plan is durable. Raises Conflict or Unavailable, and then nothing of it happened."""
        if self._closed:
            raise Unavailable("the store is closed")
        if len(self._jobs) >= WAITING:
            raise Unavailable("too many transactions wait")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Done] = loop.create_future()
        self._jobs.append(_Job(plan, future, loop))
        # One call for all jobs of this turn: a thread that wakes for each of them fights for the interpreter's lock.
        if self._calling is not loop:
            self._calling = loop
            loop.call_soon(self._call)
        return await future

    def close(self) -> None:
        """Finish what waits, then end the thread."""
        if not self._closed:
            self._closed = True
            self._calls.put(False)
        self._thread.join()

    def _call(self) -> None:
        self._calling = None
        self._calls.put(True)

    def _serve(self) -> None:
        while self._calls.get():
            self._work_off()
        self._work_off()
        self._disconnect()

    def _work_off(self) -> None:
        while jobs := [self._jobs.popleft() for _ in range(min(BATCH, len(self._jobs)))]:
            _answer(jobs, self._commit(jobs))

    def _commit(self, jobs: Sequence[_Job]) -> Sequence[Outcome]:
        """Run all jobs as one transaction; Unavailable for each of them when it cannot be made durable."""
        try:
            connection = self._connection = self._connection or self._connect()
            try:
                batch, outcomes = self._transact(connection, jobs, careful=False)
            except _Torn:
                connection.execute("ROLLBACK")
                batch, outcomes = self._transact(connection, jobs, careful=True)
            connection.execute("COMMIT")
            if any(job.plan.destroys for job in jobs):
                _scrub(connection)
        except Exception as error:  # whatever it was, the thread must live, and nothing was acknowledged
            logger.warning("nothing was committed: %s", error)
            self._recover(error)
            return [Unavailable("the database cannot commit now") for _ in jobs]
        if batch.head is not None:
            self._news()
        return outcomes

    def _transact(
        self, connection: sqlite3.Connection, jobs: Sequence[_Job], careful: bool
    ) -> tuple[_Batch, Sequence[Outcome]]:
        """Everything but the commit."""
        connections.begin(connection)
        batch = _Batch()
        outcomes = [self._attempt(connection, job.plan, batch, careful) for job in jobs]
        self._finish(connection, batch)
        return batch, outcomes

    def _attempt(self, connection: sqlite3.Connection, plan: Plan, batch: _Batch, careful: bool) -> Outcome:
        """One job: all of its statements, or none and its failure."""
        try:
            rows = _run_alone(connection, plan.steps) if careful else _run_boldly(connection, plan.steps)
        except _OWN_FAULTS as error:
            return Conflict("another record has this identity") if connections.taken(error) else error
        batch.audit += plan.audit
        if not plan.revokes and not plan.touches:
            return Done((), rows)
        head = batch.head or self._head(connection)
        entries = []
        for revoke in plan.revokes:
            head, entry = self._append(connection, head, revoke)
            entries.append(entry)
        batch.head = head.touched() if plan.touches else head
        return Done(tuple(entries), rows)

    def _head(self, connection: sqlite3.Connection) -> LogHead:
        return LogHead(*connection.execute(self._commands.head.text).fetchone())

    def _append(self, connection: sqlite3.Connection, head: LogHead, revoke: Revoke) -> tuple[LogHead, Entry]:
        head, entry = head.append(revoke)
        append = self._commands.append
        values = append.bind(seq=entry.seq, kind=entry.kind, id=entry.id, until=entry.until, chain=head.chain)
        connection.execute(append.text, values)
        return head, entry

    def _finish(self, connection: sqlite3.Connection, batch: _Batch) -> None:
        """What all jobs share: one update of the head, few inserts for many audit rows."""
        if (head := batch.head) is not None:
            move = self._commands.move_head
            connection.execute(move.text, move.bind(seq=head.seq, chain=head.chain, state=head.state))
        start = 0
        for size, insert in self._audit:
            while len(batch.audit) - start >= size:
                connection.execute(insert, tuple(chain.from_iterable(batch.audit[start : start + size])))
                start += size

    def _recover(self, error: Exception) -> None:
        """Undo what was begun. A connection that failed otherwise than by a lock or a full disk is replaced."""
        try:
            if self._connection is not None and self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._disconnect()
        if not connections.passing(error):
            self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()


def _scrub(connection: sqlite3.Connection) -> None:
    """After a commit: whatever becomes of this, that is durable."""
    try:
        if not connections.scrub(connection):
            logger.warning("what was destroyed is still in the write-ahead log: others read it all the time")
    except sqlite3.Error as error:
        logger.warning("what was destroyed is still in the write-ahead log: %s", error)


def _run_boldly(connection: sqlite3.Connection, steps: Sequence[Step]) -> int:
    """Run the statements without a savepoint, which would cost as much as they do. Raises _Torn to be run with one.

    Nearly all that fail do so at their first statement, such as the second who spends a token: then nothing is there.
    """
    rows = 0
    for number, step in enumerate(steps):
        try:
            rows += _hits(connection, step)
        except _OWN_FAULTS as error:
            if number:
                raise _Torn from error
            raise
    return rows


def _run_alone(connection: sqlite3.Connection, steps: Sequence[Step]) -> int:
    """Run the statements so that a failure undoes them and nothing else. How many rows they hit."""
    if len(steps) < 2:  # one statement is undone by the database itself
        return sum(_hits(connection, step) for step in steps)
    connection.execute("SAVEPOINT job")
    try:
        rows = sum(_hits(connection, step) for step in steps)
    except _OWN_FAULTS:
        connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")
        raise
    connection.execute("RELEASE job")
    return rows


def _hits(connection: sqlite3.Connection, step: Step) -> int:
    done = connection.execute(step.text, step.arguments)
    rows = done.rowcount if done.description is None else len(done.fetchall())  # a question is counted by its answer
    if step.must and rows != 1:
        raise Conflict("the database is in another state than this was decided on")
    return rows


def _answer(jobs: Sequence[_Job], outcomes: Sequence[Outcome]) -> None:
    """Wake each event loop once for all of its callers."""
    for loop in {job.loop for job in jobs}:
        settled = [(job.future, outcome) for job, outcome in zip(jobs, outcomes, strict=True) if job.loop is loop]
        with suppress(RuntimeError):  # a closed loop has nobody left to tell
            loop.call_soon_threadsafe(_settle, settled)


def _settle(settled: Sequence[tuple[asyncio.Future[Done], Outcome]]) -> None:
    for future, outcome in settled:
        if future.done():  # its caller was cancelled
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
