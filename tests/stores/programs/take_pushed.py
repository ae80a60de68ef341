"""Takes one pushed request with many tasks, and prints how many got it. Starts when its standard input closes."""

from __future__ import annotations

import asyncio
import os
import sys

from tests.stores.databases import Database
from tests.stores.people_and_programs import PUSHED
from watchword_server.changes import TakePushed
from watchword_server.ports import Conflict

ADAPTER, WHERE, TASKS = sys.argv[1:]


async def main() -> None:
    store = Database(ADAPTER, WHERE).open()

    async def task() -> bool:
        try:
            await store.stores.journal.save(TakePushed(PUSHED.hash))
        except Conflict:
            return False
        return True

    os.write(1, b"ready\n")
    await asyncio.to_thread(sys.stdin.read)
    wins = await asyncio.gather(*[task() for _ in range(int(TASKS))])
    os.write(1, str(sum(wins)).encode())
    await store.close()


asyncio.run(main())
