"""Many transactions in one commit: each on its own, all of them durable or none acknowledged."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from msgspec.structs import replace

from tests.stores.people_and_programs import AUDIT, EVERYTHING, GRANT, NOW, SESSION, TOKEN, USER
from watchword import log
from watchword_server.adapters.sql.journal import BATCH, WAITING
from watchword_server.changes import Add, Revoke, SetRoles, Spend
from watchword_server.ports import Conflict, Unavailable


async def test_one_failure_never_fails_those_beside_it(stores):
    """Good and bad saves at once: the good are there whole, the bad left nothing, the log has no hole."""
    await stores.journal.save(*EVERYTHING)

    async def save(n: int) -> bool:
        session = Add(replace(SESSION, sid=f"s-{n}"))
        entry = Revoke("token", f"jti-{n}", NOW)
        row = msgspec.structs.replace(AUDIT, request_id=str(n))
        bad = (SetRoles("nobody", ()), Add(USER), Add(replace(GRANT, client_id="?")), Spend(b"?", 1, b"", b""))[n % 4]
        changes = (session, entry, row) if n % 3 else (session, bad, entry, row)
        try:
            await stores.journal.save(*changes)
        except Conflict:
            return False
        return True

    saved = await asyncio.gather(*map(save, range(200)))
    good = [n for n in range(200) if n % 3]
    assert [n for n in range(200) if saved[n]] == good
    assert sorted(session.sid for session in await stores.sessions.of(USER.sub)) == sorted(
        [SESSION.sid, *(f"s-{n}" for n in good)]
    )
    assert sorted(int(row.request_id) for row in await stores.audit.latest(999)) == good
    head, entries = await stores.log.after(0, 999)
    assert [entry.seq for entry in entries] == list(range(1, len(good) + 1))
    assert {entry.id for entry in entries} == {f"jti-{n}" for n in good}
    assert head.chain == log.chain(log.genesis(head.log), entries)


async def test_a_value_that_the_database_refuses_fails_alone(stores):
    """A number beyond 64 bits is its bringer's problem."""
    await stores.journal.save(*EVERYTHING)
    huge = stores.journal.save(Add(replace(SESSION, sid="huge", created_at=2**70)))
    results = await asyncio.gather(
        *[stores.journal.save(Add(replace(TOKEN, hash=bytes([n])))) for n in range(9)], huge, return_exceptions=True
    )
    assert isinstance(results.pop(), OverflowError)
    assert results == [()] * 9


async def test_a_caller_that_goes_away_disturbs_nobody(stores):
    """A cancelled save may or may not have happened; the others did."""
    tasks = [asyncio.create_task(stores.journal.save(Revoke("token", str(n), NOW))) for n in range(50)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results[::2])
    _, entries = await stores.log.after(0, 999)
    assert {entry.id for entry in entries} >= {str(n) for n in range(1, 50, 2)}
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))


async def test_a_locked_database_is_unavailable_to_writers_and_open_to_readers(database, store):
    """Nothing is lost but what was never acknowledged, and everything works when the lock is gone."""
    await store.stores.journal.save(*EVERYTHING)
    holder = database.start("hold")
    assert await asyncio.to_thread(holder.stdout.readline) == "held\n"
    saves = [store.stores.journal.save(Revoke("token", str(n), NOW)) for n in range(5)]
    results = await asyncio.gather(*saves, return_exceptions=True)
    assert [type(result) for result in results] == [Unavailable] * 5
    assert await store.stores.users.find(USER.sub) == USER
    assert (await store.stores.log.head()).rev == 0
    holder.stdin.close()
    assert await asyncio.to_thread(holder.wait) == 0
    assert [entry.seq for entry in await store.stores.journal.save(Revoke("token", "now", NOW))] == [1]


async def test_a_short_lock_is_waited_for(database, store):
    """Another process's transaction delays a save and does not fail it."""
    holder = database.start("hold")
    assert await asyncio.to_thread(holder.stdout.readline) == "held\n"
    save = asyncio.create_task(store.stores.journal.save(Revoke("token", "a", NOW)))
    done, _ = await asyncio.wait([save], timeout=0.2)
    assert not done
    holder.stdin.close()
    assert [entry.seq for entry in await save] == [1]
    assert await asyncio.to_thread(holder.wait) == 0


async def test_a_full_queue_is_unavailable_at_once(database, store):
    """What waits is bounded, and what was let in is answered."""
    holder = database.start("hold")
    assert await asyncio.to_thread(holder.stdout.readline) == "held\n"
    tasks = [asyncio.create_task(store.stores.journal.save(AUDIT)) for _ in range(2 * WAITING)]
    refused, waiting = await asyncio.wait(tasks, timeout=0.3)
    assert {type(task.exception()) for task in refused} == {Unavailable}
    assert WAITING <= len(waiting) <= WAITING + BATCH
    holder.stdin.close()
    await asyncio.gather(*waiting)
    assert await asyncio.to_thread(holder.wait) == 0
    assert len(await store.stores.audit.latest(9999)) == len(waiting)


async def test_what_waits_at_the_end_is_still_written(database):
    """Closing finishes the queue; after it, the store is unavailable."""
    store = database.open()
    tasks = [asyncio.create_task(store.stores.journal.save(AUDIT)) for _ in range(300)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*tasks)
    for question in (store.stores.journal.save(AUDIT), store.stores.log.head(), store.stores.audit.latest(1)):
        with pytest.raises(Unavailable):
            await question
    again = database.open()
    assert len(await again.stores.audit.latest(999)) == 300
    await again.close()
