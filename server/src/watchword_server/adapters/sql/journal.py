"""The writing half of the ports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from watchword.log import Entry
from watchword_server.adapters.sql import records
from watchword_server.adapters.sql.plan import Plan, plan
from watchword_server.adapters.sql.readers import Source
from watchword_server.adapters.sql.statements import Commands, Sql, Step
from watchword_server.changes import Audit, Change
from watchword_server.ports import Parcel

BATCH: Final = 256
"""Jobs in one commit."""
WAITING: Final = 1024
"""Jobs that may wait before more are refused."""


class Done(msgspec.Struct, frozen=True):
    """What a job became: its log entries, and how many rows its statements hit."""

    entries: tuple[Entry, ...]
    rows: int


class Writer(Protocol):
    """Group commit, as each database does it."""

    async def run(self, plan: Plan) -> Done:
        """Wait until the plan is durable. Conflict: nothing of it happened. Unavailable: nothing was acknowledged."""
        ...


class SqlJournal:
    """The one way to write."""

    def __init__(self, writer: Writer, commands: Commands[Sql]) -> None:
        self._writer = writer
        self._commands = commands

    async def save(self, *changes: Change) -> Sequence[Entry]:
        return (await self._writer.run(plan(self._commands, changes))).entries

    async def purge(self, now: int, audit_before: int) -> int:
        steps = [purge.step(now=now) for purge in self._commands.purge]
        steps.append(self._commands.purge_audit.step(before=audit_before))
        return (await self._writer.run(Plan(steps))).rows


class SqlOutbox:
    """What must be sent after the commit, at least once."""

    def __init__(self, source: Source, writer: Writer, commands: Commands[Sql]) -> None:
        self._source = source
        self._writer = writer
        self._commands = commands

    async def due(self, now: int, limit: int) -> Sequence[Parcel]:
        return await self._source.every(records.parcel, self._source.queries.due, now=now, limit=limit)

    async def claim(self, number: int, now: int, until: int) -> bool:
        done = await self._writer.run(Plan((self._commands.claim.step(of=number, now=now, until=until),)))
        return done.rows == 1

    async def sent(self, number: int, *rows: Audit) -> None:
        await self._write(self._commands.sent.step(of=number), rows)

    async def retry(self, number: int, at: int, reason: str, *rows: Audit) -> None:
        await self._write(self._commands.retry.step(of=number, due_at=at, reason=reason), rows)

    async def _write(self, step: Step, rows: Sequence[Audit]) -> None:
        await self._writer.run(Plan((step,), audit=[records.audit_row(row) for row in rows]))
