"""Spends one refresh token with many tasks, and prints how many won. Starts when its standard input closes."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys

from tests.stores.databases import Database
from tests.stores.people_and_programs import NOW, TOKEN
from watchword_server.changes import Add, Spend
from watchword_server.ports import Conflict
from watchword_server.protocol.values import RefreshToken

ADAPTER, WHERE, TASKS = sys.argv[1:]


async def main() -> None:
    store = Database(ADAPTER, WHERE).open()

    async def task() -> bool:
        successor = secrets.token_bytes(32)
        try:
            await store.stores.journal.save(
                Spend(TOKEN.hash, NOW, successor, b"sealed"), Add(RefreshToken(successor, TOKEN.gid, NOW, NOW + 9))
            )
        except Conflict:
            return False
        return True

    os.write(1, b"ready\n")
    await asyncio.to_thread(sys.stdin.read)
    wins = await asyncio.gather(*[task() for _ in range(int(TASKS))])
    os.write(1, str(sum(wins)).encode())
    await store.close()


asyncio.run(main())
