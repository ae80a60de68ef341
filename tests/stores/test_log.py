"""The revocation log: dense, chained, and of one moment."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.stores.people_and_programs import AUDIT, EVERYTHING, NOW, USER
from watchword import log
from watchword.log import Entry
from watchword_server.changes import Revoke, SetUserDisabled


def revokes(count: int, until: int = NOW) -> list[Revoke]:
    return [Revoke("token", f"jti-{n}", until) for n in range(count)]


async def test_a_new_log_is_empty_and_has_a_name_of_its_own(database, store, tmp_path):
    """Its head is the hash of its name; opening it again changes nothing."""
    head, entries = await store.stores.log.alive(0)
    assert (head.rev, head.state, head.lifetime, list(entries)) == (0, 0, 0, [])
    assert head.chain == log.genesis(head.log)
    again = database.open()
    assert await again.stores.log.head() == head
    await again.close()


async def test_a_transaction_returns_the_entries_it_became(stores):
    """In the order of its revocations, with the next numbers."""
    assert await stores.journal.save(AUDIT) == ()
    first = await stores.journal.save(Revoke("token", "a", 5), AUDIT, Revoke("issuer", "", 6))
    assert list(first) == [Entry(1, "token", "a", 5), Entry(2, "issuer", "", 6)]
    assert list(await stores.journal.save(Revoke("key", "k", 7))) == [Entry(3, "key", "k", 7)]


async def test_each_entry_is_chained_to_the_one_before(stores):
    """As docs/feed.md hashes them; the head has the last hash."""
    entries = await stores.journal.save(*revokes(5))
    start = await stores.log.chain_at(0)
    for count in range(6):
        assert await stores.log.chain_at(count) == log.chain(start, entries[:count])
    head = await stores.log.head()
    assert (head.rev, head.chain) == (5, log.chain(start, entries))
    assert await stores.log.chain_at(6) is None
    assert await stores.log.chain_at(-1) is None


@pytest.mark.parametrize("count", [5, 500])
async def test_the_log_is_read_from_anywhere(stores, count):
    """Contiguous from the next number on, at most as many as asked for, whether few or many."""
    entries = list(await stores.journal.save(*revokes(count)))
    head = await stores.log.head()
    assert await stores.log.after(0, 1000) == (head, entries)
    assert await stores.log.after(3, 1000) == (head, entries[3:])
    assert await stores.log.after(1, 2) == (head, entries[1:3])
    for beyond in (count, count + 1, 2**70):
        found, rest = await stores.log.after(beyond, 1000)
        assert (found, list(rest)) == (head, [])


async def test_what_is_alive_is_read_in_pages_each_with_the_hash_at_its_end(stores):
    """In order and without those that are past; a page that is not full ends where the log does."""
    entries = await stores.journal.save(*(Revoke("token", str(n), 50 if n % 3 else 5) for n in range(10)))
    head, start = await stores.log.head(), await stores.log.chain_at(0)
    alive, at = [], 0
    for _ in range(3):
        found, page, chain = await stores.log.alive_after(at, 10, 2)
        assert (found, len(page)) == (head, 2)
        alive += page
        at = page[-1].seq
        assert chain == log.chain(start, entries[:at])
    assert alive == [entry for entry in entries if entry.until == 50]
    assert await stores.log.alive_after(at, 10, 2) == (head, [], head.chain)
    assert await stores.log.alive_after(0, 10, 100) == (head, alive, head.chain)


async def test_what_is_alive_is_what_is_not_past(stores):
    """`until` is the last second in which an entry can matter."""
    await stores.journal.save(Revoke("token", "a", 10), Revoke("token", "b", 11), Revoke("token", "c", 12))
    _, alive = await stores.log.alive(11)
    assert [entry.id for entry in alive] == ["b", "c"]


async def test_forgotten_entries_are_noticed_wherever_they_stood(stores):
    """A gap at the beginning, in the middle or at the end: then there is no delta, only a snapshot."""
    untils = (5, 99, 5, 99, 5)
    await stores.journal.save(*[Revoke("token", str(n), until) for n, until in enumerate(untils)])
    head = await stores.log.head()
    assert await stores.journal.purge(50, 0) == 3
    assert await stores.log.head() == head
    for seq in range(5):
        found, entries = await stores.log.after(seq, 1000)
        assert (found, list(entries)) == (head, [])
    _, alive = await stores.log.alive(50)
    assert [entry.seq for entry in alive] == [2, 4]
    assert [await stores.log.chain_at(seq) is None for seq in range(6)] == [False, True, False, True, False, False]


@pytest.mark.parametrize(
    "bad", [Revoke("token", "two\nlines", 1), Revoke("token", "\ud800", 1), Revoke("token", "x", -1)]
)
async def test_an_entry_that_could_be_read_in_two_ways_is_refused(stores, bad):
    """Its fields are lines of what is hashed."""
    with pytest.raises(ValueError, match="printable"):
        await stores.journal.save(bad)
    assert (await stores.log.head()).rev == 0


async def test_numbers_are_dense_however_many_revoke_at_once(database, store):
    """From two processes with 20 tasks each: no gap, no number twice, and the chain holds."""
    other = database.start("revoke", "20", "10")
    other.stdout.readline()  # it is ready

    async def revoke(n: int) -> list[Entry]:
        return [entry for m in range(10) for entry in await store.stores.journal.save(Revoke("token", f"{n}-{m}", NOW))]

    other.stdin.close()
    mine = [entry for entries in await asyncio.gather(*map(revoke, range(20))) for entry in entries]
    theirs = [Entry(*row) for row in json.loads(await asyncio.to_thread(other.stdout.read))]
    assert other.wait() == 0
    head, entries = await store.stores.log.after(0, 1000)
    assert list(entries) == sorted([*mine, *theirs], key=lambda entry: entry.seq)
    assert [entry.seq for entry in entries] == list(range(1, 401))
    assert head.chain == log.chain(log.genesis(head.log), entries)


async def test_a_snapshot_is_of_one_moment_while_others_write(database, store):
    """Head and entries always belong together, in the log and in what is alive."""
    await store.stores.journal.save(*EVERYTHING)
    writing = True

    async def write() -> None:
        while writing:
            await store.stores.journal.save(Revoke("subject", USER.sub, NOW), SetUserDisabled(USER.sub, NOW))

    writer = asyncio.create_task(write())
    start = log.genesis((await store.stores.log.head()).log)
    seen: set[int] = set()
    async with asyncio.timeout(60):
        while len(seen) < 20:
            head, alive = await store.stores.log.alive(0)
            assert head.chain == log.chain(start, alive)
            head, entries = await store.stores.log.after(0, 100_000)
            assert (head.rev, head.chain) == (len(entries), log.chain(start, entries))
            seen.add(head.rev)
    writing = False
    await writer
