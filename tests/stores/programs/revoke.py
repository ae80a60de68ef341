"""Revokes with many tasks, and prints the entries that it was given. Starts when its standard input closes."""

from __future__ import annotations

import asyncio
import json
import os
import sys

from tests.stores.databases import Database
from watchword_server.changes import Revoke

ADAPTER, WHERE, TASKS, EACH = sys.argv[1:]


async def main() -> None:
    store = Database(ADAPTER, WHERE).open()

    async def task(number: int) -> list[list[object]]:
        found = []
        for turn in range(int(EACH)):
            entries = await store.stores.journal.save(Revoke("token", f"other-{number}-{turn}", 1_800_000_000))
            found += [[entry.seq, entry.kind, entry.id, entry.until] for entry in entries]
        return found

    os.write(1, b"ready\n")
    await asyncio.to_thread(sys.stdin.read)
    rows = await asyncio.gather(*map(task, range(int(TASKS))))
    sys.stdout.write(json.dumps([row for found in rows for row in found]))
    await store.close()


asyncio.run(main())
