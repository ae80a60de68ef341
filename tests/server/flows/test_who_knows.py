"""Where a revocation is known: who acknowledged, who is silent, and by when those refuse."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from msgspec.structs import replace as changed

from tests.server.flows.house import NOW, House
from watchword_server.changes import Revoke
from watchword_server.flows.leases import LEEWAY
from watchword_server.flows.who_knows import Awaited, Silent, verifiers
from watchword_server.ports import Lease, Leases, Unavailable

ORDERS = "https://orders.example"
LONG = 60.0
"""Seconds that no test waits."""


def lease(name: str, until: int = NOW + 75, **more: object) -> Lease:
    """Of a process that was heard ten seconds ago."""
    known = Lease(ORDERS, f"{name:_<22}", name, 60, heard_at=NOW - 10, until=until)
    return changed(known, **more)


async def revoked(house: House) -> tuple[str, int]:
    """One more entry."""
    await house.issuer.stores.journal.save(Revoke("token", "jti", NOW + 900))
    head = await house.issuer.stores.log.head()
    return head.log, head.rev


def awaited(house: House, seq: int, now: float = NOW) -> Awaited:
    """From its commit on."""
    return Awaited(house.issuer.stores, seq, lambda: now)


async def test_nobody_is_known(house: House) -> None:
    """It is over at once, and says so."""
    _, seq = await revoked(house)
    async with asyncio.timeout(5):
        reach = await awaited(house, seq).everywhere(LONG)
    assert (reach.seq, reach.known, reach.silent) == (seq, 0, ())


async def test_all_have_acknowledged(house: House) -> None:
    """By another process, one after the other, while somebody waits; the time is that of the last."""
    log, seq = await revoked(house)
    leases = [lease(f"orders-{n}") for n in range(3)]
    await house.issuer.stores.leases.keep(leases)
    async with house.another_process() as other, asyncio.timeout(10):
        waiting = asyncio.create_task(awaited(house, seq).everywhere(LONG))
        for one in leases:
            await asyncio.sleep(0.05)
            assert not waiting.done()
            await other.issuer.stores.leases.keep([changed(one, log=log, seq=seq, acknowledged_at=NOW)])
        reach = await waiting
    assert (reach.known, reach.silent) == (3, ())
    assert 0.15 <= reach.after < 5


async def test_who_is_silent_is_named(house: House) -> None:
    """Whoever lacks this entry: of an older state, of another log, of none at all."""
    log, first = await revoked(house)
    _, seq = await revoked(house)
    heard = {
        "knows": {"log": log, "seq": seq},
        "older": {"log": log, "seq": first},
        "other": {"log": "another", "seq": seq + 5},
        "never": {},
    }
    await house.issuer.stores.leases.keep([lease(name, **what) for name, what in heard.items()])
    reach = await awaited(house, seq).everywhere(0.05)
    assert reach.known == 4
    assert {silent.name for silent in reach.silent} == {"older", "other", "never"}
    assert reach.after >= 0.05


@pytest.mark.parametrize(
    ("until", "now", "dead_by"),
    [
        (NOW + 30, NOW, NOW + 30),
        (NOW + 999, NOW, NOW + 60 + LEEWAY),
        (NOW + 999, NOW + 0.001, NOW + 61 + LEEWAY),
    ],
    ids=["its lease ends before", "it listens, frozen or not", "a started second counts whole"],
)
async def test_silence_has_an_end(house: House, until: int, now: float, dead_by: int) -> None:
    """By the end of its lease; and whatever it was sent since, by the commit + refuse_after + the error of clocks."""
    _, seq = await revoked(house)
    await house.issuer.stores.leases.keep([lease("silent", until=until)])
    reach = await awaited(house, seq, now).everywhere(0)
    assert reach.silent == (Silent(ORDERS, "silent", NOW - 10, dead_by),)


async def test_a_lease_that_ends_meanwhile_is_no_longer_waited_for(house: House) -> None:
    """It refuses everything by now, and has acknowledged nothing: it is not known any more."""
    log, seq = await revoked(house)
    await house.issuer.stores.leases.keep([lease("going", until=NOW), lease("knows", log=log, seq=seq)])
    now = [float(NOW)]
    waiting = asyncio.create_task(Awaited(house.issuer.stores, seq, lambda: now[0]).everywhere(LONG))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    now[0] = NOW + 1
    async with asyncio.timeout(5):
        reach = await waiting
    assert (reach.known, reach.silent) == (1, ())


async def test_who_comes_later_is_not_waited_for(house: House) -> None:
    """It gets the entry with its first message."""
    _, seq = await revoked(house)
    await house.issuer.stores.leases.keep([lease("silent")])
    waiting = asyncio.create_task(awaited(house, seq).everywhere(0.2))
    await asyncio.sleep(0.05)
    await house.issuer.stores.leases.keep([lease("late")])
    reach = await waiting
    assert (reach.known, [silent.name for silent in reach.silent]) == (1, ["silent"])


async def test_waiting_ends_when_it_is_enough(house: House) -> None:
    """A server that stops tells how things stand."""
    _, seq = await revoked(house)
    await house.issuer.stores.leases.keep([lease("silent")])
    enough = asyncio.Event()
    waiting = asyncio.create_task(awaited(house, seq).everywhere(LONG, enough))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    enough.set()
    async with asyncio.timeout(5):
        assert len((await waiting).silent) == 1


@dataclass
class Unsteady:
    """Leases that cannot be read for some times."""

    leases: Leases
    failures: int

    async def all(self, now: int) -> Sequence[Lease]:
        """Fail, then answer."""
        if self.failures:
            self.failures -= 1
            raise Unavailable("no")
        return await self.leases.all(now)

    async def behind(self, log: str, seq: int, now: int) -> Sequence[Lease]:
        """Answer."""
        return await self.leases.behind(log, seq, now)


@pytest.mark.parametrize(("failures", "known"), [(3, 1), (10**9, None)])
async def test_a_database_that_does_not_answer_is_asked_again(house: House, failures: int, known: int | None) -> None:
    """What is revoked stays revoked; who knows of it is then unknown, which is not the same as nobody."""
    log, seq = await revoked(house)
    await house.issuer.stores.leases.keep([lease("knows", log=log, seq=seq)])
    stores = changed(house.issuer.stores, leases=Unsteady(house.issuer.stores.leases, failures))
    reach = await Awaited(stores, seq, lambda: NOW).everywhere(0.3)
    assert (reach.known, reach.silent) == (known, ())


async def test_the_verifiers_that_are_known(house: House) -> None:
    """Those that have not ended."""
    await house.issuer.stores.leases.keep([lease("b"), lease("a"), lease("gone", until=NOW - 1)])
    assert [one.name for one in await verifiers(house.issuer.stores.leases, NOW)] == ["a", "b"]
