"""Group commit: one task takes whatever waits, runs it as one transaction, and answers when it is durable.

Measured beside PostgreSQL's own `commit_delay`, which spares flushes, but neither round trips nor statements: see
docs/decisions/0016-postgresql.md.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any, Final

import msgspec

from watchword_server.adapters.sql.journal import BATCH, WAITING, Done
from watchword_server.adapters.sql.plan import Plan
from watchword_server.adapters.sql.postgres.connections import FAULTS, Connection, passing, reason
from watchword_server.adapters.sql.postgres.transaction import Batch, Outcome, commit, one_statement
from watchword_server.adapters.sql.postgres.values import check
from watchword_server.adapters.sql.statements import Commands, Sql, Step
from watchword_server.ports import Unavailable

PATIENCE: Final = 4.0
"""Seconds for a batch, from its first statement to its commit."""
TRIES: Final = 3
"""Of a batch that other nodes' transactions crossed, or whose connection ended before its COMMIT was sent."""

logger = logging.getLogger(__name__)


class _Job(msgspec.Struct, frozen=True):
    plan: Plan
    future: asyncio.Future[Done]


class Writer:
    """The one writing connection of this process. `news` is called after a commit that others should hear of."""

    def __init__(
        self, connect: Callable[[], Awaitable[Connection]], commands: Commands[Sql], news: Callable[[], None]
    ) -> None:
        self._connect = connect
        self._connection: Connection | None = None
        self._commands = commands
        self._news = news
        self._jobs: deque[_Job] = deque()
        self._working: asyncio.Task[None] | None = None
        self._closed = False
        self._doubtful = False

    async def run(self, plan: Plan) -> Done:
        """Wait until the plan is durable. Conflict: nothing of it happened. Unavailable: nothing was acknowledged."""
        if self._closed:
            raise Unavailable("the store is closed")
        if len(self._jobs) >= WAITING:
            raise Unavailable("too many transactions wait")
        check(chain.from_iterable(step.arguments for step in plan.steps))
        check(chain.from_iterable(plan.audit))
        loop = asyncio.get_running_loop()
        job = _Job(plan, loop.create_future())
        self._jobs.append(job)
        if self._working is None:
            self._working = loop.create_task(self._work_off())  # it begins in the next turn, with all jobs of this one
        return await job.future

    @property
    def process(self) -> int | None:
        """The server's number for this connection, by which its notifications are told from others'."""
        connection = self._connection
        return None if connection is None or connection.is_closed() else connection.get_server_pid()

    async def close(self) -> None:
        """Finish what waits, then let go of the connection."""
        self._closed = True
        if self._working is not None:
            await self._working
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*FAULTS):
                await connection.close(timeout=1)

    async def _work_off(self) -> None:
        try:
            while self._jobs:
                jobs = [self._jobs.popleft() for _ in range(min(BATCH, len(self._jobs)))]
                _settle(jobs, await self._done(jobs))
        finally:
            self._working = None

    async def _done(self, jobs: Sequence[_Job]) -> Sequence[Outcome]:
        """Run all jobs as one transaction; Unavailable for each of them when it is not known to be durable."""
        plans = [job.plan for job in jobs]
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._committed(plans)
        except Exception as error:  # whatever it was, the task must live, and nothing was acknowledged
            logger.warning("nothing was acknowledged: %s", reason(error))
            self._drop()
            # Whoever waits has waited for as long as anybody may.
            late = [self._jobs.popleft() for _ in range(len(self._jobs))]
            refused = Unavailable("the database cannot commit now")
            _settle(late, [refused] * len(late))
            return [refused] * len(jobs)

    async def _committed(self, plans: Sequence[Plan]) -> Sequence[Outcome]:
        if (step := one_statement(self._commands, plans)) is not None:
            await self._run_whole(step)
            return [Done((), 0)] * len(plans)
        for left in reversed(range(TRIES)):
            connection = await self._connected()
            batch = Batch(connection, self._commands)
            try:
                outcomes = await batch.run(plans)
            except FAULTS as error:
                # Its COMMIT was never sent, so nothing of it is there or will be.
                self._drop()
                if not left or not passing(error):
                    raise
                continue
            await self._commit(connection, batch.head is not None)
            return outcomes
        raise AssertionError("the last try returns or raises")

    async def _run_whole(self, step: Step) -> None:
        """Run what commits by itself. Never twice: whoever hears nothing of it cannot know whether it is there."""
        connection = await self._connected()
        self._doubtful = False
        await connection.execute(step.text, *step.arguments)
        self._must_be_certain()

    async def _commit(self, connection: Connection, moved: bool) -> None:
        self._doubtful = False
        await commit(connection, moved)
        self._must_be_certain()
        if moved:
            self._news()

    def _must_be_certain(self) -> None:
        if self._doubtful:
            raise Unavailable("the server warned of this commit")

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._connect()
            self._connection.add_log_listener(self._warned)
        return self._connection

    def _warned(self, _: Connection, message: Any) -> None:
        """A commit that gave up waiting for its standby is a warning: it is not what was promised."""
        if getattr(message, "severity_en", None) == "WARNING":
            logger.warning("the database warns: %s", message)
            self._doubtful = True

    def _drop(self) -> None:
        """A connection on which something failed is never used again: the server undoes what it had begun."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


def _settle(jobs: Sequence[_Job], outcomes: Sequence[Outcome]) -> None:
    for job, outcome in zip(jobs, outcomes, strict=True):
        if job.future.done():  # its caller was cancelled
            continue
        if isinstance(outcome, Exception):
            job.future.set_exception(outcome)
        else:
            job.future.set_result(outcome)
