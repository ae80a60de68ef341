"""The log on PostgreSQL, over several nodes whose transactions take their time: `seq` is the order of commits."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from tests.stores.people_and_programs import EVERYTHING, NOW, SESSION, USER
from watchword import log
from watchword_server.adapters.sql.plan import Plan, plan
from watchword_server.adapters.sql.postgres import connections, upgrade
from watchword_server.adapters.sql.postgres.store import Store
from watchword_server.adapters.sql.postgres.transaction import Batch, commit
from watchword_server.adapters.sql.statements import load
from watchword_server.changes import Add, EndSessionsOf, Revoke, Unrevoked
from watchword_server.people.values import Session
from watchword_server.ports import Conflict

COMMANDS = load("postgres").commands
WAITS = 0.3
"""Seconds after which something that has not happened is taken to wait."""


def another(sid: str) -> Session:
    return replace(SESSION, sid=sid)


@pytest.fixture(scope="module")
def made(postgres):
    """A database with the schema."""
    url = postgres.database()
    asyncio.run(upgrade.migrate(url))
    return url


@pytest.fixture
async def url(postgres, made):
    """A copy of it for one test."""
    return postgres.database(like=made)


@asynccontextmanager
async def node(url: str):
    store = Store(url)
    try:
        yield store.stores
    finally:
        await store.close()


@asynccontextmanager
async def slow(url: str, *changes):
    """Another node's transaction, which has done everything but commit; ask it to."""
    connection = await connections.connect(url, connections.MIGRATION)
    batch = Batch(connection, COMMANDS)
    outcomes = await batch.run([plan(COMMANDS, changes)])

    async def finish():
        await commit(connection, batch.head is not None)
        return outcomes[0]

    try:
        yield finish
    finally:
        connection.terminate()


async def waits(task: asyncio.Task[object]) -> bool:
    done, _ = await asyncio.wait([task], timeout=WAITS)
    return not done


async def test_the_next_number_waits_for_the_one_before(url):
    """Who comes second waits for the first to commit, and nobody sees a hole meanwhile."""
    async with node(url) as ours, slow(url, Revoke("token", "first", NOW)) as finish:
        second = asyncio.create_task(ours.journal.save(Revoke("token", "second", NOW)))
        assert await waits(second)
        assert (await ours.log.head()).rev == 0
        assert [entry.seq for entry in (await finish()).entries] == [1]
        assert [entry.seq for entry in await second] == [2]
        _, entries = await ours.log.after(0, 9)
        assert [entry.id for entry in entries] == ["first", "second"]


async def test_a_number_that_was_never_committed_is_given_again(url):
    """A node that dies before its commit leaves no hole."""
    async with node(url) as ours:
        async with slow(url, Revoke("token", "lost", NOW)):
            second = asyncio.create_task(ours.journal.save(Revoke("token", "kept", NOW)))
            assert await waits(second)
        assert [entry.seq for entry in await second] == [1]


async def test_no_reader_ever_finds_an_entry_below_one_that_it_saw(url):
    """Four nodes whose transactions are held up at random before they commit; one that reads all the time."""
    chance, going = random.Random(7), True

    async def write(name: str) -> None:
        for turn in range(12):
            async with slow(
                url, *(Revoke("token", f"{name}-{turn}-{n}", NOW) for n in range(chance.randint(1, 3)))
            ) as finish:
                await asyncio.sleep(chance.random() / 50)
                await finish()

    async def read() -> list[log.Entry]:
        seen: list[log.Entry] = []
        async with node(url) as theirs:
            while going or len(seen) < (await theirs.log.head()).rev:
                head, news = await theirs.log.after(len(seen), 10_000)
                seen += news
                assert [entry.seq for entry in seen] == list(range(1, head.rev + 1))
                assert log.chain(log.genesis(head.log), seen) == head.chain
        return seen

    reader = asyncio.create_task(read())
    await asyncio.gather(*map(write, "abcd"))
    going = False
    assert len({entry.id for entry in await reader}) >= 48


