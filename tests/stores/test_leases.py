"""Leases: many are written at once, by several nodes in any order, and nothing runs backwards."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from watchword_server.ports import Lease

NOW = 1_800_000_000
ORDERS, STOCK = "https://orders.example", "https://stock.example"
LEASE = Lease(ORDERS, "v" * 22, "orders-1", 60, "log-a", 7, NOW - 3, NOW - 2, NOW + 70)
SILENT = {"log": "", "seq": 0, "acknowledged_at": 0}


async def kept(stores, *leases):
    """What is there of the first lease's process after all of these were written, one after the other."""
    for lease in leases:
        await stores.leases.keep([lease])
    return await stores.leases.find(leases[0].audience, leases[0].verifier)


async def test_a_lease_comes_back_as_it_was_kept(stores):
    """And who has none is not there."""
    assert await stores.leases.find(ORDERS, LEASE.verifier) is None
    assert await kept(stores, LEASE) == LEASE


# fmt: off
CASES = {
    "a later seq":                 ({"seq": 9, "acknowledged_at": NOW},                  {}),
    "the same seq again":          ({"acknowledged_at": NOW},                            {"acknowledged_at": NOW - 3}),
    "a late acknowledgement":      ({"seq": 3, "acknowledged_at": NOW},                  {"seq": 7, "acknowledged_at": NOW - 3}),  # noqa: E501
    "another log, though shorter": ({"log": "log-b", "seq": 1, "acknowledged_at": NOW},  {}),
    "nothing acknowledged":        (SILENT,                  {"log": "log-a", "seq": 7, "acknowledged_at": NOW - 3}),
    "heard later":                 ({"heard_at": NOW, "until": NOW + 90},                {}),
    "heard earlier":               ({"heard_at": NOW - 9, "until": NOW + 60},            {"heard_at": NOW - 2, "until": NOW + 70}),  # noqa: E501
    "another name":                ({"name": "orders-one", "refuse_after": 30},          {}),
}
# fmt: on


@pytest.mark.parametrize("case", CASES)
async def test_nothing_runs_backwards(stores, case):
    """What was written last does not count, but what was said last."""
    then, but = CASES[case]
    assert await kept(stores, LEASE, replace(LEASE, **then)) == replace(LEASE, **{**then, **but})


async def test_the_order_of_two_nodes_makes_no_difference(stores):
    """Whichever of them is faster."""
    one, other = replace(LEASE, seq=9, heard_at=NOW - 5), replace(LEASE, seq=8, heard_at=NOW, until=NOW + 99)
    first = await kept(stores, one, other)
    other_process = {"verifier": "w" * 22}
    second = await kept(stores, replace(other, **other_process), replace(one, **other_process))
    assert replace(second, verifier=LEASE.verifier) == first
    assert (first.seq, first.heard_at, first.until) == (9, NOW, NOW + 99)


async def test_an_api_has_leases_of_its_own(stores):
    """The same process id under another API is another process."""
    await stores.leases.keep([LEASE, replace(LEASE, audience=STOCK, seq=1, name="stock-1")])
    assert (await stores.leases.find(ORDERS, LEASE.verifier)).seq == 7
    assert (await stores.leases.find(STOCK, LEASE.verifier)).seq == 1


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 63, 64, 65, 200])
async def test_many_are_kept_at_once(stores, count):
    """Whatever the sizes of the statements that carry them."""
    leases = [replace(LEASE, verifier=f"{n:022}", name=f"orders-{n:03}", seq=n) for n in range(count)]
    await stores.leases.keep(leases[::-1])
    assert list(await stores.leases.all(NOW)) == leases


async def test_only_those_that_have_not_ended_are_known(stores):
    """Counted by API; in the order of API and name."""
    ended, last = replace(LEASE, verifier="e" * 22, until=NOW - 1), replace(LEASE, verifier="l" * 22, until=NOW)
    stock = replace(LEASE, audience=STOCK, name="a")
    await stores.leases.keep([ended, stock, LEASE, last])
    assert list(await stores.leases.all(NOW)) == [last, LEASE, stock]
    assert [await stores.leases.count(audience, NOW) for audience in (ORDERS, STOCK, "nobody")] == [2, 1, 0]


async def test_who_is_behind(stores):
    """Who has acknowledged less of this log, or another, or nothing; those that ended are not asked."""
    never, other = replace(LEASE, verifier="n" * 22, **SILENT), replace(LEASE, verifier="o" * 22, log="log-b", seq=99)
    ended = replace(LEASE, verifier="e" * 22, until=NOW - 1)
    await stores.leases.keep([LEASE, never, other, ended])

    async def behind(seq):
        return {lease.verifier[0] for lease in await stores.leases.behind("log-a", seq, NOW)}

    assert [await behind(seq) for seq in (6, 7, 8)] == [{"n", "o"}, {"n", "o"}, {"n", "o", "v"}]


async def test_two_nodes_write_the_same_leases_at_once(database):
    """Neither waits for the other for ever, and the highest of everything stays."""
    nodes = [database.open(), database.open()]
    leases = [replace(LEASE, verifier=f"{n:022}") for n in range(100)]
    try:
        for round_ in range(5):
            told = [replace(lease, seq=10 * round_ + n % 3) for n, lease in enumerate(leases)]
            ways = (told, told[::-1])
            await asyncio.gather(*(node.stores.leases.keep(way) for node, way in zip(nodes, ways, strict=True)))
        found = await nodes[0].stores.leases.all(NOW)
        assert [lease.seq for lease in sorted(found, key=lambda lease: lease.verifier)] == [
            40 + n % 3 for n in range(100)
        ]
    finally:
        for node in nodes:
            await node.close()


async def test_a_lease_that_ended_is_forgotten_a_minute_later(stores):
    """Not at once: the clock that purges may be ahead of the one by which it was made."""
    await stores.leases.keep([LEASE])
    assert await stores.journal.purge(LEASE.until + 60, 0) == 0
    assert await stores.journal.purge(LEASE.until + 61, 0) == 1
    assert await stores.leases.find(ORDERS, LEASE.verifier) is None
