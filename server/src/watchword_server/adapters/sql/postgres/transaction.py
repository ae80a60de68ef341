"""One batch of jobs as one transaction, in as few round trips as keep every failure to itself.

Three kinds of jobs run one kind after the other. Where one reads what another writes, that is their order.

1. Most touch neither the log nor what others cache. Statements of such jobs interleave between nodes anyway, so
   here they may too: the first statements of all of them go together, then the second ones, each text in one trip.
2. Those that must not have been overtaken by a revocation (`Unrevoked`).
3. Those that append to the log or move `Head.state`.

Why `seq` is the commit order, over all nodes. A batch with a job of the third kind takes the advisory lock LOCK
before its first statement, and PostgreSQL gives it back after the transaction has become visible to others (or has
gone). Within it, the head is read by a statement that begins after the lock is had; under READ COMMITTED it sees
all that was committed until then, so also what the holder before has committed. Entries get the numbers that follow,
and the head is moved in the same transaction. So the next holder reads a head that counts every entry before, and
whoever sees a head, or an entry, with `seq` n sees a committed transaction, before which all that appended the
entries below n had become visible. None below n can come later: its number would be given to nobody any more.

Why `Unrevoked` holds. A batch with such a job takes LOCK too, shared: a revocation waits until this transaction has
become visible, and its own statements, which end sessions and grants, begin after that and find what was added here.
The question is a statement of its own, begun when the lock is had: every revocation committed before is in its
snapshot, and none comes before our commit. It waits for no row, so nothing of it is evaluated twice on two snapshots.
PostgreSQL's queue for an advisory lock is fair: however many sign in, a revocation waits for those before it only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from typing import Final

import asyncpg
import msgspec

from watchword.log import Entry
from watchword_server.adapters.sql.journal import Done
from watchword_server.adapters.sql.log_head import LogHead
from watchword_server.adapters.sql.plan import Plan
from watchword_server.adapters.sql.postgres.connections import Connection, taken
from watchword_server.adapters.sql.statements import Commands, Sql, Step, Value
from watchword_server.ports import Conflict

LOCK: Final = 0x7761746368776F72
"""The lock of those who append to the log, beside no other's by its number: "watchwor" in ASCII."""
CHANNEL: Final = "watchword"
"""Where a commit is told that others should hear of."""

_OWN_FAULTS: Final = (Conflict, asyncpg.IntegrityConstraintViolationError, asyncpg.DataError)
"""What one job can cause by what it brings. Anything else is the database's state, and everybody's."""
_TRIES: Final = 2
"""Of all together, before those that are left go one by one."""

Outcome = Done | Exception


class NotCommitted(Exception):
    """The server did not say that it is durable."""


class _Run(msgspec.Struct, frozen=True):
    """One statement of a job: `number` is the job's."""

    number: int
    step: Step


