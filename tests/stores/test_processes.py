"""Several real processes on one database, and what is left when one is killed."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.stores.people_and_programs import AUDIT, EVERYTHING, NOW, TOKEN
from watchword import log
from watchword_server.changes import Revoke


async def test_two_processes_spend_a_token_once(database, store):
    """25 tasks each: one winner among 50, whichever process it is in."""
    await store.stores.journal.save(*EVERYTHING)
    racers = [database.start("spend", "25") for _ in range(2)]
    for racer in racers:
        assert await asyncio.to_thread(racer.stdout.readline) == "ready\n"
    for racer in racers:
        racer.stdin.close()
    wins = [int(await asyncio.to_thread(racer.stdout.read)) for racer in racers]
    assert [racer.wait() for racer in racers] == [0, 0]
    assert sum(wins) == 1
    assert (await store.stores.refresh_tokens.find(TOKEN.hash)).spent_at == NOW


@pytest.mark.parametrize("turn", range(5))
async def test_what_was_acknowledged_survives_kill_9(database, turn):
    """Killed at any moment: every answered entry is there, the log is dense and chained, and goes on."""
    program = database.start("acknowledge")
    wanted = random.Random(turn).randrange(1, 400)
    acknowledged = [await asyncio.to_thread(program.stdout.readline) for _ in range(wanted)]
    program.kill()
    acknowledged += program.stdout.readlines()
    program.wait()
    store = database.open()
    try:
        head, entries = await store.stores.log.after(0, 1_000_000)
        kept = {f"{entry.seq} {entry.id}\n" for entry in entries}
        assert {line for line in acknowledged if line.endswith("\n")} <= kept
        assert head.chain == log.chain(log.genesis(head.log), entries)
        assert [entry.seq for entry in entries] == list(range(1, head.rev + 1))
        assert (await store.stores.journal.save(Revoke("token", "on", NOW)))[0].seq == head.rev + 1
    finally:
        await store.close()


async def test_a_commit_that_matters_to_others_is_told(store):
    """On the event loop, after what moved the log or the state; an audit row matters to nobody."""
    told: list[int] = []
    store.on_commit(lambda: told.append(1))
    await store.stores.journal.save(Revoke("token", "a", NOW))
    assert len(told) == 1
    await store.stores.journal.save(EVERYTHING[0])
    assert len(told) == 2
    await store.stores.journal.save(AUDIT)
    assert len(told) == 2
