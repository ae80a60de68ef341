"""The story of a promotion: what happens in which order, and what becomes of a failure.

    copying      triggers watch the SQLite file; everything is copied, compared, and kept up with
    cut          no table of the file has its name any more: from here on nobody reads or writes it
    completing   the last changes have been sent and read back; PostgreSQL is about to be told to commit
    complete     PostgreSQL has committed that it is whole, and nodes serve from it

Each stage is durable in the file before the next begins. Before `completing` no copy can be complete, so any failure
takes the cut back, by this process or by the next that is started. After it only PostgreSQL knows, and is asked.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from watchword_server.adapters.sql.postgres.connections import FAULTS, Connection, reason
from watchword_server.adapters.sql.promote.destination import Destination
from watchword_server.adapters.sql.promote.marker import Marker, moved
from watchword_server.adapters.sql.promote.origin import Origin
from watchword_server.adapters.sql.promote.shapes import SHAPES
from watchword_server.adapters.sql.queries import AUDIT
from watchword_server.adapters.sql.records import audit_row, stored_key
from watchword_server.adapters.sql.sqlite.store import open_store
from watchword_server.adapters.sql.upgrade import REVISION
from watchword_server.changes import Audit, StoredKey
from watchword_server.ports import Moved, Unavailable
from watchword_server.promotion import NotPromoted, Promoted, PromotionStep

FEW: Final = 500
"""Changes that are soon shipped: then the cut may come."""
ROUNDS: Final = 30
"""After so many it comes anyway: those who write all the time wait a little longer."""
BREATH: Final = 0.25
"""Seconds between two rounds while an operator is asked."""
LONGEST_PAUSE: Final = 30.0
"""Seconds after which the cut is taken back."""
IN_DOUBT: Final = 30.0
"""Seconds in which PostgreSQL may be asked whether it has committed."""

Stage = Literal["prepare", "copy", "index", "compare", "follow", "cut"]


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be promoted, and to where. `place` names the target without user and password.

    `connect` opens it, `migrate` gives it its schema; `tell` hears of every step; `agreed` ends when the cut may come,
    or raises; `row` is for the audit trail, when so many rows have moved; `nudge` has other processes look at the file.
    """

    path: Path
    id: str
    place: str
    connect: Callable[[], Awaitable[Connection]]
    migrate: Callable[[], Awaitable[None]]
    tell: Callable[[PromotionStep], None]
    agreed: Callable[[], Awaitable[None]]
    row: Callable[[int], Audit]
    nudge: Callable[[], None]


def keys(path: Path) -> Sequence[StoredKey]:
    """The signing keys of a file that may be promoted, which is brought to this version's schema.

    Raises NotPromoted where there is none, SchemaError for one of a newer version, Unavailable when it is locked.
    """
    if not path.exists():
        raise NotPromoted(f"there is no SQLite deployment at {path}: `watchword migrate` begins one on PostgreSQL")
    with suppress(Moved):  # then it has the schema, and says itself how far it came
        open_store(path).close()
    origin = Origin(path)
    try:
        if origin.revision != REVISION:  # what a newer version added, this one would leave behind
            raise NotPromoted(f"{path} was upgraded by a newer version of Watchword: promote it with that version")
        return [key for key in map(stored_key, origin.rows("keys")) if key.revoked_at is None]
    finally:
        origin.close()


async def promote(task: Task) -> Promoted:
    """Move everything. Raises NotPromoted or Unavailable: then the SQLite file is in use as before.

    But for one case: PostgreSQL was lost while it committed, and cannot be asked. The message says so.
    """
    began = time.monotonic()
    origin = Origin(task.path)
    try:
        async with _explained(task), _opened(task) as destination:
            await destination.hold()
            done = await _recovered(task, origin, destination)
            return done or await _Promotion(task, origin, destination).run(began)
    finally:
        origin.close()


async def undo(task: Task) -> bool:
    """Take back what a promotion has left in the file. Whether there was anything. Raises NotPromoted, Unavailable."""
    origin = Origin(task.path)
    try:
        found = origin.marker
        if found is None:
            return False
        if found.stage == "complete":
            raise NotPromoted(f"{moved(found)}; what was done since is there only")
        if found.stage == "completing":
            async with _explained(task), _opened(task) as destination:
                await destination.hold()
                await _must_be_open(found, origin, destination)
        origin.undo()
        task.nudge()
        return True
    finally:
        origin.close()


async def _recovered(task: Task, origin: Origin, destination: Destination) -> Promoted | None:
    """What the last promotion left is taken back; or it turns out that it was completed."""
    found = origin.marker
    if found is None or found.stage == "copying":
        return None
    state = await destination.state()
    if state is not None and state[0] == found.id and state[2]:
        origin.complete()
        (head,) = origin.rows("head")
        return Promoted(task.place, head[1], head[2], sum(origin.sizes().values()), resumed=True)
    await _must_be_open(found, origin, destination)
    origin.undo()
    task.nudge()
    return None


async def _must_be_open(found: Marker, origin: Origin, destination: Destination) -> None:
    """Whoever is about to take back a cut must know that it was not completed, and never will be."""
    if found.stage == "complete":
        raise NotPromoted(moved(found))
    if found.stage == "cut":
        return  # it would have to become `completing` first, which it cannot any more
    state = await destination.state()
    if state is None or state[0] != found.id:
        raise NotPromoted(
            f"the deployment was being moved to {found.place}, and only that database knows whether it has arrived:"
            " name it with --to"
        )
    if state[2]:
        origin.complete()
        raise NotPromoted(f"the deployment has arrived at {found.place}, and what was done since is there only")
    await destination.release()


