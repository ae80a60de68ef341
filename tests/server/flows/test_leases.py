"""The register of verifiers, on one node and beside another: durable before anything is sent, and never too short."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass, field

import pytest

from tests.server.flows.house import AUDIENCE, NOW, OTHER_AUDIENCE, House
from watchword_server.changes import Revoke
from watchword_server.flows import leases as module
from watchword_server.flows.leases import AHEAD, LEEWAY, LIMIT, PATIENCE, Register, Tenant, Verifier
from watchword_server.ports import Lease, Leases, Unavailable
from watchword_server.protocol.errors import InvalidRequest, TooManyVerifiers

VERIFIER = Verifier("v" * 22, "orders-1", 60)
REACH = VERIFIER.refuse_after + LEEWAY
"""Seconds from the last message to the last token that is accepted."""


@dataclass
class Clock:
    """Seconds since 1970, as the test says."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


@dataclass
class Counted:
    """The leases of a store, and how often they were written."""

    leases: Leases
    written: list[int] = field(default_factory=list)

    async def keep(self, leases: Sequence[Lease]) -> None:
        """Pass them on."""
        self.written.append(len(leases))
        await self.leases.keep(leases)

    def __getattr__(self, name: str) -> object:
        return getattr(self.leases, name)


@dataclass(frozen=True)
class Node:
    """A register at work."""

    register: Register
    clock: Clock
    leases: Counted

    async def find(self, verifier: str = VERIFIER.id, audience: str = AUDIENCE) -> Lease:
        """What is on disk."""
        found = await self.leases.find(audience, verifier)  # type: ignore[operator]  # of the store
        assert isinstance(found, Lease)
        return found


@asynccontextmanager
async def node(house: House) -> AsyncIterator[Node]:
    """As in a server, but for the clock."""
    clock, issuer = Clock(), house.issuer
    counted = Counted(issuer.stores.leases)
    register = Register(counted, issuer.stores.log, issuer.feed, clock)  # type: ignore[arg-type]  # as said
    await issuer.feed.catch_up()
    task = asyncio.create_task(register.run())
    try:
        yield Node(register, clock, counted)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@contextmanager
def listening(tenant: Tenant) -> Iterator[None]:
    """A stream that is open."""
    end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    tenant.listen(end)
    yield
    end.set_result(None)