@dataclass(slots=True)
class Batch:
    """A transaction under way."""

    connection: Connection
    commands: Commands[Sql]
    head: LogHead | None = None
    """As it will be, once something moves it."""
    _audit: list[tuple[Value, ...]] = field(default_factory=list)
    _entries: list[tuple[Value, ...]] = field(default_factory=list)
    _marked: bool = True
    """Whether nothing has happened since the savepoint."""

    async def run(self, plans: Sequence[Plan]) -> Sequence[Outcome]:
        """All jobs, each whole or not at all; what is left to do is to commit."""
        await self.connection.execute(_beginning(plans))
        outcomes: dict[int, Outcome] = {}
        kinds: list[list[int]] = [[], [], []]
        for number, plan in enumerate(plans):
            kinds[_kind(plan)].append(number)
        ordinary, guarded, moving = kinds
        outcomes.update(await self._together({number: plans[number] for number in ordinary}))
        alone = [number for number in ordinary if number not in outcomes]
        for number in (*alone, *guarded, *moving):
            outcomes[number] = await self._alone(plans[number])
        await self._finish()
        return [outcomes[number] for number in range(len(plans))]

    async def _together(self, plans: Mapping[int, Plan]) -> Mapping[int, Outcome]:
        """Those that went well; whoever is missing has to be tried alone."""
        trying = plans
        for _ in range(_TRIES):
            if len(trying) < 2:
                break
            try:
                rows = await self._in_step(trying)
            except _OWN_FAULTS:
                await self._undo()
                break
            missed = {number for number in trying if rows[number] is None}
            if not missed:
                return {number: self._done(plan, rows[number] or 0) for number, plan in trying.items()}
            # Others may have stood on what these did, or failed because of it: all of it is undone.
            await self._undo()
            trying = {number: plan for number, plan in trying.items() if number not in missed}
        return {}

    async def _in_step(self, plans: Mapping[int, Plan]) -> Mapping[int, int | None]:
        """Rows hit by each, or None where a statement did not find its row."""
        rows: dict[int, int | None] = dict.fromkeys(plans, 0)
        for turn in range(max(len(plan.steps) for plan in plans.values())):
            self._marked = False
            runs = [_Run(number, plan.steps[turn]) for number, plan in plans.items() if turn < len(plan.steps)]
            for text, same in _by_text(runs):
                hits = await self._hits(text, same)
                for run in same:
                    so_far = rows[run.number]
                    missed = so_far is None or (run.step.must and hits[run.number] != 1)
                    rows[run.number] = None if missed else (so_far or 0) + hits[run.number]
            if None in rows.values():
                break
        return rows

    async def _hits(self, text: str, runs: Sequence[_Run]) -> Mapping[int, int]:
        """How many rows each hit: the statement answers with the number that it is given for each of them."""
        hits: dict[int, int] = defaultdict(int)
        arguments = [(*run.step.arguments, run.number) for run in runs]
        for row in await self.connection.fetchmany(_answering(text, len(arguments[0])), arguments):
            hits[row[0]] += 1
        return hits

    async def _alone(self, plan: Plan) -> Outcome:
        """One job: all of its statements, or none and its failure."""
        if not plan.steps:  # nothing that could fail
            return await self._moved(plan, 0)
        await self._append()
        await self._mark()
        self._marked = False
        try:
            rows = 0
            for step in plan.steps:
                rows += await self._run(step)
        except _OWN_FAULTS as error:
            await self._undo()
            return Conflict("another record has this identity") if taken(error) else error
        return await self._moved(plan, rows)

    async def _run(self, step: Step) -> int:
        status: str = await self.connection.execute(step.text, *step.arguments)
        rows = int(status.rpartition(" ")[2])
        if step.must and rows != 1:
            raise Conflict("the database is in another state than this was decided on")
        return rows

    async def _moved(self, plan: Plan, rows: int) -> Done:
        """Give its entries the next numbers."""
        if not plan.revokes and not plan.touches:
            return self._done(plan, rows)
        head = self.head or await self._read_head()
        entries = []
        for revoke in plan.revokes:
            head, entry = head.append(revoke)
            entries.append(entry)
            self._entries.append(_append(self.commands, entry, head))
        self.head = head.touched() if plan.touches else head
        return self._done(plan, rows, tuple(entries))

    def _done(self, plan: Plan, rows: int, entries: tuple[Entry, ...] = ()) -> Done:
        self._audit += plan.audit
        return Done(entries, rows)

    async def _read_head(self) -> LogHead:
        (row,) = await self.connection.fetch(self.commands.head.text)
        return LogHead(*row)

    async def _finish(self) -> None:
        """What all jobs share."""
        await self._append()
        if self.head is not None:
            move = self.commands.move_head
            values = move.bind(seq=self.head.seq, chain=self.head.chain, state=self.head.state)
            await self.connection.execute(move.text, *values)
        start = 0
        for size, insert in sorted(self.commands.audit.items(), reverse=True):
            starts = range(start, len(self._audit) - size + 1, size)
            rows = [tuple(chain.from_iterable(self._audit[at : at + size])) for at in starts]
            start += size * len(rows)
            if rows:
                await self.connection.executemany(insert.text, rows)

    async def _append(self) -> None:
        """Write the entries that wait; whoever asks the log now finds them."""
        entries, self._entries = self._entries, []
        if entries:
            self._marked = False
            await self.connection.executemany(self.commands.append.text, entries)

    async def _mark(self) -> None:
        if not self._marked:
            await self.connection.execute("RELEASE SAVEPOINT job; SAVEPOINT job")

    async def _undo(self) -> None:
        await self.connection.execute("ROLLBACK TO SAVEPOINT job")
        self._marked = True


def one_statement(commands: Commands[Sql], plans: Sequence[Plan]) -> Step | None:
    """The one statement that all of it is: audit rows and nothing else, in a number for which there is an insert.

    Such a statement is a transaction by itself, in one trip instead of three.
    """
    if any(plan.steps or plan.revokes or plan.touches or plan.guards for plan in plans):
        return None
    rows = [row for plan in plans for row in plan.audit]
    insert = commands.audit.get(len(rows))
    return None if insert is None else Step(insert.text, tuple(chain.from_iterable(rows)), must=False)


async def commit(connection: Connection, moved: bool) -> None:
    """Make it durable, and tell the other nodes in the same transaction if it `moved` the log or the state.

    Raises NotCommitted, or what happened to the connection: then nobody knows whether it was.
    """
    # While it waits for a standby, a timeout of the server's would end the waiting, not the commit: it would be
    # answered as done, and be lost with the failover. Our own ends the connection, and nothing is answered.
    told = f"NOTIFY {CHANNEL}; " if moved else ""
    status = await connection.execute(f"{told}SET LOCAL statement_timeout = 0; COMMIT")
    if status != "COMMIT":
        raise NotCommitted(f"the server answered a commit with {status}")


def _beginning(plans: Sequence[Plan]) -> str:
    lock = ""
    if any(plan.revokes or plan.touches for plan in plans):
        lock = f"SELECT pg_advisory_xact_lock({LOCK}); "
    elif any(plan.guards for plan in plans):
        lock = f"SELECT pg_advisory_xact_lock_shared({LOCK}); "
    return f"BEGIN ISOLATION LEVEL READ COMMITTED; {lock}SAVEPOINT job"


def _kind(plan: Plan) -> int:
    return 2 if plan.revokes or plan.touches else 1 if plan.guards else 0


def _by_text(runs: Iterable[_Run]) -> Iterable[tuple[str, Sequence[_Run]]]:
    """In one order at every node, texts and identities alike: two that lock the same rows do not cross."""
    groups: dict[str, list[_Run]] = defaultdict(list)
    for run in runs:
        groups[run.step.text].append(run)
    return [(text, sorted(groups[text], key=_identity)) for text in sorted(groups)]


def _identity(run: _Run) -> str:
    """The last parameter: what an UPDATE names its row by."""
    return repr(run.step.arguments[-1:])


@cache
def _answering(text: str, parameters: int) -> str:
    return f"{text} RETURNING CAST(${parameters} AS BIGINT)"


def _append(commands: Commands[Sql], entry: Entry, head: LogHead) -> tuple[Value, ...]:
    return commands.append.bind(seq=entry.seq, kind=entry.kind, id=entry.id, until=entry.until, chain=head.chain)