async def test_what_touches_nothing_waits_for_nobody(url):
    """Audit rows and refreshed tokens go on while a revocation takes its time."""
    async with node(url) as ours:
        await ours.journal.save(*EVERYTHING)
        async with slow(url, Revoke("token", "first", NOW)):
            await asyncio.wait_for(ours.journal.save(Add(another("sid-2"))), 5)
        assert await ours.sessions.find("sid-2") is not None


async def test_a_session_that_is_being_opened_is_found_by_who_ends_all(url):
    """The revocation waits for the sign-in, and then ends what it added."""
    async with node(url) as ours:
        await ours.journal.save(*EVERYTHING)
        async with slow(url, Unrevoked(0, sub=USER.sub), Add(another("sid-2"))) as finish:
            ending = asyncio.create_task(
                ours.journal.save(EndSessionsOf(USER.sub, NOW), Revoke("subject", USER.sub, NOW))
            )
            assert await waits(ending)
            await finish()
            await ending
        assert list(await ours.sessions.of(USER.sub)) == []


async def test_a_session_is_not_opened_beside_a_revocation(url):
    """The sign-in waits for the revocation, and then finds its entry."""
    async with node(url) as ours:
        await ours.journal.save(*EVERYTHING)
        async with slow(url, EndSessionsOf(USER.sub, NOW), Revoke("subject", USER.sub, NOW)) as finish:
            opening = asyncio.create_task(ours.journal.save(Unrevoked(0, sub=USER.sub), Add(another("sid-2"))))
            assert await waits(opening)
            await finish()
            with pytest.raises(Conflict):
                await opening
        assert await ours.sessions.find("sid-2") is None


async def test_sign_ins_do_not_wait_for_each_other(url):
    """The lock is shared among those that only must not be overtaken."""
    async with node(url) as ours:
        await ours.journal.save(*EVERYTHING)
        async with slow(url, Unrevoked(0, sub=USER.sub), Add(another("sid-2"))) as finish:
            await asyncio.wait_for(ours.journal.save(Unrevoked(0, sub=USER.sub), Add(another("sid-3"))), 5)
            await finish()
        assert len(await ours.sessions.of(USER.sub)) == 3


async def test_a_batch_keeps_the_order_that_its_kinds_need(url):
    """A sign-in and the end of all sessions in one transaction: the one that was added is ended too."""
    connection = await connections.connect(url, connections.MIGRATION)
    batch = Batch(connection, COMMANDS)
    await batch.run([plan(COMMANDS, EVERYTHING)])
    await commit(connection, moved=True)
    jobs = (
        (EndSessionsOf(USER.sub, NOW), Revoke("subject", USER.sub, NOW)),
        (Unrevoked(0, sub=USER.sub), Add(another("sid-2"))),
        (Unrevoked(0, sub=USER.sub), Revoke("session", "sid-2", NOW)),
    )
    batch = Batch(connection, COMMANDS)
    ended, opened, late = await batch.run([plan(COMMANDS, changes) for changes in jobs])
    await commit(connection, moved=True)
    assert [entry.seq for entry in ended.entries] == [1]
    assert opened.rows == 2
    assert isinstance(late, Conflict)
    assert await connection.fetchval("SELECT count(*) FROM sessions WHERE ended_at IS NULL") == 0
    await connection.close()


async def test_an_undone_job_takes_no_entry_with_it(url):
    """Entries of one job stay when the next one in the batch fails."""
    connection = await connections.connect(url, connections.MIGRATION)
    batch = Batch(connection, COMMANDS)
    bad = plan(COMMANDS, (Add(SESSION), Revoke("token", "b", NOW)))  # whose user is not there
    good = Plan(revokes=(Revoke("token", "a", NOW),))
    first, second, third = await batch.run([good, bad, good])
    await commit(connection, moved=True)
    assert [first.entries[0].seq, third.entries[0].seq] == [1, 2]
    assert isinstance(second, Conflict)
    assert [row[0] for row in await connection.fetch("SELECT id FROM revocations ORDER BY seq")] == ["a", "a"]
    await connection.close()