class _Promotion:
    """One run."""

    def __init__(self, task: Task, origin: Origin, destination: Destination) -> None:
        self._task = task
        self._origin = origin
        self._to = destination
        self._committing = False

    async def run(self, began: float) -> Promoted:
        try:
            (head,) = self._origin.rows("head")
            await self._copy(head[1])
            await self._follow()
            return await self._complete(began)
        except BaseException:
            if not self._committing:
                self._to.abandon()  # first: what it was sent must not become true after all
                self._take_back()
            raise

    async def _copy(self, log: str) -> None:
        """Everything, while it changes; then what has changed; then both sides are compared."""
        self._tell("prepare")
        self._origin.watch(self._task.id, self._task.place, log)
        await self._to.claim(self._task.id, log, self._task.migrate)
        done, total = 0, sum(self._origin.sizes().values())
        for shape in SHAPES:
            for rows in self._origin.pages(shape):
                await self._to.fill(shape, rows)
                done += len(rows)
                self._task.tell(PromotionStep("copy", shape.name, done, max(done, total)))
        await self._round()
        self._tell("index")
        await self._to.tighten()
        await self._compare()

    async def _compare(self) -> None:
        """Row by row, at one moment. What comes after it is read back when it is written."""
        self._tell("compare")
        with self._origin.moment() as moment:
            await self._to.apply(moment.changes())
            here, there = await asyncio.gather(asyncio.to_thread(moment.digests), self._to.digests())
        if different := [name for name in here if here[name] != there[name]]:
            raise NotPromoted(f"what arrived is not what was sent: {', '.join(different)} differ; run it again")

    async def _follow(self) -> None:
        """Keep up with changes until few are left and nobody minds the cut."""
        self._tell("follow")
        asked = asyncio.ensure_future(self._task.agreed())
        try:
            while not asked.done():
                await self._round()
                await asyncio.wait((asked,), timeout=BREATH)
            asked.result()
        finally:
            asked.cancel()
        for _ in range(ROUNDS):
            if await self._round() <= FEW:
                return

    async def _round(self) -> int:
        with self._origin.moment() as moment:
            changes = moment.changes()
        await self._to.apply(changes)
        return sum(len(change.keys) + len(change.rows) for change in changes)

    async def _complete(self, began: float) -> Promoted:
        self._tell("cut")
        cut = time.monotonic()
        async with asyncio.timeout(LONGEST_PAUSE):
            self._origin.cut()
            self._task.nudge()
            (head,) = self._origin.rows("head")
            counts = await self._finish()
            self._origin.completing()
        self._committing = True
        await self._commit()
        end = time.monotonic()
        with suppress(sqlite3.Error):  # then the next process that wants to know asks PostgreSQL
            self._origin.complete()
        return Promoted(self._task.place, head[1], head[2], sum(counts.values()), end - began, end - cut)

    async def _finish(self) -> Mapping[str, int]:
        """All but the commit; how many rows of each table have moved."""
        with self._origin.moment() as moment:
            changes, counts, highest = moment.changes(), moment.counts(), moment.highest()
        await self._to.finish(changes, counts, highest)
        names = [column.name for column in AUDIT]
        await self._to.insert("audit", dict(zip(names, audit_row(self._task.row(sum(counts.values()))), strict=True)))
        await self._to.complete(int(time.time()))
        return counts

    async def _commit(self) -> None:
        """Once the commit is sent, it may be true whatever comes back; or comes not."""
        try:
            async with asyncio.timeout(LONGEST_PAUSE):
                await self._to.commit()
        except FAULTS as error:
            self._to.abandon()
            if not await self._has_committed():
                self._take_back()
                raise Unavailable(f"{self._task.place} did not commit; nothing has moved: {reason(error)}") from error

    async def _has_committed(self) -> bool:
        """Ask again and again. Raises Unavailable when nobody answers: then the file stays as it is."""
        deadline = time.monotonic() + IN_DOUBT
        while time.monotonic() < deadline:
            with suppress(Unavailable, *FAULTS):
                async with asyncio.timeout(IN_DOUBT), _opened(self._task) as other:
                    state = await other.state()
                    if state is not None and not state[2]:
                        await other.release()
                    return state is not None and state[2]
            await asyncio.sleep(BREATH)
        found = self._origin.marker
        raise Unavailable(f"{self._task.place} was lost while it committed: {moved(found) if found else 'ask it'}")

    def _take_back(self) -> None:
        try:
            self._origin.undo(self._task.id)
        except sqlite3.Error as error:
            found = self._origin.marker
            raise Unavailable(moved(found) if found else str(error)) from error
        self._task.nudge()

    def _tell(self, stage: Stage) -> None:
        self._task.tell(PromotionStep(stage))


@asynccontextmanager
async def _opened(task: Task) -> AsyncIterator[Destination]:
    destination = Destination(await task.connect())
    try:
        yield destination
    finally:
        destination.abandon()


@asynccontextmanager
async def _explained(task: Task) -> AsyncIterator[None]:
    """What the drivers raise, as sentences."""
    try:
        yield
    except FAULTS as error:
        raise Unavailable(f"{task.place}: {reason(error)}") from error
    except sqlite3.Error as error:
        raise Unavailable(f"{task.path} cannot be read or written now: {error}") from error