@contextmanager
def locked(house: House) -> Iterator[None]:
    """The database, held by another writer."""
    with closing(sqlite3.connect(house.data / "watchword.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def until(fact: Callable[[], object], within: float = 10.0) -> None:
    """Wait for it."""
    async with asyncio.timeout(within):
        while not fact():
            await asyncio.sleep(0.005)


async def revoked(house: House, count: int) -> tuple[str, int]:
    """So many entries; the log, and its last `seq`."""
    await house.issuer.stores.journal.save(*[Revoke("token", f"jti-{n}", NOW + 900) for n in range(count)])
    head = await house.issuer.stores.log.head()
    return head.log, head.rev


async def test_a_lease_is_durable_before_anything_is_sent(house: House) -> None:
    """Another process sees it when `hold` returns; it outlives every message of the next seconds."""
    async with node(house) as one, house.another_process() as other:
        await one.register.hold(AUDIENCE, VERIFIER)
        (lease,) = await other.issuer.stores.leases.all(NOW)
    assert (lease.audience, lease.verifier, lease.name, lease.refuse_after) == (AUDIENCE, "v" * 22, "orders-1", 60)
    assert (lease.log, lease.seq, lease.heard_at, lease.until) == ("", 0, NOW, NOW + AHEAD + REACH)


async def test_without_a_lease_nothing_may_be_sent(house: House) -> None:
    """A node that cannot write tells a stranger nothing; afterwards it can."""
    async with node(house) as one:
        with locked(house), pytest.raises(Unavailable):
            await one.register.hold(AUDIENCE, VERIFIER)
        assert await house.issuer.stores.leases.all(NOW) == []
        await one.register.hold(AUDIENCE, VERIFIER)
        assert await one.find()


async def test_a_message_never_outlives_its_lease(house: House) -> None:
    """Whenever it was signed, the lease on disk reaches further when `cover` returns, and is not written in vain."""
    async with node(house) as one:
        tenant = await one.register.hold(AUDIENCE, VERIFIER)
        written = len(one.leases.written)
        for later in range(0, 200, 3):
            one.clock.now = NOW + later
            await tenant.cover((NOW + later) * 1000)
            assert (await one.find()).until >= NOW + later + REACH
        assert len(one.leases.written) - written <= 200 / AHEAD * 3


async def test_who_is_on_record_is_served_while_nothing_can_be_written(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """What nobody can revoke in, says the truth. The renewal follows, and the log says both, once each."""
    async with node(house) as one:
        tenant = await one.register.hold(AUDIENCE, VERIFIER)
        one.clock.now = NOW + 100
        with locked(house), listening(tenant):
            for _ in range(2):
                async with asyncio.timeout(PATIENCE + 5):
                    await tenant.cover((NOW + 100) * 1000)
            await until(lambda: "leases cannot be renewed" in caplog.text)
            async with asyncio.timeout(PATIENCE / 2):
                await tenant.cover((NOW + 100) * 1000)
            await one.register.hold(AUDIENCE, VERIFIER)
        with listening(tenant):
            await until(lambda: "leases can be renewed again" in caplog.text)
        assert (await one.find()).until >= NOW + 100 + REACH
    assert caplog.text.count("leases cannot be renewed") == 1


async def test_the_lease_of_who_listens_is_renewed(house: House) -> None:
    """In time, and no longer than it listens."""
    async with node(house) as one:
        tenant = await one.register.hold(AUDIENCE, VERIFIER)
        with listening(tenant), listening(tenant):
            one.clock.now = NOW + AHEAD / 2 + 1
            async with asyncio.timeout(5):
                while (await one.find()).until <= NOW + AHEAD + REACH:
                    await asyncio.sleep(0.01)
        kept = await one.find()
        assert kept.heard_at == NOW, "it only listened"
        one.clock.now = kept.until + 1
        await one.register.hold(AUDIENCE, Verifier("w" * 22, "another", 60))
        assert (await one.find()).until == kept.until


async def test_what_is_acknowledged_is_on_disk_and_never_runs_backwards(house: House) -> None:
    """Late or twice, it does no harm."""
    log, _ = await revoked(house, 5)
    async with node(house) as one:
        await one.register.hold(AUDIENCE, VERIFIER)
        one.clock.now = NOW + 7
        for seq, stands in ((2, 2), (5, 5), (3, 5), (5, 5), (0, 5)):
            await one.register.acknowledge(AUDIENCE, VERIFIER.id, log, seq)
            found = await one.find()
            assert (found.log, found.seq, found.acknowledged_at, found.heard_at) == (log, stands, NOW + 7, NOW + 7)


async def test_a_question_tells_where_its_verifier_stands(house: House) -> None:
    """An acknowledgement that was lost is made good by the next question; what is not in the log counts for nothing."""
    log, _ = await revoked(house, 3)
    async with node(house) as one:
        await one.register.hold(AUDIENCE, VERIFIER, log, 2)
        assert (await one.find()).seq == 2
        for other, seq in ((log, 4), ("another", 1), ("", 0)):
            await one.register.hold(AUDIENCE, VERIFIER, other, seq)
            await one.register.acknowledge(AUDIENCE, VERIFIER.id, log, 1)
            assert (await one.find()).seq == 2


@pytest.mark.parametrize("case", ["beyond the head", "of another log"])
async def test_what_is_not_in_the_log_is_refused(house: House, case: str) -> None:
    """Nobody claims what cannot be known."""
    log, head = await revoked(house, 2)
    async with node(house) as one:
        await one.register.hold(AUDIENCE, VERIFIER)
        bad = {"beyond the head": (log, head + 1), "of another log": ("another", 1)}[case]
        with pytest.raises(InvalidRequest):
            await one.register.acknowledge(AUDIENCE, VERIFIER.id, *bad)
        assert (await one.find()).seq == 0


async def test_a_node_that_lags_asks_before_it_refuses(house: House) -> None:
    """A verifier may have heard it from a faster one."""
    async with node(house) as one:
        await one.register.hold(AUDIENCE, VERIFIER)
        log, head = await revoked(house, 2)
        assert house.issuer.feed.position[1] < head
        await one.register.acknowledge(AUDIENCE, VERIFIER.id, log, head)
        assert (await one.find()).seq == head


async def test_who_is_not_on_record_says_nothing(house: House) -> None:
    """A stranger makes no rows, and neither does another API under a known id."""
    log, head = await revoked(house, 1)
    async with node(house) as one:
        await one.register.hold(AUDIENCE, VERIFIER)
        await one.register.acknowledge(AUDIENCE, "s" * 22, log, head)
        await one.register.acknowledge(OTHER_AUDIENCE, VERIFIER.id, log, head)
        assert [lease.seq for lease in await house.issuer.stores.leases.all(NOW)] == [0]


async def test_any_node_takes_an_acknowledgement(house: House) -> None:
    """And takes nothing back by its own renewals that another has heard meanwhile."""
    log, head = await revoked(house, 3)
    async with node(house) as one, house.another_process() as other, node(other) as two:
        tenant = await one.register.hold(AUDIENCE, VERIFIER)
        await one.register.acknowledge(AUDIENCE, VERIFIER.id, log, 1)
        await two.register.acknowledge(AUDIENCE, VERIFIER.id, log, head)
        one.clock.now = NOW + 50
        await tenant.cover((NOW + 50) * 1000)
        found = await one.find()
        assert (found.seq, found.until) == (head, NOW + 50 + AHEAD + REACH)
        one.clock.now = NOW + 90
        newer = Lease(AUDIENCE, VERIFIER.id, "orders-1", 60, "log-after-a-restore", 1, NOW, NOW, NOW)
        await house.issuer.stores.leases.keep([newer])
        await tenant.cover((NOW + 90) * 1000)
        assert ((await one.find()).log, (await one.find()).seq) == (newer.log, 1)


async def test_many_acknowledgements_are_one_write(house: House) -> None:
    """A thousand at once cost a commit or two, and each is on disk when it is answered."""
    log, head = await revoked(house, 1)
    async with node(house) as one:
        ids = [f"{n:022}" for n in range(300)]
        await asyncio.gather(*(one.register.hold(AUDIENCE, Verifier(id, "n", 60)) for id in ids))
        one.leases.written.clear()
        await asyncio.gather(*(one.register.acknowledge(AUDIENCE, id, log, head) for id in ids))
        assert await house.issuer.stores.leases.behind(log, head, NOW) == []
        assert len(one.leases.written) <= 3


async def test_the_verifiers_of_an_api_are_bounded(house: House) -> None:
    """Who would not be counted is told nothing. Who is on record stays, and so do other APIs; room comes with time."""
    store = house.issuer.stores.leases
    many = [Lease(AUDIENCE, f"{n:022}", "n", 60, until=NOW + 75) for n in range(LIMIT - 1)]
    await store.keep(many)
    async with node(house) as one:
        await one.register.hold(AUDIENCE, VERIFIER)
        with pytest.raises(TooManyVerifiers) as refused:
            await one.register.hold(AUDIENCE, Verifier("w" * 22, "one too many", 60))
        assert refused.value.retry_after > 0
        await one.register.hold(AUDIENCE, Verifier(many[0].verifier, "n", 60))
        await one.register.hold(OTHER_AUDIENCE, VERIFIER)
        assert await store.count(AUDIENCE, NOW) == LIMIT
        one.clock.now = NOW + 76
        async with asyncio.timeout(5):
            while True:
                with suppress(TooManyVerifiers):
                    await one.register.hold(AUDIENCE, Verifier("w" * 22, "now", 60))
                    break
                await asyncio.sleep(0.05)


async def test_a_register_that_dies_leaves_nobody_waiting(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it died of, who waits is told that it was not written."""

    class Broken:
        async def find(self, audience: str, verifier: str) -> None:
            return None

        async def count(self, audience: str, now: int) -> int:
            return 0

        async def keep(self, leases: Sequence[Lease]) -> None:
            raise RuntimeError("broken")

    monkeypatch.setattr(module, "GATHER", 0)
    register = Register(Broken(), house.issuer.stores.log, house.issuer.feed, Clock())  # type: ignore[arg-type]  # broken
    task = asyncio.create_task(register.run())
    async with asyncio.timeout(5):
        with pytest.raises(Unavailable):
            await register.hold(AUDIENCE, VERIFIER)
        with pytest.raises(RuntimeError):
            await task
