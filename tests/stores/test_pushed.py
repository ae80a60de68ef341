"""A pushed authorization request is taken once, in whichever process (RFC 9126 §7.3)."""

from __future__ import annotations

import asyncio

from tests.stores.people_and_programs import PUSHED
from watchword_server.changes import Add


async def test_two_processes_take_a_pushed_request_once(database, store):
    """25 tasks each: one gets it among 50, whichever process it is in."""
    await store.stores.journal.save(Add(PUSHED))
    racers = [database.start("take_pushed", "25") for _ in range(2)]
    for racer in racers:
        assert await asyncio.to_thread(racer.stdout.readline) == "ready\n"
    for racer in racers:
        racer.stdin.close()
    wins = [int(await asyncio.to_thread(racer.stdout.read)) for racer in racers]
    assert [racer.wait() for racer in racers] == [0, 0]
    assert sum(wins) == 1
    assert await store.stores.requests.pushed(PUSHED.hash) is None
