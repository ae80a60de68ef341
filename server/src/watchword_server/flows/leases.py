"""Leases: which verifier processes are alive, up to where they know, and until when they may live in ignorance.

A verifier that hears nothing more refuses every token `refuse_after` seconds after the last signed message that it was
sent. So no message is sent that a durable lease does not outlive by that time and by the error of clocks: whatever
becomes of this node, who reads the leases knows of everybody who might still accept. Renewals and acknowledgements
of a moment are gathered, and written together.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Final

from msgspec.structs import replace

from watchword_server.flows.feed import Feed
from watchword_server.ports import Lease, Leases, Log, Unavailable
from watchword_server.protocol.errors import InvalidRequest, TooManyVerifiers

LEEWAY: Final = 5
"""Seconds by which clocks may differ between nodes."""
AHEAD: Final = 10
"""Seconds for which a lease is renewed beyond the message that it has to outlive."""
GATHER: Final = 0.02
"""Seconds in which renewals and acknowledgements are gathered for one write."""
TICK: Final = 1.0
"""Seconds between two looks at which leases have to be renewed."""
PATIENCE: Final = 0.5
"""Seconds for which a message to somebody on record waits for a renewal."""
LIMIT: Final = 10_000
"""Verifiers of one API."""
COUNTED: Final = 1.0
"""Seconds for which a count of them is good."""

Key = tuple[str, str]
"""Audience and verifier: the credentials of one API never touch another's leases."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Verifier:
    """A process as it describes itself. `refuse_after` is in seconds."""

    id: str
    name: str
    refuse_after: int


@dataclass(frozen=True, slots=True)
class Tenant:
    """A verifier that is on record, so that messages may be sent to it."""

    register: Register
    audience: str
    verifier: Verifier

    async def cover(self, time: int) -> None:
        """See that its lease outlives a message that was signed at `time` (milliseconds), before that is sent."""
        await self.register.cover(self, time / 1000)

    def listen(self, end: asyncio.Future[None]) -> None:
        """Have the lease renewed, again and again, until that is done."""
        self.register.listen((self.audience, self.verifier.id), end)


