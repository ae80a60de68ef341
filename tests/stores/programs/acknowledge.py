"""Revokes for ever, and prints each number when its `save` has answered, until it is killed. `?`: nobody knows."""

from __future__ import annotations

import asyncio
import os
import sys

from tests.stores.databases import Database
from tests.stores.people_and_programs import AUDIT
from watchword_server.changes import Revoke
from watchword_server.ports import Unavailable

ADAPTER, WHERE = sys.argv[1:]


async def main() -> None:
    store = Database(ADAPTER, WHERE).open()

    async def task(number: int) -> None:
        turn = 0
        while True:
            turn += 1
            try:
                entries = await store.stores.journal.save(
                    Revoke("token", f"{os.getpid()}-{number}-{turn}", 2_000_000_000), AUDIT
                )
            except Unavailable:
                os.write(1, b"?\n")
                await asyncio.sleep(0.05)
                continue
            os.write(1, f"{entries[0].seq} {entries[0].id}\n".encode())

    await asyncio.gather(*map(task, range(8)))


asyncio.run(main())