class Register:
    """This node's part of the leases: those that it has read or written, and what it was told since."""

    def __init__(self, leases: Leases, log: Log, feed: Feed, clock: Callable[[], float]) -> None:
        self._leases = leases
        self._log = log
        self._feed = feed
        self._clock = clock
        self._held: dict[Key, Lease] = {}  # as they are on disk at least, without what was acknowledged
        self._due: dict[Key, Lease] = {}
        self._written: asyncio.Future[Unavailable | None] | None = None
        self._called = asyncio.Event()
        self._listening: Counter[Key] = Counter()
        self._counts: dict[str, tuple[float, int]] = {}
        self._failing = False

    async def hold(self, audience: str, verifier: Verifier, log: str = "", seq: int = 0) -> Tenant:
        """Put a verifier on record that says that it stands there in the log; durable when this returns.

        Raises Unavailable when that cannot be now, TooManyVerifiers when the API has too many: then nothing may be
        sent. Who is on record already need not wait.
        """
        fresh = self._fresh(audience, verifier)
        if self._has(log, seq):
            fresh = replace(fresh, log=log, seq=seq, acknowledged_at=fresh.heard_at)
        key = audience, verifier.id
        found = self._held.get(key) or await self._leases.find(*key)
        if found is None:
            await self._admit(audience)
        else:
            self._held.setdefault(key, _silent(found))
        self._put(fresh)
        if found is None:
            await self._durable()
        return Tenant(self, audience, verifier)

    async def cover(self, tenant: Tenant, moment: float) -> None:
        """See that a lease outlives a message of that moment (seconds).

        A database that cannot be written does not silence the feed for those who are on record: nothing can be
        revoked in it, so what this node says is true. Their leases are renewed as soon as it can be written again.
        """
        held = self._held.get((tenant.audience, tenant.verifier.id))
        if held is not None and held.until >= moment + tenant.verifier.refuse_after + LEEWAY:
            return
        self._put(self._fresh(tenant.audience, tenant.verifier))
        if self._failing:
            return
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._durable()

    async def acknowledge(self, audience: str, verifier: str, log: str, seq: int) -> None:
        """A verifier has applied this log up to `seq`; durable when this returns.

        It may come late or twice, and about a verifier that is not on record it says nothing. Raises InvalidRequest
        for what is not in this log, Unavailable when it cannot be written now.
        """
        if not self._has(log, seq):
            head = await self._log.head()
            if log != head.log or seq > head.rev:
                raise InvalidRequest("the log has no such seq")
        key = audience, verifier
        lease = self._held.get(key) or await self._leases.find(*key)
        if lease is None:
            return
        self._held.setdefault(key, _silent(lease))
        now = int(self._clock())
        self._put(replace(lease, log=log, seq=seq, acknowledged_at=now, heard_at=now))
        await self._durable()

    def listen(self, key: Key, end: asyncio.Future[None]) -> None:
        """Renew the lease, again and again, until that is done."""
        self._listening[key] += 1
        end.add_done_callback(partial(self._listened, key))

    async def run(self) -> None:
        """Write what is due, and renew the leases of those who listen. Runs until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK):
                    await self._called.wait()
                    await asyncio.sleep(GATHER)
            self._called.clear()
            self._look_around()
            if self._due:
                await self._write()

    def _listened(self, key: Key, _: object) -> None:
        self._listening[key] -= 1
        if not self._listening[key]:
            del self._listening[key]

    def _has(self, log: str, seq: int) -> bool:
        """Whether this node knows by itself that the log has it."""
        known_log, known = self._feed.position
        return log != "" and log == known_log and seq <= known

    def _fresh(self, audience: str, verifier: Verifier) -> Lease:
        now = self._clock()
        until = ceil(now) + AHEAD + verifier.refuse_after + LEEWAY
        return Lease(audience, verifier.id, verifier.name, verifier.refuse_after, heard_at=int(now), until=until)

    async def _admit(self, audience: str) -> None:
        now = asyncio.get_running_loop().time()
        at, count = self._counts.get(audience, (now - COUNTED, 0))
        if now - at >= COUNTED:
            at, count = now, await self._leases.count(audience, int(self._clock()))
        if count >= LIMIT:
            raise TooManyVerifiers(f"{audience} has {count} verifiers already", AHEAD)
        self._counts[audience] = at, count + 1

    def _put(self, fresh: Lease) -> None:
        """Have it written before long, together with what waits already."""
        key = fresh.audience, fresh.verifier
        before = self._due.get(key) or self._held.get(key)
        self._due[key] = fresh if before is None else _joined(before, fresh)

    async def _durable(self) -> None:
        """Wait until what was put is on disk. Raises Unavailable."""
        if self._written is None:
            self._written = asyncio.get_running_loop().create_future()
        self._called.set()
        failure = await asyncio.shield(self._written)
        if failure is not None:
            raise Unavailable(str(failure))

    async def _write(self) -> None:
        batch, self._due = self._due, {}
        written, self._written = self._written, None
        failure: Unavailable | None = Unavailable("this server stops")
        try:
            failure = await self._kept(batch)
        finally:
            if written is not None:
                written.set_result(failure)

    async def _kept(self, batch: dict[Key, Lease]) -> Unavailable | None:
        """Why this could not be written; None when it is durable."""
        try:
            await self._leases.keep(list(batch.values()))
        except Unavailable as error:
            self._note(error)
            return error
        self._held.update((key, _silent(lease)) for key, lease in batch.items())
        self._note(None)
        return None

    def _note(self, failure: Unavailable | None) -> None:
        """Loudly, but once: while it lasts, verifiers may be alive whose leases have ended."""
        if failure is not None and not self._failing:
            logger.error("leases cannot be renewed", extra={"reason": str(failure)})
        if failure is None and self._failing:
            logger.warning("leases can be renewed again")
        self._failing = failure is not None

    def _look_around(self) -> None:
        """Renew the leases of who listens, in time; forget those that have ended."""
        now = self._clock()
        for key in self._listening:
            held = self._held.get(key)
            if held is not None and held.until < now + held.refuse_after + LEEWAY + AHEAD / 2:
                self._put(replace(held, until=ceil(now) + AHEAD + held.refuse_after + LEEWAY))
        for key in [key for key, lease in self._held.items() if lease.until < now and key not in self._listening]:
            del self._held[key]


def _joined(before: Lease, fresh: Lease) -> Lease:
    """What two say together: the newer facts, and of times and `seq` the higher."""
    news = before if fresh.log == "" or (fresh.log == before.log and fresh.seq < before.seq) else fresh
    return replace(
        fresh,
        log=news.log,
        seq=news.seq,
        acknowledged_at=news.acknowledged_at,
        heard_at=max(before.heard_at, fresh.heard_at),
        until=max(before.until, fresh.until),
    )


def _silent(lease: Lease) -> Lease:
    """Without what was acknowledged: another node may have heard more since, and of another log."""
    return replace(lease, log="", seq=0, acknowledged_at=0) if lease.log else lease
